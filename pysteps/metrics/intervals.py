"""Confidence intervals by a bootstrap over speakers.

Trials are not independent: they share speakers. So speakers are drawn with replacement, and a trial
counts as often as its speakers were drawn: w_s for a target trial of speaker s, w_a w_b for a non-target
trial of speakers a and b (A. Owen, "The pigeonhole bootstrap", 2007). The scores are sorted once; a
replicate is one weighted count of the sorted trials and one cumulative sum.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..formats.errors import InputError
from ..formats.rng import generator
from .detection import Floats, Ints, check_scores, cost_weights

_CHUNK_BYTES = 128 << 20


class Paired(NamedTuple):
    """Two systems on the same trials: EER of the first minus (over) the second's, with intervals."""

    difference: float
    difference_ci: tuple[float, float]
    ratio: float
    ratio_ci: tuple[float, float]


@dataclass(frozen=True)
class Replicates:
    """Figures of each bootstrap replicate: ``eer`` [R], ``min_dcf`` {p_target: [R]}, fractions.

    A replicate in which no target or no non-target trial has weight holds NaN.
    """

    eer: Floats
    min_dcf: dict[float, Floats]


def interval(values: Floats, level: float = 0.95) -> tuple[float, float]:
    """The central ``level`` of ``values`` (NaN replicates left out), widened to actual values."""
    usable = values[~np.isnan(values)]
    if len(usable) < 2:
        raise InputError("fewer than two usable bootstrap replicates: too few speakers for an interval")
    tail = (1 - level) / 2
    low = np.quantile(usable, tail, method="lower")
    return float(low), float(np.quantile(usable, 1 - tail, method="higher"))


def _compress(enrol: ArrayLike, test: ArrayLike) -> tuple[Ints, Ints, int]:
    # Speakers numbered 0..S-1 in the order of their codes, whichever of them have trials.
    a, b = np.asarray(enrol, dtype=np.int64), np.asarray(test, dtype=np.int64)
    seen = np.zeros(int(max(a.max(), b.max())) + 1, dtype=bool)
    seen[a] = seen[b] = True
    number = np.cumsum(seen) - 1
    return number[a], number[b], int(seen.sum())


def _cells(scores: Floats, is_target: NDArray[np.bool_]) -> tuple[Ints, int]:
    """The cell of each trial, and their number.

    A cell is a run of sorted trials that are all targets or all non-targets, or a group of equal
    scores that holds both. The EER and the least cost never need a threshold inside a cell.
    """
    order = np.argsort(scores)
    score, label = scores[order], is_target[order]
    first = np.concatenate(([True], score[1:] != score[:-1]))
    group = np.cumsum(first) - 1
    size = np.bincount(group)
    share = np.bincount(group, weights=label) / size
    joined = (share[1:] == share[:-1]) & ((share[1:] == 0) | (share[1:] == 1))
    cell_of_group = np.cumsum(np.concatenate(([True], ~joined))) - 1
    cell = np.empty(len(scores), dtype=np.int64)
    cell[order] = cell_of_group[group]
    return cell, int(cell_of_group[-1]) + 1


def _counts(cell: Ints, column: Ints, shape: tuple[int, int]) -> Any:
    # scipy sums what falls on the same place: a count of trials per cell and speaker (or pair).
    from scipy.sparse import coo_array

    return coo_array((np.ones(len(cell)), (cell, column)), shape=shape).tocsr()


def _weighted(
    scores: Floats, is_target: NDArray[np.bool_], a: Ints, b: Ints, weights: Floats
) -> Iterator[tuple[slice, Floats, Floats]]:
    """Yield (replicates, P_miss [K+1, C], P_fa [K+1, C]) in chunks of bounded memory."""
    speakers = weights.shape[1]
    cell, cells = _cells(scores, is_target)
    non = ~is_target
    code = np.minimum(a[non], b[non]) * speakers + np.maximum(a[non], b[non])
    pairs, column = np.unique(code, return_inverse=True)
    left, right = np.divmod(pairs, speakers)
    target_counts = _counts(cell[is_target], a[is_target], (cells, speakers))
    pair_counts = _counts(cell[non], column, (cells, len(pairs)))
    step = max(1, _CHUNK_BYTES // (8 * (3 * len(pairs) + 6 * cells)))
    for begin in range(0, len(weights), step):
        part = slice(begin, min(begin + step, len(weights)))
        drawn = np.ascontiguousarray(weights[part].T)
        rates = []
        for counts, weight in ((target_counts, drawn), (pair_counts, drawn[left] * drawn[right])):
            rate = np.zeros((cells + 1, drawn.shape[1]))
            np.cumsum(counts @ weight, axis=0, out=rate[1:])
            with np.errstate(invalid="ignore"):  # 0/0: nobody of this kind was drawn, NaN says so
                rate /= rate[-1].copy()
            rates.append(rate)
        yield part, rates[0], 1 - rates[1]


def _eers(p_miss: Floats, p_fa: Floats) -> Floats:
    gap = p_miss - p_fa
    right = np.maximum((gap < 0).sum(axis=0), 1)
    column = np.arange(gap.shape[1])
    before, after = gap[right - 1, column], gap[np.minimum(right, len(gap) - 1), column]
    low, high = p_miss[right - 1, column], p_miss[np.minimum(right, len(gap) - 1), column]
    with np.errstate(invalid="ignore"):
        return low - before / (after - before) * (high - low)


def replicate(
    scores: ArrayLike,
    is_target: ArrayLike,
    enrol_speaker: ArrayLike,
    test_speaker: ArrayLike,
    *,
    p_targets: tuple[float, ...] = (),
    replicates: int = 1000,
    seed: int = 0,
    infinite: bool = False,
) -> Replicates:
    """Bootstrap the EER and normalised minDCF (unit costs) over speakers.

    ``scores``, ``is_target`` [N]; ``enrol_speaker`` and ``test_speaker`` [N] are whole numbers >= 0, equal
    for target trials. The draw depends on ``seed`` and the number of speakers only, so two systems on
    the same trials get the same weights. Ties stay together.
    """
    score = check_scores(scores, "trial", infinite)
    label = np.asarray(is_target, dtype=bool)
    if not (label.shape == score.shape == np.shape(enrol_speaker) == np.shape(test_speaker)):
        raise InputError("scores, labels and speakers of the trials differ in number")
    if not label.any() or label.all():
        raise InputError("no target or no non-target trials: error rates need both kinds")
    a, b, speakers = _compress(enrol_speaker, test_speaker)
    if ((a == b) != label).any():
        raise InputError("target trials must have one speaker and non-target trials two")
    costs: Mapping[float, tuple[float, float]] = {p: cost_weights(p, 1.0, 1.0) for p in p_targets}
    random = generator(seed, "speakers", "bootstrap")
    drawn = random.multinomial(speakers, np.full(speakers, 1 / speakers), size=replicates)
    eers = np.empty(replicates)
    dcfs = {p: np.empty(replicates) for p in p_targets}
    for part, p_miss, p_fa in _weighted(score, label, a, b, drawn.astype(np.float64)):
        eers[part] = _eers(p_miss, p_fa)
        for p, (miss, fa) in costs.items():
            dcfs[p][part] = (miss * p_miss + fa * p_fa).min(axis=0) / min(miss, fa)
    return Replicates(eers, dcfs)


def paired_eer(first: Floats, second: Floats, eers: tuple[float, float], level: float = 0.95) -> Paired:
    """Interval of the difference and the ratio of two systems' EERs.

    ``first`` and ``second`` [R] are ``Replicates.eer`` of the same trials and seed, ``eers`` the two
    figures themselves. A ratio 0/0 counts as 1, x/0 as infinite.
    """
    if first.shape != second.shape:
        raise InputError("the two systems have different numbers of replicates")

    def ratio(top: Floats, bottom: Floats) -> Floats:
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.where((top == 0) & (bottom == 0), 1.0, top / bottom)

    one, two = np.asarray(eers[0]), np.asarray(eers[1])
    return Paired(
        float(one - two),
        interval(first - second, level),
        float(ratio(one, two)),
        interval(ratio(first, second), level),
    )
