"""The report's pictures: DET curves and training curves, as bytes without date or chance in them."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from ..metrics import probit

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COLOURS = {"plda": "#1f5fa8", "cosine": "#d9742b", "baseline": "#8a8f98"}
_MORE = ("#2e8b6f", "#a8447f", "#6b57b3", "#b08a1e")
_INK, _GRID = "#22262b", "#dde1e6"
_TICKS = (0.0001, 0.0005, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.4, 0.6, 0.8)


def colour(backend: str, number: int = 0) -> str:
    """The colour of a back end, the same in every picture."""
    return COLOURS.get(backend, _MORE[number % len(_MORE)])


def picture(figure: Figure, kind: str) -> bytes:
    """``figure`` as "svg" or "png" (144 dots an inch); the same figure gives the same bytes."""
    from matplotlib import rc_context
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    FigureCanvasAgg(figure)
    handle = io.BytesIO()
    with rc_context({"svg.hashsalt": "timbre", "svg.fonttype": "path"}):
        date = {"Date": None} if kind == "svg" else {"Software": None}
        figure.savefig(handle, format=kind, dpi=144, metadata=date)
    return handle.getvalue()


def _tidy(axes: Axes) -> None:
    axes.grid(True, color=_GRID, linewidth=0.8)
    axes.set_axisbelow(True)
    axes.tick_params(colors=_INK, labelsize=9, length=0)
    for side in axes.spines.values():
        side.set_visible(False)


def _det_axes(axes: Axes, low: float, high: float) -> None:
    ticks = [tick for tick in _TICKS if low <= tick <= high]
    for axis, limits in ((axes.xaxis, axes.set_xlim), (axes.yaxis, axes.set_ylim)):
        limits(float(probit(low)), float(probit(high)))
        axis.set_ticks(probit(ticks), [f"{100 * tick:g}" for tick in ticks])
    axes.plot(probit([low, high]), probit([low, high]), color=_GRID, linewidth=1.2, zorder=1)
    axes.set_aspect("equal")
    axes.set_xlabel("false alarms, %", color=_INK)
    axes.tick_params(axis="x", rotation=45)
    _tidy(axes)


def _shown(curves: Sequence[np.ndarray]) -> tuple[float, float]:
    # As much of the axes as the curves cross, from what one trial can show to 0.8.
    least = [float(points[points > 0].min()) for points in curves if (points > 0).any()]
    return min(0.05, max(1e-4, 0.7 * min(least, default=0.01))), 0.8


def det_figure(det: Mapping[str, Mapping[str, ArrayLike]], eers: Mapping[str, Mapping[str, float]]) -> Figure:
    """A panel a trial list, a curve a back end.

    ``det`` {trials: {back end: [M, 2] points (P_fa, P_miss)}}, ``eers`` in percent for the legend.
    """
    from matplotlib.figure import Figure

    panels = {
        name: {key: np.asarray(xy, dtype=float) for key, xy in part.items()} for name, part in det.items()
    }
    low, high = _shown([points for part in panels.values() for points in part.values()])
    columns = min(3, max(1, len(panels)))
    rows = -(-max(1, len(panels)) // columns)
    figure = Figure(figsize=(4.3 * columns + 0.3, 4.6 * rows), layout="constrained")
    grid = figure.subplots(rows, columns, squeeze=False)
    for spare in grid.flat[len(panels) :]:
        spare.set_visible(False)
    for number, (axes, (name, part)) in enumerate(zip(grid.flat, panels.items(), strict=False)):
        _det_axes(axes, low, high)
        axes.set_title(name, color=_INK, fontsize=11, loc="left", fontweight="bold")
        if number % columns == 0:
            axes.set_ylabel("misses, %", color=_INK)
        for place, (key, points) in enumerate(part.items()):
            x, y = probit(np.clip(points, 1e-6, 1 - 1e-6)).T
            eer = eers.get(name, {}).get(key)
            label = key if eer is None else f"{key}   EER {eer:.2f} %"
            axes.plot(x, y, color=colour(key, place), linewidth=1.8, label=label)
            if eer is not None and 0 < eer < 100:
                axes.plot(*[probit(eer / 100)] * 2, "o", color=colour(key, place), markersize=5)
        axes.legend(frameon=True, framealpha=0.9, edgecolor="none", fontsize=9, loc="lower left")
    return figure


def _series(curves: Sequence[Mapping[str, Any]], key: str) -> tuple[list[float], list[float]]:
    points = [
        (float(row.get("epoch", place)), float(row[key]))
        for place, row in enumerate(curves, 1)
        if isinstance(row.get(key), int | float) and np.isfinite(row[key])
    ]
    return [x for x, _ in points], [y for _, y in points]


CURVES = (
    ("loss", (("loss", "training"), ("valid_loss", "held out"))),
    ("accuracy", (("accuracy", "training"), ("valid_accuracy", "held out"))),
    ("EER on development speakers, %", (("dev_eer", "cosine"),)),
    ("learning rate", (("lr", ""),)),
    ("margin", (("margin", ""),)),
)


def training_figure(curves: Sequence[Mapping[str, Any]]) -> Figure | None:
    """A panel for each thing the epochs tell of (CURVES); None when they tell of nothing."""
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator

    panels = []
    for title, keys in CURVES:
        lines = [(label, *_series(curves, key)) for key, label in keys]
        if any(x for _, x, _ in lines):
            panels.append((title, [line for line in lines if line[1]]))
    if not panels:
        return None
    columns = min(3, len(panels))
    rows = -(-len(panels) // columns)
    figure = Figure(figsize=(4.3 * columns + 0.3, 2.7 * rows), layout="constrained")
    grid = figure.subplots(rows, columns, squeeze=False)
    for spare in grid.flat[len(panels) :]:
        spare.set_visible(False)
    for axes, (title, lines) in zip(grid.flat, panels, strict=False):
        for (label, x, y), shade in zip(lines, ("#1f5fa8", "#d9742b"), strict=False):
            axes.plot(x, y, color=shade, linewidth=1.8, marker="o", markersize=3, label=label)
        axes.set_title(title, color=_INK, fontsize=10, loc="left")
        axes.set_xlabel("epoch", color=_INK, fontsize=9)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=8))
        if title in ("EER on development speakers, %", "margin"):
            axes.set_ylim(bottom=0)
        if len(lines) > 1:
            axes.legend(frameon=False, fontsize=9)
        _tidy(axes)
    return figure
