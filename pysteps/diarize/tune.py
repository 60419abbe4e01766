"""The threshold of clustering, chosen on a development set."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import numpy as np

from ..backend.plda import Plda
from ..formats.errors import InputError
from .options import DiarizeOptions
from .system import Compared, assign
from .turns import Turns, join_windows
from .windows import Windows

Judge = Callable[[Turns], float]


def candidates(recordings: Sequence[Compared], options: DiarizeOptions, count: int) -> list[float]:
    """At most ``count`` thresholds, falling, each between two heights at which clusters merge.

    They are densest where few clusters are left: that is where the number of speakers is decided.
    """
    heights = [
        one.tree.affinity - (one.middle if options.relative else 0.0) for one in recordings if one.tree
    ]
    pooled = np.concatenate([*heights, np.empty(0)])
    pooled = pooled[np.isfinite(pooled)]  # a recording of equal windows is one speaker at any threshold
    if count < 1:
        raise InputError(f"{count} thresholds to try", mend="at least 1")
    if not len(pooled):
        raise InputError("no threshold to choose: nothing merges", mend="choose clustering ahc")
    heights_up = np.sort(pooled)
    between = (heights_up + np.append(heights_up[0], heights_up[:-1])) / 2  # the first: all merge
    chosen = np.unique(np.geomspace(1, len(between), count).round().astype(int)) - 1
    return [float(value) for value in np.unique(between[chosen])[::-1]]


def choose_threshold(
    recordings: Sequence[Compared],
    windows: Mapping[str, Windows],
    options: DiarizeOptions,
    plda: Plda | None,
    judge: Judge,
    count: int = 40,
) -> tuple[float, list[tuple[float, float]]]:
    """The threshold with the lowest error, and (threshold, error) of all that were tried, falling.

    ``judge`` gives the error of turns (a DER). Of several best thresholds that follow each other the
    middle one is taken: it stands best where another recording differs.
    """
    tried = []
    for threshold in candidates(recordings, options, count):
        now = replace(options, threshold=threshold, speakers=0)
        turns = {
            one.recording: join_windows(windows[one.recording].times, assign(one, now, plda).tolist())
            for one in recordings
        }
        tried.append((threshold, judge(turns)))
    errors = np.array([error for _, error in tried])
    best = np.flatnonzero(errors <= errors.min() + 1e-9)
    stretch = best[: 1 + int(np.cumprod(np.diff(best) == 1).sum())]
    return tried[int(stretch[len(stretch) // 2])][0], tried
