"""Two systems on the same trials: differences of their figures, the same speakers drawn for both."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from ..formats.errors import InputError
from ..metrics import paired
from ..metrics.detection import Floats
from .evaluate import Judged, name_of, number

RATIOS = ("act_dcf", "cllr", "min_cllr")  # figures of likelihood ratios, where there are such


def with_ratios(scores: Judged, ratios: Judged) -> Judged:
    """``scores`` (a system's own) with the figures of RATIOS of its calibrated scores."""
    kept = {key: value for key, value in ratios.figures.items() if key.removesuffix("_ci") in RATIOS}
    drawn = scores.drawn
    if drawn is not None and ratios.drawn is not None:
        drawn = replace(
            drawn, act_dcf=ratios.drawn.act_dcf, cllr=ratios.drawn.cllr, min_cllr=ratios.drawn.min_cllr
        )
    return Judged({**scores.figures, **kept}, drawn)


def differences(first: Judged, second: Judged) -> dict[str, Any]:
    """Figures of ``first`` minus those of ``second``, ready for JSON; ``..._ci`` are 95 % intervals.

    ``eer_difference`` in percentage points and ``eer_ratio`` (null where infinite);
    ``min_dcf_difference`` and ``act_dcf_difference`` by cost; ``cllr_difference`` and
    ``min_cllr_difference``. What one of them has not is null, and so is every interval of too few speakers.
    Both are judged with speakers on the same
    trials, with costs normalised, one seed and as many replicates; InputError without speakers.
    """
    if first.figures["speakers"] is None or second.figures["speakers"] is None:
        raise InputError("no paired differences without speakers", mend="give utt2spk")
    one, two = first.drawn, second.drawn
    if one is None or two is None:
        return _without_intervals(first.figures, second.figures)
    rate = paired(one.eer, two.eer, (first.figures["eer"] / 100, second.figures["eer"] / 100))
    out: dict[str, Any] = {
        "eer_difference": 100 * rate.difference,
        "eer_difference_ci": [100 * end for end in rate.difference_ci],
        "eer_ratio": number(rate.ratio),
        "eer_ratio_ci": [number(end) for end in rate.ratio_ci],
    }
    for key in ("min_dcf", "act_dcf"):
        sides = [first.figures[key] or {}, second.figures[key] or {}]
        ours, theirs = getattr(one, key), getattr(two, key)
        parts = {
            name_of(cost): _difference(ours[cost], theirs[cost], [side[name_of(cost)] for side in sides])
            for cost in ours
            if cost in theirs
        }
        out[f"{key}_difference"] = {cost: part[0] for cost, part in parts.items()} or None
        out[f"{key}_difference_ci"] = {cost: part[1] for cost, part in parts.items()} or None
    for key in ("cllr", "min_cllr"):
        values = [first.figures[key], second.figures[key]]
        part = _difference(getattr(one, key), getattr(two, key), values)
        out[f"{key}_difference"], out[f"{key}_difference_ci"] = part
    return out


def _difference(
    first: Floats | None, second: Floats | None, figures: Sequence[float | None]
) -> tuple[float | None, list[float] | None]:
    if first is None or second is None or figures[0] is None or figures[1] is None:
        return None, None
    found = paired(first, second, (figures[0], figures[1]))
    return found.difference, list(found.difference_ci)


def _without_intervals(first: Mapping[str, Any], second: Mapping[str, Any]) -> dict[str, Any]:
    # Of too few speakers for a bootstrap: the same keys, and null for each interval.
    one, two = first["eer"], second["eer"]
    ratio = one / two if two else (None if one else 1.0)
    out = {"eer_difference": one - two, "eer_ratio": ratio, "eer_ratio_ci": None}
    for key in ("min_dcf", "act_dcf"):
        ours, theirs = first[key] or {}, second[key] or {}
        costs = [cost for cost in ours if cost in theirs]
        out[f"{key}_difference"] = {cost: ours[cost] - theirs[cost] for cost in costs} or None
    for key in ("cllr", "min_cllr"):
        known = first[key] is not None and second[key] is not None
        out[f"{key}_difference"] = first[key] - second[key] if known else None
    return out | {f"{key}_ci": None for key in out if key.endswith("_difference")}
