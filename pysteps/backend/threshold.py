"""A threshold to deploy: for a false-alarm rate or a cost, with the error rates to expect there."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..formats.errors import InputError
from ..formats.rng import generator
from ..metrics.detection import Sweep, bayes_threshold, cost_weights, sweep_trials
from ..metrics.intervals import interval
from .stats import Floats

_FEW = 30  # errors: G. Doddington's rule of 30, for a rate known to 30 % of itself
_REPLICATES = 100  # at a time: memory


def choose_threshold(
    scores: ArrayLike,
    is_target: ArrayLike,
    *,
    p_fa: float | None = None,
    cost: tuple[float, float, float] | None = None,
    calibrated: bool = False,
    enrol_speaker: ArrayLike | None = None,
    test_speaker: ArrayLike | None = None,
    level: float = 0.95,
    replicates: int = 1000,
    seed: int = 0,
) -> dict[str, Any]:
    """The threshold (accept: score >= threshold) for one criterion, from development ``scores`` [N].

    Give ``p_fa`` (the least threshold whose share of accepted non-targets is not above it) or ``cost``
    (p_target, c_miss, c_fa): the threshold of least cost on these scores or, with ``calibrated`` (natural-log
    likelihood ratios), the Bayes threshold. A threshold between two scores lies in their middle.

    ``enrol_speaker`` and ``test_speaker`` [N] (names or numbers) give intervals by bootstrap over speakers at
    this fixed threshold; without them they are Clopper and Pearson's, of trials taken as independent.
    Infinite scores (dropped trials) are left out and counted.

    Returns a dict ready for JSON: criterion, asked, threshold, p_miss, p_miss_ci, p_fa, p_fa_ci, cost and
    cost_ci (normalised; None for p_fa), targets, nontargets, dropped_trials, speakers (or None), interval,
    level, notes. Rates are fractions.
    """
    score, label = np.asarray(scores, dtype=np.float64), np.asarray(is_target, dtype=bool)
    if score.shape != label.shape or score.ndim != 1:
        raise InputError(f"scores of shape {score.shape} but {label.shape} trial labels")
    if (p_fa is None) == (cost is None):
        raise InputError("give a false-alarm rate or a cost, one of the two")
    for name, value in (("false-alarm rate", p_fa), ("level", level)):
        if value is not None and not 0 < value < 1:
            raise InputError(f"a {name} of {value}: it must lie between 0 and 1")
    kept = ~np.isinf(score)
    curve = sweep_trials(score[kept], label[kept])
    threshold = _search(curve, p_fa, cost, calibrated)
    score, label = score[kept], label[kept]
    wrong = label != (score >= threshold)
    counts = (int(wrong[label].sum()), int(label.sum())), (int(wrong[~label].sum()), int((~label).sum()))
    speakers, drawn = None, None
    if enrol_speaker is not None and test_speaker is not None:
        one, two = np.asarray(enrol_speaker), np.asarray(test_speaker)
        if not one.shape == two.shape == kept.shape:
            raise InputError("scores and speakers of the trials differ in number")
        speakers, drawn = _bootstrap(wrong, label, one[kept], two[kept], replicates, seed)
    found = _expected(counts, drawn, None if cost is None else cost_weights(*cost), level)
    return {
        "criterion": "p_fa" if cost is None else "cost",
        "asked": p_fa if cost is None else list(cost),
        "threshold": threshold,
        **found,
        "targets": counts[0][1],
        "nontargets": counts[1][1],
        "dropped_trials": int((~kept).sum()),
        "speakers": speakers,
        "interval": "trials taken as independent" if speakers is None else "bootstrap over speakers",
        "level": level,
        "notes": _notes(p_fa, cost is not None and not calibrated, counts, speakers),
    }


def _search(
    curve: Sweep, p_fa: float | None, cost: tuple[float, float, float] | None, calibrated: bool
) -> float:
    if p_fa is not None or cost is None:
        return _between(curve, int(np.argmax(curve.p_fa <= (p_fa or 0.0))))
    if calibrated:
        return bayes_threshold(*cost)
    miss, fa = cost_weights(*cost)
    return _between(curve, int(np.argmin(miss * curve.p_miss + fa * curve.p_fa)))


def _between(curve: Sweep, place: int) -> float:
    # The middle of a gap rounds least badly: any value in it does the same on these scores.
    if place == len(curve.thresholds):
        return float(np.nextafter(curve.thresholds[-1], np.inf))
    here = curve.thresholds[place]
    if place == 0:
        return float(here)
    middle = curve.thresholds[place - 1] + (here - curve.thresholds[place - 1]) / 2
    return float(middle if middle > curve.thresholds[place - 1] else here)


def _bootstrap(
    wrong: NDArray[np.bool_],
    label: NDArray[np.bool_],
    enrol: NDArray[Any],
    test: NDArray[Any],
    replicates: int,
    seed: int,
) -> tuple[int, Floats]:
    """The number of speakers and [R, 2] miss and false-alarm rates; NaN where a replicate has no trial."""
    from scipy.sparse import coo_array

    names, number = np.unique(np.concatenate([enrol, test]), return_inverse=True)
    one, two = number[: len(enrol)], number[len(enrol) :]
    if ((one == two) != label).any():
        raise InputError("target trials must have one speaker and non-target trials two")
    size = len(names)
    random = generator(seed, "speakers", "bootstrap")
    weights = random.multinomial(size, np.full(size, 1 / size), size=replicates).astype(np.float64)
    rates = np.empty((replicates, 2))
    with np.errstate(invalid="ignore"):  # 0/0: nobody of this kind was drawn
        of_speaker = [np.bincount(one[part], minlength=size) for part in (label & wrong, label)]
        rates[:, 0] = (weights @ of_speaker[0]) / (weights @ of_speaker[1])
        of_pair = [
            coo_array((np.ones(part.sum()), (one[part], two[part])), shape=(size, size)).tocsr()
            for part in (~label & wrong, ~label)
        ]
        for begin in range(0, replicates, _REPLICATES):
            some = weights[begin : begin + _REPLICATES]
            sums = [(some * (table @ some.T).T).sum(axis=1) for table in of_pair]
            rates[begin : begin + _REPLICATES, 1] = sums[0] / sums[1]
    return size, rates


def _binomial(errors: int, trials: int, level: float) -> tuple[float, float]:
    # C. Clopper and E. Pearson, 1934.
    from scipy.special import betaincinv

    tail = (1 - level) / 2
    low = 0.0 if errors == 0 else float(betaincinv(errors, trials - errors + 1, tail))
    high = 1.0 if errors == trials else float(betaincinv(errors + 1, trials - errors, 1 - tail))
    return low, high


def _expected(
    counts: tuple[tuple[int, int], tuple[int, int]],
    drawn: Floats | None,
    weights: tuple[float, float] | None,
    level: float,
) -> dict[str, Any]:
    rates = [errors / trials for errors, trials in counts]
    ends = []
    for (errors, trials), column in zip(counts, (0, 1), strict=True):
        low, high = _binomial(errors, trials, level)
        if drawn is not None and 0 < errors < trials:  # else no draw can show another rate than this one
            low, high = interval(drawn[:, column], level)
        ends.append([low, high])
    out: dict[str, Any] = {"p_miss": rates[0], "p_miss_ci": ends[0], "p_fa": rates[1], "p_fa_ci": ends[1]}
    if weights is None:
        return out | {"cost": None, "cost_ci": None}
    miss, fa = (weight / min(weights) for weight in weights)
    out["cost"] = miss * rates[0] + fa * rates[1]
    if drawn is None or any(errors in (0, trials) for errors, trials in counts):
        # Both ends together are wider than they need be, never narrower.
        out["cost_ci"] = [miss * ends[0][side] + fa * ends[1][side] for side in (0, 1)]
    else:
        out["cost_ci"] = list(interval(miss * drawn[:, 0] + fa * drawn[:, 1], level))
    return out


def _notes(
    p_fa: float | None,
    searched: bool,
    counts: tuple[tuple[int, int], tuple[int, int]],
    speakers: int | None,
) -> list[str]:
    notes = []
    (_, targets), (_, nontargets) = counts
    if p_fa is not None and p_fa * nontargets < 1:
        notes.append(f"{nontargets} non-target trials cannot show a false-alarm rate of {p_fa:g}")
    for (errors, trials), what in zip(counts, ("misses", "false alarms"), strict=True):
        if errors < _FEW:
            notes.append(f"{errors} {what} in {trials} trials: below {_FEW} the rate is known roughly only")
    if searched:
        notes.append("threshold and cost come from the same scores: expect a little more on new ones")
    if speakers is None:
        notes.append("no speakers given: trials share speakers, so the intervals are too narrow")
    elif speakers < 30:
        notes.append(f"{speakers} speakers: below 30 the intervals are rough")
    return notes
