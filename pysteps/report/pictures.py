"""DET curves and training curves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from ..metrics import probit
from .draw import GRID, INK, OTHER, SAME, SOFT, WIDTH, heading, legend, palette, panel, plain, tidy

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_INSIDE = 4  # curves whose names still leave room for the curves
_LONG = 16  # characters of a name
_TICKS = (0.0001, 0.0005, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.4, 0.6, 0.8)


def _det_axes(axes: Axes, low: float, high: float) -> None:
    ticks = [tick for tick in _TICKS if low <= tick <= high]
    for axis, limits in ((axes.xaxis, axes.set_xlim), (axes.yaxis, axes.set_ylim)):
        limits(float(probit(low)), float(probit(high)))
        axis.set_ticks(probit(ticks), [f"{100 * tick:g}" for tick in ticks])
    axes.plot(probit([low, high]), probit([low, high]), color=GRID, linewidth=1.2, zorder=1)
    axes.set_aspect("equal")
    axes.set_xlabel("false alarms, %", color=INK)
    axes.tick_params(axis="x", rotation=45)
    tidy(axes)


def det_limits(det: Mapping[str, Mapping[str, ArrayLike]]) -> tuple[float, float]:
    """The rates that the axes show: as much as the curves cross, from what one trial can show to 0.8."""
    curves = [np.asarray(points, dtype=float) for part in det.values() for points in part.values()]
    least = [float(points[points > 0].min()) for points in curves if (points > 0).any()]
    return min(0.05, max(1e-4, 0.7 * min(least, default=0.01))), 0.8


def det_figure(
    det: Mapping[str, Mapping[str, ArrayLike]],
    eers: Mapping[str, Mapping[str, float]],
    *,
    colours: Mapping[str, str] | None = None,
    limits: tuple[float, float] | None = None,
) -> Figure:
    """A panel a trial list, a curve a system (Martin et al., "The DET curve", Eurospeech 1997).

    ``det`` {trials: {system: [M, 2] points (P_fa, P_miss)}}, ``eers`` in percent for the legend.
    """
    from matplotlib.figure import Figure

    shades = colours or palette(key for part in det.values() for key in part)
    low, high = limits or det_limits(det)
    columns = min(3, max(1, len(det)))
    rows = -(-max(1, len(det)) // columns)
    most = max(map(len, det.values()), default=0)
    longest = max((len(key) for part in det.values() for key in part), default=0)
    below = 0.2 * most + 0.3 if most > _INSIDE or longest > _LONG else 0.0  # inches of legend under the axes
    figure = Figure(figsize=(WIDTH * columns + 0.2, (WIDTH + 0.3 + below) * rows), layout="constrained")
    grid = figure.subplots(rows, columns, squeeze=False)
    for spare in grid.flat[len(det) :]:
        spare.set_visible(False)
    for number, (axes, (name, part)) in enumerate(zip(grid.flat, det.items(), strict=False)):
        _det_axes(axes, low, high)
        heading(axes, name)
        if number % columns == 0:
            axes.set_ylabel("misses, %", color=INK)
        for key, points in part.items():
            _det_curve(axes, key, np.asarray(points, dtype=float), eers.get(name, {}).get(key), shades[key])
        if below:
            axes.legend(frameon=False, fontsize=9, loc="upper left", bbox_to_anchor=(-0.1, -0.17))
        else:
            legend(axes, "lower left")
    return figure


def _det_curve(axes: Axes, key: str, points: np.ndarray, eer: float | None, shade: str) -> None:
    x, y = probit(np.clip(points, 1e-6, 1 - 1e-6)).T
    label = plain(key) if eer is None else f"{plain(key, 26)}   EER {eer:.2f} %"
    style = "--" if key == "baseline" else "-"
    axes.plot(x, y, color=shade, linewidth=1.8, linestyle=style, label=label)
    if eer is not None and 0 < eer < 100:
        axes.plot(*[probit(eer / 100)] * 2, "o", color=shade, markersize=5)


def _series(curves: Sequence[Mapping[str, Any]], key: str) -> tuple[list[float], list[float]]:
    points = [
        (float(row.get("epoch", place)), float(row[key]))
        for place, row in enumerate(curves, 1)
        if isinstance(row.get(key), int | float) and np.isfinite(row[key])
    ]
    return [x for x, _ in points], [y for _, y in points]


# A picture's title and its lines: what an epoch calls them, and their names.
CURVES = (
    ("loss", (("loss", "training"), ("valid_loss", "held out"), ("dev_loss", "development"))),
    ("accuracy", (("accuracy", "training"), ("valid_accuracy", "held out"))),
    (
        "accuracy, development speakers",
        (("dev_accuracy", "accuracy"), ("dev_balanced_accuracy", "balanced")),
    ),
    ("EER on development speakers, %", (("dev_eer", "cosine"),)),
    (
        "cosine, development speakers",
        (("same_cosine", "same speaker"), ("different_cosine", "different speakers"), ("gap", "gap")),
    ),
    ("learning rate", (("lr", ""),)),
    ("margin", (("margin", ""),)),
    ("chunks a second", (("chunks_per_second", ""),)),
    ("time waiting for data, %", (("waiting_percent", ""),)),
)
FROM_ZERO = {"dev_eer", "margin", "chunks_per_second", "waiting_percent"}
_WIDE = 30.0  # a learning rate's largest by its least, from where on a logarithm shows more


def training_figures(curves: Sequence[Mapping[str, Any]]) -> dict[str, Figure]:
    """{what it shows: a figure} for each thing (CURVES) that the epochs tell of.

    A line stands where a phase of training begins, with its name.
    """
    from matplotlib.ticker import MaxNLocator

    figures, rows = {}, [_with_derived(row) for row in curves]
    for title, keys in CURVES:
        lines = [(label, *_series(rows, key)) for key, label in keys]
        lines = [line for line in lines if line[1]]
        if not lines:
            continue
        figure, axes = panel(2.5)
        for (label, x, y), shade in zip(lines, (SAME, OTHER, SOFT), strict=False):
            axes.plot(x, y, color=shade, linewidth=1.8, marker="o", markersize=3, label=label)
        heading(axes, title)
        axes.set_xlabel("epoch", color=INK, fontsize=9)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=8))
        if keys[0][0] in FROM_ZERO:
            axes.set_ylim(bottom=0)
        if keys[0][0] == "lr" and 0 < _WIDE * min(lines[0][2]) < max(lines[0][2]):
            axes.set_yscale("log")
        _phases(axes, rows)
        if len(lines) > 1:
            legend(axes)
        tidy(axes)
        figures[title] = figure
    return figures


def _with_derived(row: Mapping[str, Any]) -> dict[str, Any]:
    same, different, waiting = (row.get(key) for key in ("same_cosine", "different_cosine", "waiting"))
    more = {}
    if isinstance(same, int | float) and isinstance(different, int | float):
        more["gap"] = same - different
    if isinstance(waiting, int | float):
        more["waiting_percent"] = 100 * waiting
    return {**row, **more}


def _phases(axes: Axes, rows: Sequence[Mapping[str, Any]]) -> None:
    for before, (place, row) in zip(rows, enumerate(rows[1:], 2), strict=False):
        if row.get("phase") != before.get("phase"):
            x, name = float(row.get("epoch", place)) - 0.5, row.get("phase", "")
            axes.axvline(x, color=SOFT, linewidth=1.0, linestyle=":", zorder=1)
            words = plain(name if isinstance(name, str) else f"phase {name}", 20)
            axes.annotate(
                words,
                (x, 0.5),
                (-2, 0),
                xycoords=axes.get_xaxis_transform(),
                textcoords="offset points",
                color=INK,
                fontsize=8,
                rotation=90,
                ha="right",
                va="center",
            )
