"""How a back end's scores lie: target and non-target trials apart."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from ..formats.errors import InputError
from .draw import INK, OTHER, SAME, heading, legend, panel, tidy

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_TAIL = 0.001  # of the scores at each end: they go into the outermost bins


def score_histogram(scores: ArrayLike, is_target: ArrayLike, bins: int = 60) -> dict[str, Any]:
    """Counts of ``scores`` [N] by ``is_target`` [N], as plain values for a JSON file.

    "edges" [bins + 1]; "targets" and "nontargets" [bins]; "left_out", how many scores were infinite
    (trials of dropped utterances). A thousandth of the scores at either end is counted in the end bins,
    so that one stray score does not squeeze the rest. NaN is an InputError.
    """
    score, label = np.asarray(scores, dtype=np.float64), np.asarray(is_target, dtype=bool)
    if score.ndim != 1 or score.shape != label.shape:
        raise InputError(f"scores of shape {score.shape} with labels of shape {label.shape}")
    if np.isnan(score).any():
        raise InputError(f"{int(np.isnan(score).sum())} scores are not numbers")
    finite = np.isfinite(score)
    kept, label = score[finite], label[finite]
    low, high = np.quantile(kept, [_TAIL, 1 - _TAIL]) if len(kept) else (0.0, 1.0)
    if low == high:
        low, high = low - 0.5, high + 0.5
    edges = np.linspace(low, high, bins + 1)
    inside = np.clip(kept, low, high)
    return {
        "edges": edges.tolist(),
        "targets": np.histogram(inside[label], edges)[0].tolist(),
        "nontargets": np.histogram(inside[~label], edges)[0].tolist(),
        "left_out": int((~finite).sum()),
    }


def histogram_figure(counts: Mapping[str, Any], title: str, threshold: float | None = None) -> Figure:
    """One panel of what score_histogram counted, each kind as shares of its own trials.

    ``threshold``: a score to mark, the one of the EER.
    """
    figure, axes = panel(2.5)
    edges = np.asarray(counts["edges"], dtype=float)
    for key, label, shade in (
        ("nontargets", "different speakers", OTHER),
        ("targets", "same speaker", SAME),
    ):
        count = np.asarray(counts[key], dtype=float)
        axes.stairs(100 * count / max(1.0, count.sum()), edges, fill=True, alpha=0.45, color=shade)
        axes.stairs(100 * count / max(1.0, count.sum()), edges, color=shade, linewidth=1.3, label=label)
    if threshold is not None and edges[0] <= threshold <= edges[-1]:
        axes.axvline(threshold, color=INK, linewidth=1, linestyle=":", label="threshold of the EER")
    heading(axes, title)
    axes.set_xlabel("score", color=INK, fontsize=9)
    axes.set_ylabel("% of its kind", color=INK, fontsize=9)
    axes.set_ylim(bottom=0, top=1.35 * axes.get_ylim()[1])  # room for the legend
    legend(axes, "upper left")
    tidy(axes)
    return figure
