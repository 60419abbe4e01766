"""EER, detection cost and Cllr from target and non-target scores, O(N log N).

A detector accepts a trial when ``score >= threshold``. Definitions: NIST SRE plans for the detection
cost; N. Brummer and J. du Preez, "Application-independent evaluation of speaker detection", 2006, for
Cllr and its PAV minimum; the convex-hull EER as in Bosaris and ROCAnalysis.jl. Rates are fractions.

Trials of dropped utterances are passed as ``-inf`` (targets) and ``+inf`` (non-targets) together with
``infinite=True``: such a trial is wrong at every finite threshold. EER, minDCF and actDCF stay finite;
Cllr becomes infinite, because a certain answer that is wrong costs infinitely much.
"""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..formats.errors import InputError

Floats = NDArray[np.float64]
Ints = NDArray[np.integer]
_BLOCK = 1 << 20  # thresholds at a time: what is worked out beside a sweep of millions stays small


class Eer(NamedTuple):
    """An equal error rate (a fraction) and the score at which it is reached."""

    rate: float
    threshold: float


def check_scores(scores: ArrayLike, what: str, infinite: bool = False) -> Floats:
    """``scores`` as float64 [N]; NaN, and infinities unless ``infinite``, are an InputError."""
    array = np.asarray(scores, dtype=np.float64)
    if array.ndim != 1:
        raise InputError(f"{what} scores must be one row of numbers, not shape {array.shape}")
    bad = np.isnan(array) if infinite else ~np.isfinite(array)
    if bad.any():
        first = int(np.flatnonzero(bad)[0])
        raise InputError(f"{int(bad.sum())} {what} scores are not finite, the first is number {first + 1}")
    return array


def _both(targets: ArrayLike, nontargets: ArrayLike, infinite: bool) -> tuple[Floats, Floats]:
    tar = check_scores(targets, "target", infinite)
    non = check_scores(nontargets, "non-target", infinite)
    _check_kinds(len(tar), len(non))
    return tar, non


def _check_kinds(targets: int, nontargets: int) -> None:
    for count, what in ((targets, "target"), (nontargets, "non-target")):
        if not count:
            raise InputError(f"no {what} trials: error rates need both kinds")


@dataclass(frozen=True)
class Sweep:
    """What a threshold does as it rises over every score: one sort, all figures.

    ``thresholds`` [K] ascending; ``targets`` and ``nontargets`` [K] count the trials at each of them (or
    weigh them).
    """

    thresholds: Floats
    targets: Ints | Floats
    nontargets: Ints | Floats

    @cached_property
    def p_miss(self) -> Floats:
        """[K+1] share of targets below threshold k; the last entry rejects everything."""
        out = np.zeros(len(self.targets) + 1)
        np.cumsum(self.targets, out=out[1:])
        out /= self.targets.sum()
        return out

    @cached_property
    def p_fa(self) -> Floats:
        """[K+1] share of non-targets at or above threshold k; the last entry rejects everything."""
        total = self.nontargets.sum()
        out = np.zeros(len(self.nontargets) + 1)
        np.cumsum(self.nontargets, out=out[1:])
        np.subtract(total, out, out=out)
        out /= total
        return out

    def eer(self) -> Eer:
        """Where miss and false-alarm rate meet, on straight lines between the measured points."""

        def gap(place: int) -> float:
            return float(self.p_miss[place] - self.p_fa[place])

        right = bisect_left(range(len(self.p_miss)), 0.0, key=gap)  # it never falls
        part = -gap(right - 1) / (gap(right) - gap(right - 1))
        rate = self.p_miss[right - 1] + part * (self.p_miss[right] - self.p_miss[right - 1])
        low, high = self.thresholds[right - 1], self.thresholds[min(right, len(self.thresholds) - 1)]
        if np.isinf(low) or np.isinf(high):
            return Eer(float(rate), float(high if np.isinf(low) else low))
        return Eer(float(rate), float(low + part * (high - low)))

    @cached_property
    def _blocks(self) -> tuple[Ints | Floats, Ints | Floats]:
        # Pool-adjacent-violators: its blocks are the edges of the ROC's convex hull. What is pooled within a
        # part is pooled in the whole, too, so millions of thresholds are done part by part first.
        targets, nontargets = self.targets, self.nontargets
        if len(targets) > _BLOCK:
            begins = range(0, len(targets), _BLOCK)
            parts = [_pooled(targets[at : at + _BLOCK], nontargets[at : at + _BLOCK]) for at in begins]
            targets, nontargets = (np.concatenate(side) for side in zip(*parts, strict=True))
        return _pooled(targets, nontargets)

    def eer_hull(self) -> float:
        """EER on the convex hull of the ROC: never above 1/2, the reachable one with random choice."""
        return Sweep(np.arange(len(self._blocks[0]), dtype=float), *self._blocks).eer().rate

    def min_dcf(
        self, p_target: float, c_miss: float = 1.0, c_fa: float = 1.0, normalised: bool = True
    ) -> float:
        """Least cost over all thresholds: p C_miss P_miss + (1-p) C_fa P_fa.

        ``normalised`` divides by the cost of the better of "accept all" and "reject all" (NIST).
        """
        miss, fa = cost_weights(p_target, c_miss, c_fa)
        parts = [slice(at, at + _BLOCK) for at in range(0, len(self.p_miss), _BLOCK)]
        least = min(float(np.min(miss * self.p_miss[part] + fa * self.p_fa[part])) for part in parts)
        return least / (min(miss, fa) if normalised else 1.0)

    def min_cllr(self) -> float:
        """Cllr in bits after the best monotone calibration (PAV); finite even with infinite scores."""
        tar, non = (block.astype(float) for block in self._blocks)
        share_tar, share_non = tar / tar.sum(), non / non.sum()
        mixed = (tar > 0) & (non > 0)  # a pure block costs nothing once it is calibrated
        ratio = share_tar[mixed] / share_non[mixed]
        cost = share_tar[mixed] * np.log1p(1 / ratio) + share_non[mixed] * np.log1p(ratio)
        return float(cost.sum() / (2 * np.log(2)))


def _pooled(targets: Ints | Floats, nontargets: Ints | Floats) -> tuple[Ints | Floats, Ints | Floats]:
    from scipy.optimize import isotonic_regression

    count = targets + nontargets
    starts = isotonic_regression(targets / count, weights=count).blocks[:-1]
    return np.add.reduceat(targets, starts), np.add.reduceat(nontargets, starts)


def cost_weights(p_target: float, c_miss: float, c_fa: float) -> tuple[float, float]:
    """(p C_miss, (1-p) C_fa), refusing a prior outside (0, 1) and costs that are not positive numbers."""
    if not (0 < p_target < 1 and 0 < c_miss < np.inf and 0 < c_fa < np.inf):
        wanted = "p_target must lie between 0 and 1, c_miss and c_fa above 0 and finite"
        raise InputError(f"no detection cost with {p_target}, {c_miss}, {c_fa}: {wanted}")
    return p_target * c_miss, (1 - p_target) * c_fa


def sweep_trials(
    scores: ArrayLike, is_target: ArrayLike, *, ties: str = "together", infinite: bool = False
) -> Sweep:
    """Sweep trials in file order: ``scores`` [N], ``is_target`` [N].

    ``ties="together"`` (a threshold cannot part equal scores) is right; ``"split"`` rejects tied trials
    one by one in file order, as the VoxSRC scoring script does, for comparison with figures made so.
    """
    score = check_scores(scores, "trial", infinite)
    label = np.asarray(is_target, dtype=bool)
    if label.shape != score.shape:
        raise InputError(f"{len(score)} scores but {len(label)} trial labels")
    if ties not in ("together", "split"):
        raise InputError(f"unknown ties={ties!r}: known are together, split")
    _check_kinds(int(label.sum()), int((~label).sum()))
    order = np.argsort(score, kind="stable" if ties == "split" else None)
    score, label = score[order], label[order].astype(np.int32)
    del order  # as large as the scores
    new = np.concatenate(([True], score[1:] != score[:-1]))
    if ties == "split" or new.all():
        return Sweep(score, label, 1 - label)
    starts = np.flatnonzero(new)
    targets = np.add.reduceat(label, starts)
    del label
    score = score[new]
    size = np.diff(starts, append=len(new)).astype(np.int32)
    size -= targets
    return Sweep(score, targets, size)


def sweep(targets: ArrayLike, nontargets: ArrayLike, *, infinite: bool = False) -> Sweep:
    """Sweep target [T] and non-target [N] scores, ties together."""
    tar, non = _both(targets, nontargets, infinite)
    is_target = np.arange(len(tar) + len(non)) < len(tar)
    return sweep_trials(np.concatenate([tar, non]), is_target, infinite=infinite)


def eer(targets: ArrayLike, nontargets: ArrayLike, *, infinite: bool = False) -> Eer:
    """Interpolated equal error rate and its threshold (see Sweep.eer)."""
    return sweep(targets, nontargets, infinite=infinite).eer()


def eer_hull(targets: ArrayLike, nontargets: ArrayLike, *, infinite: bool = False) -> float:
    """Equal error rate on the ROC's convex hull (see Sweep.eer_hull)."""
    return sweep(targets, nontargets, infinite=infinite).eer_hull()


def min_dcf(
    targets: ArrayLike,
    nontargets: ArrayLike,
    p_target: float,
    c_miss: float = 1.0,
    c_fa: float = 1.0,
    *,
    normalised: bool = True,
    infinite: bool = False,
) -> float:
    """Least detection cost over all thresholds (see Sweep.min_dcf)."""
    return sweep(targets, nontargets, infinite=infinite).min_dcf(p_target, c_miss, c_fa, normalised)


def bayes_threshold(p_target: float, c_miss: float = 1.0, c_fa: float = 1.0) -> float:
    """The natural-log likelihood ratio at which accepting and rejecting cost the same."""
    miss, fa = cost_weights(p_target, c_miss, c_fa)
    return float(np.log(fa) - np.log(miss))


def act_dcf(
    targets: ArrayLike,
    nontargets: ArrayLike,
    p_target: float,
    c_miss: float = 1.0,
    c_fa: float = 1.0,
    *,
    normalised: bool = True,
    infinite: bool = False,
) -> float:
    """Detection cost at the Bayes threshold; scores are natural-log likelihood ratios."""
    tar, non = _both(targets, nontargets, infinite)
    miss, fa = cost_weights(p_target, c_miss, c_fa)
    threshold = bayes_threshold(p_target, c_miss, c_fa)
    cost = miss * float(np.mean(tar < threshold)) + fa * float(np.mean(non >= threshold))
    return cost / (min(miss, fa) if normalised else 1.0)


def cllr(targets: ArrayLike, nontargets: ArrayLike, *, infinite: bool = False) -> float:
    """Cost of the log likelihood ratios in bits; a target at -inf or a non-target at +inf makes it inf."""
    tar, non = _both(targets, nontargets, infinite)
    cost = _mean_bits(tar, -1.0) + _mean_bits(non, 1.0)
    return cost / 2


def _mean_bits(scores: Floats, sign: float) -> float:
    parts = [scores[at : at + _BLOCK] for at in range(0, len(scores), _BLOCK)]
    total = sum(float(np.logaddexp(0.0, sign * part).sum()) for part in parts)
    return total / len(scores) / float(np.log(2))


def min_cllr(targets: ArrayLike, nontargets: ArrayLike, *, infinite: bool = False) -> float:
    """Cllr after the best monotone calibration (see Sweep.min_cllr)."""
    return sweep(targets, nontargets, infinite=infinite).min_cllr()
