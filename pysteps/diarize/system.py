"""X-vectors of one recording's windows to speakers: affinity, clustering, resegmentation."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..backend.plda import Plda
from ..formats.errors import InputError
from .affinity import cosine_affinity, crossing, plda_affinity
from .cluster import Tree, build_tree, by_appearance
from .options import DiarizeOptions
from .spectral import spectral_labels
from .vbx import smoothed, vbx


@dataclass(frozen=True)
class Compared:
    """One recording with its windows compared: what every threshold shares.

    ``x`` [N, D], ``affinity`` [N, N] (empty for AHC, which needs its ``tree`` only), ``middle``: the point
    between the two humps of affinities.
    """

    recording: str
    x: np.ndarray
    affinity: np.ndarray
    tree: Tree | None
    middle: float


def compare(recording: str, x: np.ndarray, options: DiarizeOptions, plda: Plda | None = None) -> Compared:
    """Compare all pairs of windows ``x`` [N, D] (transformed already, in order of time) of a recording."""
    if options.needs_plda and plda is None:
        raise InputError("PLDA scores and VBx need a PLDA model", mend="--plda FILE")
    if len(x) > options.max_windows:
        what = f"{recording}: {len(x)} windows, max_windows is {options.max_windows}"
        raise InputError(what, mend=f"raise shift ({options.shift} s) or max_windows (about 20 bytes a pair)")
    if options.affinity == "plda" and plda is not None:
        affinity = plda_affinity(x, plda, options.plda_energy)
    else:
        affinity = cosine_affinity(x)
    middle = crossing(affinity)
    if options.clustering == "spectral":
        return Compared(recording, x, affinity, None, middle)
    return Compared(recording, x, np.empty((0, 0)), build_tree(affinity), middle)


def assign(compared: Compared, options: DiarizeOptions, plda: Plda | None = None) -> np.ndarray:
    """[N] speakers 0, 1, ... of a recording's windows, in order of appearance."""
    if options.speakers > len(compared.x):
        what = f"{compared.recording}: {options.speakers} speakers in {len(compared.x)} windows"
        raise InputError(what, mend="correct the number of speakers")
    labels = _cluster(compared, options)
    if options.resegment == "vbx" and plda is not None:
        labels = _resegment(compared.x, labels, options, plda)
    return labels


def _cluster(compared: Compared, options: DiarizeOptions) -> np.ndarray:
    tree = compared.tree
    if tree is None:
        return spectral_labels(
            compared.affinity,
            speakers=options.speakers,
            max_speakers=options.max_speakers,
            seed=options.seed,
            name=compared.recording,
        )
    if options.speakers:
        return tree.labels(options.speakers)
    found = tree.clusters(options.threshold + (compared.middle if options.relative else 0.0))
    return tree.labels(min(found, options.max_speakers or found))


def _resegment(x: np.ndarray, labels: np.ndarray, options: DiarizeOptions, plda: Plda) -> np.ndarray:
    dims = min(options.lda_dim or len(plda.psi), len(plda.psi))
    rows = plda.project(x, normalise="none")[:, :dims]
    posterior = vbx(
        rows,
        plda.psi[:dims],
        smoothed(labels, options.smoothing),
        loop=options.loop,
        fa=options.fa,
        fb=options.fb,
        iterations=options.iterations,
    )
    return by_appearance(posterior.speakers.argmax(axis=1))
