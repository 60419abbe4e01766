"""Sums over vectors and speakers that LDA and PLDA both stand on, and their shared refusals."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..formats.errors import InputError

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class SpeakerStats:
    """Of N vectors of D dimensions from K speakers.

    ``means`` [K, D] and ``counts`` [K] in the speakers' sorted order; ``scatter`` [D, D] is the sum of
    squares of the vectors around their own speaker's mean; ``mean`` [D] is over vectors.
    """

    means: Floats
    counts: Floats
    scatter: Floats
    mean: Floats

    @property
    def vectors(self) -> int:
        return int(self.counts.sum())

    @property
    def dim(self) -> int:
        return self.means.shape[1]


def check_vectors(x: ArrayLike) -> Floats:
    """``x`` as float64 [N, D]; other shapes, no rows and values that are not finite are an InputError."""
    array = np.asarray(x, dtype=np.float64)
    if array.ndim != 2 or not array.size:
        raise InputError(f"vectors must be a table of rows and dimensions, not shape {array.shape}")
    bad = ~np.isfinite(array).all(axis=1)
    if bad.any():
        first = int(np.flatnonzero(bad)[0]) + 1
        raise InputError(f"{int(bad.sum())} vectors are not finite, the first is row {first}")
    return array


def gather(x: ArrayLike, speakers: Sequence[str], purpose: str) -> SpeakerStats:
    """Statistics of ``x`` [N, D] by ``speakers`` [N].

    ``purpose`` (LDA, PLDA) needs two speakers, one of them with two vectors: less is an InputError.
    """
    array = check_vectors(x)
    if len(speakers) != len(array):
        raise InputError(f"{len(array)} vectors but {len(speakers)} speaker labels")
    number = {speaker: index for index, speaker in enumerate(sorted(set(speakers)))}
    label = np.array([number[speaker] for speaker in speakers])
    counts = np.bincount(label).astype(np.float64)
    if len(counts) < 2:
        raise InputError(f"{purpose} needs at least two speakers, the training vectors have one")
    if counts.max() < 2:
        raise InputError(
            f"{purpose} needs speakers with several vectors: each of the {len(counts)} speakers has one",
            mend="give utt2spk real speakers, or cut recordings into segments",
        )
    order = np.argsort(label, kind="stable")
    starts = np.concatenate(([0], np.cumsum(counts)[:-1])).astype(np.int64)
    means = np.add.reduceat(array[order], starts, axis=0) / counts[:, None]
    offsets = array - means[label]
    return SpeakerStats(means, counts, offsets.T @ offsets, array.mean(axis=0))


def fixed_signs(rows: Floats) -> Floats:
    """Rows of a transform with their largest element positive: an eigenvector's sign is a coin's fall."""
    largest = rows[np.arange(len(rows)), np.abs(rows).argmax(axis=1)]
    return rows * np.where(largest < 0, -1.0, 1.0)[:, None]


def normalising(covariance: Floats, floor: float = 1e-6) -> Floats:
    """[D, D] T with T covariance T' = 1, rows from the largest variance to the smallest.

    Eigenvalues below ``floor`` times the largest are raised to it, as Kaldi's
    ComputeNormalizingTransform does, so a singular covariance gives a finite transform.
    """
    values, vectors = np.linalg.eigh((covariance + covariance.T) / 2)
    if values[-1] <= 0:
        raise InputError("all vectors are equal: there is no variance to normalise")
    values = np.maximum(values, floor * values[-1])
    return fixed_signs((vectors / np.sqrt(values)).T[::-1])
