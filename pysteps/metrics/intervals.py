"""Confidence intervals by a bootstrap over speakers.

Trials are not independent: they share speakers. So speakers are drawn with replacement, and a trial
counts as often as its speakers were drawn: w_s for a target trial of speaker s, w_a w_b for a non-target
trial of speakers a and b (A. Owen, "The pigeonhole bootstrap", 2007). The scores are sorted once; a
replicate is one weighted count of the sorted trials and one cumulative sum.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..formats.errors import InputError
from ..formats.rng import generator
from .detection import Floats, Ints, Sweep, bayes_threshold, check_scores, cost_weights

_CHUNK_BYTES = 128 << 20
_TRIALS = 1 << 21  # counted at a time
Cost = float | tuple[float, float, float]  # p_target with costs of 1, or (p_target, c_miss, c_fa)


class Paired(NamedTuple):
    """Two systems on the same trials: a figure of the first minus (over) the second's, with intervals."""

    difference: float
    difference_ci: tuple[float, float]
    ratio: float
    ratio_ci: tuple[float, float]


@dataclass(frozen=True)
class Replicates:
    """Figures of each bootstrap replicate: ``eer`` [R], ``min_dcf`` {cost: [R]} (normalised), fractions.

    On request ``eer_hull``, ``min_cllr``, ``cllr`` [R] and ``act_dcf`` {cost: [R]}, else None or empty.
    A replicate in which no target or no non-target trial has weight holds NaN.
    """

    eer: Floats
    min_dcf: dict[Cost, Floats]
    eer_hull: Floats | None = None
    min_cllr: Floats | None = None
    act_dcf: dict[Cost, Floats] = field(default_factory=dict)
    cllr: Floats | None = None


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
    a, b = np.asarray(enrol), np.asarray(test)
    seen = np.zeros(int(max(a.max(), b.max())) + 1, dtype=bool)
    seen[a] = seen[b] = True
    number = np.cumsum(seen, dtype=np.int32) - 1
    return number[a], number[b], int(seen.sum())


def _cells(scores: Floats, is_target: NDArray[np.bool_]) -> tuple[Ints, int]:
    """The cell of each trial, and their number.

    A cell is a run of sorted trials that are all targets or all non-targets, or a group of equal
    scores that holds both. The EER and the least cost never need a threshold inside a cell.
    """
    order = np.argsort(scores)
    score, label = scores[order], is_target[order]
    first = np.concatenate(([True], score[1:] != score[:-1]))
    del score  # as large as the trials' scores
    starts = np.flatnonzero(first)
    every, some = np.logical_and.reduceat(label, starts), np.logical_or.reduceat(label, starts)
    del starts
    joined = (every[1:] & every[:-1]) | ~(some[1:] | some[:-1])
    cell_of_group = np.cumsum(np.concatenate(([True], ~joined)), dtype=np.int32) - 1
    cell = np.empty(len(scores), dtype=np.int32)
    cell[order] = cell_of_group[np.cumsum(first, dtype=np.int32) - 1]
    return cell, int(cell_of_group[-1]) + 1


def _counts(cell: Ints, column: Ints, shape: tuple[int, int]) -> Any:
    # scipy sums what falls on the same place: a count of trials per cell and speaker (or pair).
    from scipy.sparse import coo_array

    return coo_array((np.ones(len(cell), np.int32), (cell, column)), shape=shape).tocsr().astype(float)


class _Pool:
    """Trials as counts by cell and speaker, or pair of speakers: what a draw of speakers weighs."""

    def __init__(self, label: NDArray[np.bool_], a: Ints, b: Ints, speakers: int) -> None:
        non = ~label
        key = np.minimum(a[non], b[non]).astype(np.int64)
        key *= speakers
        key += np.maximum(a[non], b[non])
        order = np.argsort(key)  # np.unique's inverse takes twice the memory
        key = key[order]
        new = np.concatenate(([True], key[1:] != key[:-1]))
        pairs = key[new]
        del key
        self._pair = np.empty(len(order), np.int32)
        self._pair[order] = np.cumsum(new, dtype=np.int32) - 1
        del order, new
        self.label, self._speaker, self._speakers = label, a[label], speakers
        self._left, self._right = (side.astype(np.int32) for side in np.divmod(pairs, speakers))

    def weights(self, drawn: Floats) -> tuple[Floats, Floats]:
        """Weights [S, C] of the speakers' targets and [pairs, C] of the pairs' non-targets."""
        return drawn, drawn[self._left] * drawn[self._right]

    def means(self, value: ArrayLike, weights: Floats) -> tuple[Floats, Floats]:
        """Means [R] of ``value`` [N] over targets and over non-targets, of draws ``weights`` [R, S]."""
        from scipy.sparse import coo_array

        array = np.asarray(value)
        size = self._speakers
        with np.errstate(invalid="ignore"):  # 0/0: nobody of this kind was drawn, NaN says so
            sums = (_totals(self._speaker, part, size) for part in (array[self.label], None))
            one, one_all = (weights @ part for part in sums)
            other = []
            for part in (array[~self.label], None):
                table = _totals(self._pair, part, len(self._left))
                sparse = coo_array((table, (self._left, self._right)), shape=(size, size)).tocsr()
                other.append(
                    np.concatenate(
                        [((sparse @ some.T).T * some).sum(axis=1) for some in _pieces(weights)]
                    )
                )
            return one / one_all, other[0] / other[1]

    def rates(self, scores: Floats, weights: Floats) -> Iterator[tuple[slice, Floats, Floats]]:
        """Yield (replicates, P_miss [K+1, C], P_fa [K+1, C]) in chunks of bounded memory."""
        cell, cells = _cells(scores, self.label)
        tables = (
            _counts(cell[self.label], self._speaker, (cells, self._speakers)),
            _counts(cell[~self.label], self._pair, (cells, len(self._left))),
        )
        step = max(1, _CHUNK_BYTES // (8 * (3 * len(self._left) + 6 * cells)))
        for begin in range(0, len(weights), step):
            part = slice(begin, min(begin + step, len(weights)))
            drawn = self.weights(np.ascontiguousarray(weights[part].T))
            rates = []
            for table, weight in zip(tables, drawn, strict=True):
                rate = np.zeros((cells + 1, weight.shape[1]))
                np.cumsum(table @ weight, axis=0, out=rate[1:])
                with np.errstate(invalid="ignore"):  # 0/0, as in means
                    rate /= rate[-1].copy()
                rates.append(rate)
            yield part, rates[0], 1 - rates[1]


def _totals(place: Ints, value: NDArray[Any] | None, size: int) -> Floats:
    # np.bincount in pieces: it makes both arrays wider, which is as much again as the scores.
    out = np.zeros(size)
    for begin in range(0, len(place), _TRIALS):
        some = slice(begin, begin + _TRIALS)
        out += np.bincount(place[some], None if value is None else value[some], size)
    return out


def _pieces(weights: Floats) -> Iterator[Floats]:
    for begin in range(0, len(weights), 100):  # so many replicates' products at a time
        yield weights[begin : begin + 100]


def _hull(p_miss: Floats, p_fa: Floats) -> tuple[Floats, Floats]:
    # EER on the convex hull, and minimum Cllr, of each column; the draws' shares serve as counts.
    out = np.full((2, p_miss.shape[1]), np.nan)
    for column in range(p_miss.shape[1]):
        targets, nontargets = np.diff(p_miss[:, column]), -np.diff(p_fa[:, column])
        kept = targets + nontargets > 0
        if kept.any():
            curve = Sweep(np.arange(kept.sum(), dtype=float), targets[kept], nontargets[kept])
            out[:, column] = curve.eer_hull(), curve.min_cllr()
    return out[0], out[1]


def _eers(p_miss: Floats, p_fa: Floats) -> Floats:
    gap = p_miss - p_fa
    right = np.maximum((gap < 0).sum(axis=0), 1)
    column = np.arange(gap.shape[1])
    before, after = gap[right - 1, column], gap[np.minimum(right, len(gap) - 1), column]
    low, high = p_miss[right - 1, column], p_miss[np.minimum(right, len(gap) - 1), column]
    with np.errstate(invalid="ignore"):
        return low - before / (after - before) * (high - low)


def _three(cost: Cost) -> tuple[float, float, float]:
    return cost if isinstance(cost, tuple) else (cost, 1.0, 1.0)


def replicate(
    scores: ArrayLike,
    is_target: ArrayLike,
    enrol_speaker: ArrayLike,
    test_speaker: ArrayLike,
    *,
    p_targets: Sequence[Cost] = (),
    replicates: int = 1000,
    seed: int = 0,
    infinite: bool = False,
    hull: bool = False,
    likelihood_ratios: bool = False,
) -> Replicates:
    """Bootstrap the EER and normalised minDCF (at the costs ``p_targets``) over speakers.

    ``scores``, ``is_target`` [N]; ``enrol_speaker`` and ``test_speaker`` [N] are whole numbers >= 0, equal
    for target trials. ``hull`` adds the hull's EER and minimum Cllr, ``likelihood_ratios`` actDCF and Cllr.
    The draw depends on ``seed`` and the number of speakers only, so two systems on the same trials get
    the same weights. Ties stay together.
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
    costs: Mapping[Cost, tuple[float, float]] = {cost: cost_weights(*_three(cost)) for cost in p_targets}
    random = generator(seed, "speakers", "bootstrap")
    drawn = random.multinomial(speakers, np.full(speakers, 1 / speakers), size=replicates)
    weights, pool = drawn.astype(np.float64), _Pool(label, a, b, speakers)
    del a, b
    eers, hulls = np.empty(replicates), np.full((2, replicates), np.nan)
    dcfs: dict[Cost, Floats] = {cost: np.empty(replicates) for cost in costs}
    for part, p_miss, p_fa in pool.rates(score, weights):
        eers[part] = _eers(p_miss, p_fa)
        for cost, (miss, fa) in costs.items():
            dcfs[cost][part] = (miss * p_miss + fa * p_fa).min(axis=0) / min(miss, fa)
        if hull:
            hulls[:, part] = _hull(p_miss, p_fa)
    actual, bits = _calibrated(score, costs, pool, weights) if likelihood_ratios else ({}, None)
    return Replicates(eers, dcfs, hulls[0] if hull else None, hulls[1] if hull else None, actual, bits)


def _calibrated(
    score: Floats, costs: Mapping[Cost, tuple[float, float]], pool: _Pool, weights: Floats
) -> tuple[dict[Cost, Floats], Floats | None]:
    # actDCF by cost and Cllr (None with infinite scores): weighted means of each trial's part.
    actual: dict[Cost, Floats] = {}
    for cost, (miss, fa) in costs.items():
        rejected, accepted = pool.means(score < bayes_threshold(*_three(cost)), weights)
        actual[cost] = (miss * rejected + fa * (1 - accepted)) / min(miss, fa)
    if not np.isfinite(score).all():
        return actual, None
    bits = np.where(pool.label, -score, score)
    below, above = pool.means(np.logaddexp(0.0, bits, out=bits), weights)
    return actual, (below + above) / (2 * np.log(2))


def paired(first: Floats, second: Floats, figures: tuple[float, float], level: float = 0.95) -> Paired:
    """Interval of the difference and the ratio of one figure (EER, a cost, Cllr) of two systems.

    ``first`` and ``second`` [R] are that figure in ``Replicates`` of the same trials and seed, ``figures``
    the two values themselves. A ratio 0/0 counts as 1, x/0 as infinite.
    """
    if first.shape != second.shape:
        raise InputError("the two systems have different numbers of replicates")

    def ratio(top: Floats, bottom: Floats) -> Floats:
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.where((top == 0) & (bottom == 0), 1.0, top / bottom)

    one, two = np.asarray(figures[0]), np.asarray(figures[1])
    return Paired(
        float(one - two),
        interval(first - second, level),
        float(ratio(one, two)),
        interval(ratio(first, second), level),
    )
