"""The pictures of a search: Optuna's own, and the curves of every trial."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ..report.draw import INK, OTHER, SAME, SOFT, WIDTH, heading, panel, plain, tidy
from .results import JUDGED

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# A picture's title and what an epoch calls it.
CURVES = {
    **{title: key for key, title in JUDGED.items()},
    "balanced accuracy on the development set": "dev_balanced_accuracy",
    "accuracy in training": "accuracy",
    "loss in training": "loss",
    "learning rate": "lr",
}
_BEHIND = "#c9ced6"


def history_figure(found: Mapping[str, Any]) -> Figure:
    """Every trial's best epoch, in order; the line is the best one so far."""
    figure, axes = panel(3.0)
    for state, shade, mark in (("finished", SAME, "o"), ("ended early", OTHER, "x")):
        rows = [row for row in found["trials"] if row["state"] == state and row["value"] is not None]
        points = [row["number"] for row in rows], [row["value"] for row in rows]
        if rows:
            axes.plot(*points, mark, color=shade, markersize=5, label=state, linestyle="none")
    rows = [row for row in found["trials"] if row["state"] == "finished"]
    axes.step(
        [row["number"] for row in rows],
        np.minimum.accumulate([row["value"] for row in rows]),
        where="post", color=SAME, linewidth=1.4,
    )  # fmt: skip
    heading(axes, "best epoch of each trial")
    axes.set_xlabel("trial", color=INK, fontsize=9)
    axes.set_ylabel(JUDGED.get(found["judged_by"], "value"), color=INK, fontsize=9)
    _whole(axes)
    axes.legend(frameon=True, framealpha=0.9, edgecolor="none", fontsize=9)
    tidy(axes)
    return figure


def importance_figure(shares: Mapping[str, float]) -> Figure:
    """A bar a parameter."""
    figure, axes = panel(0.9 + 0.33 * len(shares))
    names = list(shares)[::-1]
    axes.barh(
        [plain(name, 34) for name in names], [100 * shares[name] for name in names], color=SAME, height=0.6
    )
    heading(axes, "share in the differences, %")
    tidy(axes)
    axes.grid(False, axis="y")
    return figure


def optuna_figures(study: Any, names: Sequence[str], judged: str) -> dict[str, Figure]:
    """{title: figure} of Optuna's contour over the first two of ``names`` (most important first), and its
    parallel coordinates; of finished trials."""
    from matplotlib import rc_context
    from optuna.visualization import matplotlib as draw

    found, says = {}, JUDGED.get(judged, "value")
    with rc_context({"backend": "agg"}), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it says that it is experimental, and of thin grids
        if len(names) > 1:
            axes = draw.plot_contour(study, params=list(names[:2]), target_name=says)
            found["contour of the two most important parameters"] = _taken(axes, (WIDTH + 1.6, 3.6))
        axes = draw.plot_parallel_coordinate(study, params=list(names), target_name=says)
        found["parallel coordinates"] = _taken(axes, (max(7.5, 1.6 * len(names) + 1.5), 4.2))
    return found


def _taken(axes: Any, size: tuple[float, float]) -> Figure:
    # Optuna draws with pyplot, which keeps its figures; this one is ours from here on.
    from matplotlib import pyplot
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    figure = axes.figure
    assert isinstance(axes, Axes) and isinstance(figure, Figure)
    figure.set_size_inches(*size)
    axes.set_title("")
    for label in axes.get_xticklabels():
        label.set_rotation(30)
        label.set_horizontalalignment("right")
    figure.tight_layout()
    pyplot.close(figure)
    return figure


def curve_figures(
    rows: Sequence[Mapping[str, Any]], lines: Mapping[int, Any], best: int
) -> dict[str, Figure]:
    """{title: figure} of what trials' epochs tell: ``lines`` {number: epochs}; the best one stands out."""
    found = {}
    for title, key in CURVES.items():
        series = {number: _series(epochs, key) for number, epochs in lines.items()}
        series = {number: points for number, points in series.items() if points[0]}
        if not series:
            continue
        figure, axes = panel(2.7)
        states = {row["number"]: row["state"] for row in rows}
        for number in sorted(series, key=lambda number: (number == best, states[number] == "finished")):
            ended = states[number] != "finished"
            shade = SAME if number == best else OTHER if ended else _BEHIND
            label = {SAME: f"trial {best}, the best", OTHER: "ended early", _BEHIND: "the others"}[shade]
            width = 2.0 if number == best else 1.1
            axes.plot(*series[number], "-o", color=shade, linewidth=width, markersize=2.5, label=label)
        heading(axes, title)
        axes.set_xlabel("epoch", color=INK, fontsize=9)
        _whole(axes)
        _log_if_wide(axes, key, series)
        handles, labels = axes.get_legend_handles_labels()
        once = dict(zip(labels, handles, strict=True))
        axes.legend(once.values(), once.keys(), frameon=True, framealpha=0.85, edgecolor="none", fontsize=8)
        tidy(axes)
        found[title] = figure
    return found


def _series(epochs: Sequence[Mapping[str, Any]], key: str) -> tuple[list[float], list[float]]:
    points = [
        (float(line["epoch"]), float(line[key])) for line in epochs if isinstance(line.get(key), int | float)
    ]
    return [x for x, _ in points], [y for _, y in points]


def _log_if_wide(axes: Axes, key: str, series: Mapping[int, tuple[list[float], list[float]]]) -> None:
    values = [value for _, points in series.values() for value in points]
    if key == "lr" and 0 < 30 * min(values) < max(values):
        axes.set_yscale("log")


def _whole(axes: Axes) -> None:
    from matplotlib.ticker import MaxNLocator

    axes.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=8))
    axes.tick_params(colors=SOFT)
