"""Whether scores that claim to be likelihood ratios can be believed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..backend.calibration import fit_pav
from ..metrics import sweep_trials
from .draw import GRID, INK, OTHER, SAME, SOFT, heading, legend, panel, plain, tidy

if TYPE_CHECKING:
    from matplotlib.figure import Figure

LOG_ODDS = np.linspace(-7, 7, 57)
_POINTS = 300  # of the line through the trials


def calibration_curve(llrs: ArrayLike, is_target: ArrayLike) -> dict[str, Any]:
    """What the two calibration pictures show of ``llrs`` [N] (natural log), ``is_target`` [N]: plain values.

    "llr" and "pav" [K]: the ratio that was claimed, and the one that the trials bear out (the best rising
    curve through them, pool adjacent violators), over all but a thousandth of the scores at either end.
    "log_odds" [57] of a target trial, with "actual" and "minimum": the normalised detection cost at the
    Bayes threshold, and at the best one (the normalised Bayes error-rate plot of the Bosaris toolkit).
    Infinite scores (dropped utterances) count as they stand in the costs, and not in the curve.
    """
    score, label = np.asarray(llrs, dtype=np.float64), np.asarray(is_target, dtype=bool)
    swept = sweep_trials(score, label, infinite=True)
    prior = 1 / (1 + np.exp(-LOG_ODDS))
    cut = np.searchsorted(swept.thresholds, -LOG_ODDS)
    least = np.minimum(prior, 1 - prior)
    actual = (prior * swept.p_miss[cut] + (1 - prior) * swept.p_fa[cut]) / least
    found = {
        "log_odds": LOG_ODDS.tolist(),
        "actual": actual.tolist(),
        "minimum": [swept.min_dcf(float(p)) for p in prior],
    }
    return {**found, **_reliability(score, label)}


def _reliability(score: NDArray[np.float64], label: NDArray[np.bool_]) -> dict[str, list[float]]:
    finite = np.isfinite(score)
    score, label = score[finite], label[finite]
    if not label.any() or label.all() or np.ptp(score) == 0:
        return {"llr": [], "pav": []}
    low, high = np.quantile(score, [0.001, 0.999])
    at = np.linspace(low, high, _POINTS)
    return {"llr": at.tolist(), "pav": fit_pav(score, label).apply(at).tolist()}


def reliability_figure(curves: Mapping[str, Mapping[str, Any]], colours: Mapping[str, str]) -> Figure:
    """Claimed against borne-out log likelihood ratio, a curve a back end; the diagonal is the ideal."""
    figure, axes = panel(3.4)
    drawn = {key: curve for key, curve in curves.items() if curve["llr"]}
    ends = [value for curve in drawn.values() for key in ("llr", "pav") for value in curve[key]]
    low, high = max(-20.0, min(ends, default=-1.0)), min(20.0, max(ends, default=1.0))
    axes.axline((0, 0), slope=1, color=SOFT, linewidth=1.2, linestyle="--", label="ideal")
    for key, curve in drawn.items():
        axes.plot(curve["llr"], curve["pav"], color=colours[key], linewidth=1.8, label=plain(key))
    room = 0.05 * (high - low)
    axes.set_xlim(low - room, high + room)
    axes.set_ylim(low - room, high + room)
    heading(axes, "claimed and found evidence")
    axes.set_xlabel("log likelihood ratio that is claimed", color=INK, fontsize=9)
    axes.set_ylabel("that the trials bear out", color=INK, fontsize=9)
    legend(axes, "upper left")
    tidy(axes)
    return figure


def bayes_figure(curve: Mapping[str, Any], title: str) -> Figure:
    """Actual and least normalised cost over the prior log odds of a target, of one back end."""
    figure, axes = panel(3.4)
    x, actual = np.asarray(curve["log_odds"]), np.asarray(curve["actual"])
    axes.axhline(1, color=SOFT, linewidth=1.2, linestyle="--", label="never listening")
    axes.plot(x, np.minimum(actual, 10), color=OTHER, linewidth=1.8, label="actual")
    axes.plot(x, curve["minimum"], color=SAME, linewidth=1.8, label="best threshold")
    axes.set_ylim(0, float(np.clip(1.1 * actual.max(), 1.3, 2.0)))
    for p in (0.01, 0.5):
        axes.axvline(np.log(p / (1 - p)), color=GRID, linewidth=1.6)
    heading(axes, title)
    axes.set_xlabel("prior log odds of the same speaker", color=INK, fontsize=9)
    axes.set_ylabel("normalised cost", color=INK, fontsize=9)
    legend(axes, "lower center")
    tidy(axes)
    return figure
