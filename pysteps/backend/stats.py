"""Sums over vectors and speakers that LDA and PLDA both stand on, and their shared refusals."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..formats.errors import InputError

Floats = NDArray[np.float64]
_ROWS = 1 << 16  # vectors at a time


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


def check_finite(array: NDArray[Any]) -> None:
    """InputError unless ``array`` is a table [N, D] of finite numbers with a row and a column at least."""
    if array.ndim != 2 or not array.size or array.dtype.kind not in "fiu":
        raise InputError(f"vectors must be a table of rows and dimensions, not shape {array.shape}")
    bad = [
        begin + np.flatnonzero(~np.isfinite(array[begin : begin + _ROWS]).all(axis=1))
        for begin in range(0, len(array), _ROWS)
    ]
    rows = np.concatenate(bad)
    if len(rows):
        raise InputError(f"{len(rows)} vectors are not finite, the first is row {rows[0] + 1}")


def check_vectors(x: ArrayLike) -> Floats:
    """``x`` as float64 [N, D]; other shapes, no rows and values that are not finite are an InputError."""
    array = np.asarray(x, dtype=np.float64)
    check_finite(array)
    return array


def gather(x: ArrayLike, speakers: Sequence[str], purpose: str) -> SpeakerStats:
    """Statistics of ``x`` [N, D] by ``speakers`` [N].

    ``purpose`` (LDA, PLDA) needs two speakers, one of them with two vectors: less is an InputError.
    """
    array = np.asarray(x)
    check_finite(array)
    if len(speakers) != len(array):
        raise InputError(f"{len(array)} vectors but {len(speakers)} speaker labels")
    number = {speaker: index for index, speaker in enumerate(sorted(set(speakers)))}
    label = np.fromiter((number[speaker] for speaker in speakers), np.int64, len(speakers))
    counts = np.bincount(label).astype(np.float64)
    if len(counts) < 2:
        raise InputError(f"{purpose} needs at least two speakers, the training vectors have one")
    if counts.max() < 2:
        raise InputError(
            f"{purpose} needs speakers with several vectors: each of the {len(counts)} speakers has one",
            mend="give utt2spk real speakers, or cut recordings into segments",
        )
    return _sums(array, label, counts)


def _sums(array: NDArray[Any], label: NDArray[np.int64], counts: Floats) -> SpeakerStats:
    # In blocks of rows, so that float32 vectors are never held a second time as float64.
    order = np.argsort(label, kind="stable")
    means = np.zeros((len(counts), array.shape[1]))
    for begin in range(0, len(order), _ROWS):
        rows = order[begin : begin + _ROWS]
        kept = label[rows]
        starts = np.flatnonzero(np.concatenate(([True], kept[1:] != kept[:-1])))
        means[kept[starts]] += np.add.reduceat(array[rows].astype(np.float64), starts, axis=0)
    means /= counts[:, None]
    scatter, total = np.zeros((array.shape[1],) * 2), np.zeros(array.shape[1])
    for begin in range(0, len(array), _ROWS):
        block = array[begin : begin + _ROWS].astype(np.float64)
        total += block.sum(axis=0)
        block -= means[label[begin : begin + _ROWS]]
        scatter += block.T @ block
    return SpeakerStats(means, counts, scatter, total / len(array))


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
