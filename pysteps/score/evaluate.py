"""All figures of one list of scores, anybody's, ready for JSON; intervals where speakers are known."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..formats.errors import InputError
from ..metrics import Sweep, act_dcf, cllr, interval, replicate, sweep_trials
from ..metrics.detection import check_scores, cost_weights
from ..metrics.intervals import Cost, Replicates
from .few import enough, speaker_notes
from .trials import Trials

COSTS: tuple[Cost, ...] = (0.01, 0.05, 0.001)
Speakers = tuple[NDArray[np.integer], NDArray[np.integer]]


def cost_of(text: str) -> Cost:
    """``P`` or ``P,C_MISS,C_FA`` as a cost; anything else is an InputError."""
    try:
        numbers = [float(word) for word in text.split(",")]
    except ValueError:
        numbers = []
    if len(numbers) not in (1, 3):
        raise InputError(f"--cost {text}: give P or P,C_MISS,C_FA, e.g. 0.01 or 0.01,10,1")
    cost: Cost = numbers[0] if len(numbers) == 1 else (numbers[0], numbers[1], numbers[2])
    cost_weights(*three(cost))
    return cost


def three(cost: Cost) -> tuple[float, float, float]:
    """(p_target, c_miss, c_fa) of a cost."""
    return cost if isinstance(cost, tuple) else (cost, 1.0, 1.0)


def name_of(cost: Cost) -> str:
    """A cost's name in JSON: ``0.01``, or ``0.01,10,1`` where it has costs of its own."""
    return ",".join(f"{number:g}" for number in cost) if isinstance(cost, tuple) else f"{cost:g}"


def look_like_cosines(scores: NDArray[np.float64]) -> bool:
    """Whether all scores lie in [-1, 1]: then they are taken as cosines, and not as likelihood ratios."""
    known = scores[np.isfinite(scores)]
    return bool(len(known) == 0 or np.abs(known).max() <= 1 + 1e-6)


def check_bootstrap(replicates: int, seed: int) -> None:
    """InputError unless a bootstrap can be drawn so: two replicates at least, a seed from 0 on."""
    if replicates < 2:
        mend = "200 do for a first look; without utt2spk there are no intervals"
        raise InputError(f"{replicates} bootstrap replicates: an interval needs two at least", mend=mend)
    if seed < 0:
        raise InputError(f"a seed of {seed}: it must be 0 or above")


class Judged(NamedTuple):
    """``figures`` for JSON, and the bootstrap behind their intervals: None without speakers, or too few."""

    figures: dict[str, Any]
    drawn: Replicates | None


def judged(
    scores: NDArray[np.float64],
    is_target: NDArray[np.bool_],
    *,
    speakers: Speakers | None = None,
    costs: Sequence[Cost] = COSTS,
    raw: bool = False,
    ties: str = "together",
    likelihood_ratios: bool = False,
    replicates: int = 1000,
    seed: int = 0,
) -> Judged:
    """EER in percent (interpolated, hull), minDCF by cost, minimum Cllr in bits; actDCF and Cllr on request.

    ``scores``, ``is_target`` [N]; a dropped trial is -inf (target) or inf (non-target). ``speakers``: numbers
    of both sides' speakers [N], for 95 % intervals by bootstrap (``..._ci``; null without, and where they are
    not ``enough``). ``raw``: costs that are not divided by the better of "accept all" and "reject all".
    ``ties``: see sweep_trials; intervals keep ties together. What was not asked for is null; Cllr is null
    (infinite) with dropped trials.
    """
    check_bootstrap(replicates, seed)
    out: dict[str, Any] = {
        "dropped_trials": dropped_trials(scores, is_target),
        **_uncalibrated(sweep_trials(scores, is_target, ties=ties, infinite=True), costs, raw),
        **_calibrated(scores, is_target, costs, raw, likelihood_ratios),
        "targets": int(is_target.sum()),
        "nontargets": int((~is_target).sum()),
        "speakers": None,
    }
    none: dict[str, Any] = {f"{key}_ci": None for key in _FIGURES}
    if speakers is None:
        return Judged(out | none, None)
    out["speakers"] = len(np.union1d(*speakers))
    drawn = replicate(
        scores,
        is_target,
        *speakers,
        p_targets=tuple(costs),
        replicates=replicates,
        seed=seed,
        infinite=True,
        hull=True,
        likelihood_ratios=likelihood_ratios,
    )
    if not enough(drawn.eer, out["speakers"]):
        return Judged(out | none, None)
    return Judged(out | _intervals(drawn, raw), drawn)


def figures(scores: NDArray[np.float64], is_target: NDArray[np.bool_], **options: Any) -> dict[str, Any]:
    """The figures of ``judged``."""
    return judged(scores, is_target, **options).figures


_FIGURES = ("eer", "eer_hull", "min_dcf", "act_dcf", "cllr", "min_cllr")


def number(value: float) -> float | None:
    """For JSON, which knows no infinity."""
    return float(value) if np.isfinite(value) else None


def dropped_trials(scores: NDArray[np.float64], is_target: NDArray[np.bool_]) -> int:
    """How many ``scores`` [N] are infinite and wrong, as of dropped utterances; InputError where right."""
    check_scores(scores, "trial", infinite=True)
    infinite = np.isinf(scores)
    sure = infinite & ((scores > 0) == is_target)
    if sure.any():
        said = f"{sure.sum()} scores are infinite and right: only dropped trials may be infinite, and wrong"
        raise InputError(said, mend="give finite scores")
    return int(infinite.sum())


def _uncalibrated(curve: Sweep, costs: Sequence[Cost], raw: bool) -> dict[str, Any]:
    rate, threshold = curve.eer()
    return {
        "eer": 100 * rate,
        "eer_hull": 100 * curve.eer_hull(),
        "threshold": number(threshold),
        "min_dcf": {name_of(cost): curve.min_dcf(*three(cost), not raw) for cost in costs},
        "min_cllr": curve.min_cllr(),
    }


def _calibrated(
    scores: NDArray[np.float64],
    is_target: NDArray[np.bool_],
    costs: Sequence[Cost],
    raw: bool,
    likelihood_ratios: bool,
) -> dict[str, Any]:
    if not likelihood_ratios:
        return {"act_dcf": None, "cllr": None}
    tar, non = scores[is_target], scores[~is_target]
    act = {
        name_of(cost): act_dcf(tar, non, *three(cost), normalised=not raw, infinite=True) for cost in costs
    }
    return {"act_dcf": act, "cllr": number(cllr(tar, non, infinite=True))}


def _intervals(drawn: Replicates, raw: bool) -> dict[str, Any]:
    def ends(values: NDArray[np.float64] | None, factor: float = 1.0) -> list[float] | None:
        return None if values is None else [factor * end for end in interval(values)]

    def by_cost(found: Mapping[Cost, NDArray[np.float64]]) -> dict[str, Any] | None:
        return {
            name_of(cost): ends(values, min(cost_weights(*three(cost))) if raw else 1.0)
            for cost, values in found.items()
        } or None

    return {
        "eer_ci": ends(drawn.eer, 100.0),
        "eer_hull_ci": ends(drawn.eer_hull, 100.0),
        "min_dcf_ci": by_cost(drawn.min_dcf),
        "act_dcf_ci": by_cost(drawn.act_dcf),
        "cllr_ci": ends(drawn.cllr),
        "min_cllr_ci": ends(drawn.min_cllr),
    }


def evaluate(
    trials: Trials,
    scores: NDArray[np.float64],
    *,
    utt2spk: Mapping[str, str] | None = None,
    where: object = "utt2spk",
    likelihood_ratios: bool | None = None,
    conditions: Mapping[str, NDArray[np.str_]] | None = None,
    **options: Any,
) -> dict[str, Any]:
    """``figures`` (and its ``options``) of ``trials``, and of each value of ``conditions`` {name: [N]}.

    ``utt2spk`` (of the file ``where``) knows every id (a speaker's own name, too) and gives intervals.
    ``likelihood_ratios``: None decides by look_like_cosines. ``notes`` say what to doubt.
    """
    speakers = None if utt2spk is None else speakers_of(trials, utt2spk, where)
    if likelihood_ratios is None:
        likelihood_ratios = not look_like_cosines(scores)
    options |= {"likelihood_ratios": likelihood_ratios}
    out = figures(scores, trials.is_target, speakers=speakers, **options)
    notes = score_notes(out, scores, likelihood_ratios)
    notes += speaker_notes(out)
    tables = {
        name: _by_value(values, scores, trials.is_target, speakers, options)
        for name, values in (conditions or {}).items()
    }
    return {**out, "trials": len(trials), "notes": notes, "conditions": tables}


def _by_value(
    values: NDArray[np.str_],
    scores: NDArray[np.float64],
    label: NDArray[np.bool_],
    speakers: Speakers | None,
    options: dict[str, Any],
) -> dict[str, Any]:
    # A value without both kinds of trials has counts and a note, no figures.
    out: dict[str, Any] = {}
    for value in np.unique(values).tolist():
        rows = values == value
        kind = label[rows]
        if not kind.any() or kind.all():
            counts = {"targets": int(kind.sum()), "nontargets": int((~kind).sum())}
            out[value] = {**counts, "eer": None, "note": "one kind of trials only"}
            continue
        some = None if speakers is None else (speakers[0][rows], speakers[1][rows])
        out[value] = figures(scores[rows], kind, speakers=some, **options)
        if notes := speaker_notes(out[value]):
            out[value]["note"] = "; ".join(notes)
    return out


def score_notes(found: Mapping[str, Any], scores: NDArray[np.float64], likelihood_ratios: bool) -> list[str]:
    """What to doubt of scores with the figures ``found``: whether they are ratios, how many are missing."""
    notes = _ratio_notes(found, scores, likelihood_ratios)
    if found["dropped_trials"]:
        notes.append(f"{found['dropped_trials']} trials of dropped utterances, counted as wrong")
    return notes


def _ratio_notes(found: Mapping[str, Any], scores: NDArray[np.float64], likelihood_ratios: bool) -> list[str]:
    if not likelihood_ratios:
        return ["no actDCF and Cllr: the scores are not taken as log likelihood ratios (--llr yes)"]
    if look_like_cosines(scores):
        return ["all scores lie in [-1, 1]: they look like cosines, and are no log likelihood ratios then"]
    # With --raw a cost of 1 is no bound: Cllr's is.
    over = [f"actDCF({cost})" for cost, value in (found["act_dcf"] or {}).items() if value > 1]
    over += ["Cllr"] if (found["cllr"] or 0) > 1 else []
    if not over:
        return []
    said = f"{', '.join(over)} above 1: worse than no system."
    if found["dropped_trials"]:  # each is as wrong as can be, however well the others are calibrated
        return [f"{said} Dropped trials count as wrong in it: judge without them what is calibrated"]
    said += " Raw PLDA and normalised scores are no calibrated likelihood ratios"
    return [f"{said}: calibrate them, or say --llr no"]


def speakers_of(
    trials: Trials, utt2spk: Mapping[str, str], where: object = "utt2spk"
) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """speaker_codes of ``trials``; ids that are no speakers' own names and not in ``utt2spk`` are named."""
    from .judge import speaker_codes

    known = with_speakers(trials, utt2spk)
    ids = dict.fromkeys((*trials.enrol_ids, *trials.test_ids))
    lost = [one for one in ids if one not in known]
    if lost:
        some = " ".join(lost[:3]) + (" ..." if len(lost) > 3 else "")
        said = f"{len(lost)} of the {len(ids)} ids of {trials.source} have no speaker here: {some}"
        raise InputError(said, where=where, mend="add a line UTTERANCE SPEAKER for each")
    return speaker_codes(trials, known)


def with_speakers(trials: Trials, utt2spk: Mapping[str, str]) -> dict[str, str]:
    """``utt2spk`` with the ids of trials that are speakers' own names (enrolment by speaker)."""
    people = set(utt2spk.values())
    own = {one: one for one in (*trials.enrol_ids, *trials.test_ids) if one not in utt2spk and one in people}
    return {**utt2spk, **own}
