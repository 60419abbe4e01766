"""Spectral clustering that sets its own pruning and number of speakers.

T. J. Park, K. J. Han, M. Kumar, S. Narayanan, "Auto-tuning spectral clustering for speaker diarization using
normalized maximum eigengap", IEEE SPL 27, 2020 (NME-SC).
"""

from __future__ import annotations

import numpy as np

from ..formats.errors import InputError
from ..formats.rng import generator
from .cluster import by_appearance

_SHARES = np.geomspace(0.01, 0.3, 16)  # of a window's neighbours that are kept: those that are tried
_TRIED = 800  # windows, evenly spread, on which pruning and number are chosen


def pruned(affinity: np.ndarray, keep: int) -> np.ndarray:
    """[N, N] symmetric 0, 1/2, 1: each window is joined to the ``keep`` windows most like it."""
    count = len(affinity)
    nearest = np.argpartition(-affinity, min(keep, count) - 1, axis=1)[:, :keep]
    joined = np.zeros((count, count))
    np.put_along_axis(joined, nearest, 1.0, axis=1)
    return (joined + joined.T) / 2


def laplacian(joined: np.ndarray) -> np.ndarray:
    """Degrees minus weights, self-loops left out."""
    out = -joined
    np.fill_diagonal(out, 0.0)
    np.fill_diagonal(out, -out.sum(axis=1))
    return out


def choose(affinity: np.ndarray, max_speakers: int) -> tuple[float, int]:
    """The share of neighbours to keep and the number of speakers.

    For each share the largest gap among the smallest ``max_speakers`` + 1 eigenvalues of the Laplacian,
    divided by the largest eigenvalue, says how clear the number of clusters is; the share with the least
    ratio of share to gap wins.
    """
    rows = np.unique(np.linspace(0, len(affinity) - 1, min(len(affinity), _TRIED)).round().astype(int))
    part = affinity[np.ix_(rows, rows)]
    best = (np.inf, 1.0, 1)
    for keep in sorted({max(2, round(share * len(part))) for share in _SHARES}):
        values = np.linalg.eigvalsh(laplacian(pruned(part, min(keep, len(part)))))
        gaps = np.diff(values[: max_speakers + 1])
        if not len(gaps):
            break
        clear = gaps.max() / (values[-1] + 1e-10)
        ratio = keep / len(part) / (clear + 1e-10)
        if ratio < best[0]:
            best = (ratio, keep / len(part), int(gaps.argmax()) + 1)
    return best[1], best[2]


def spectral_labels(
    affinity: np.ndarray, *, speakers: int = 0, max_speakers: int = 10, seed: int = 0, name: str = ""
) -> np.ndarray:
    """[N] labels in order of appearance from ``affinity`` [N, N].

    ``speakers`` is their number where it is known; otherwise it is chosen, at most ``max_speakers``.
    ``seed`` and ``name`` (the recording) key the starts of k-means.
    """
    count = len(affinity)
    if speakers == 0 and max_speakers < 1:
        raise InputError("spectral clustering without a limit", mend="set max_speakers or speakers")
    if speakers > count:
        raise InputError(f"{speakers} speakers in {count} windows")
    if count < 3:
        return np.arange(count) if speakers == count else np.zeros(count, np.int64)
    share, chosen = choose(affinity, min(max_speakers or speakers, count - 1))
    clusters = speakers or chosen
    if clusters == 1:
        return np.zeros(count, np.int64)
    from scipy.linalg import eigh
    from sklearn.cluster import KMeans

    graph = laplacian(pruned(affinity, min(count, max(2, round(share * count)))))
    _, vectors = eigh(graph, subset_by_index=(0, clusters - 1))
    start = int(generator(seed, name, "spectral").integers(2**31))
    return by_appearance(KMeans(clusters, n_init=10, random_state=start).fit(vectors).labels_)
