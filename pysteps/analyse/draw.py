"""Pictures: maps over an utterance's features, curves of deletion and insertion, bands of a set."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ..features.contract import FeaturesOptions
from ..features.plot import Panel, middles, voiced_spans
from ..report.draw import INK, tidy
from .bands import Bands, bin_hertz, bin_rows
from .faithful import RANDOM, Curves
from .methods import METHODS

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_WAVE, _VOICED = "#1f5fa8", "#f3d9a4"
_HZ = (250, 500, 1000, 2000, 4000, 8000)
_TOP = 99.5  # percentile of a map that has the strongest colour
_POINTS = 1200  # that a waveform is drawn with
_SHADES = ("#1f5fa8", "#d9742b", "#2e8b6f", "#a8447f", "#6b57b3", "#b08a1e")


@dataclass(frozen=True)
class Side:
    """One utterance: its panel, which of its frames the network got (bool [frames]), and maps [frames,
    feature] on the recording's time axis, by method, each with a line about it."""

    panel: Panel
    voiced: np.ndarray
    maps: Mapping[str, np.ndarray]
    notes: Mapping[str, str]


def draw_maps(sides: Sequence[Side], options: FeaturesOptions, title: str = "") -> Figure:
    """Waveform with VAD, features and a row for each map, a column for each of one or two utterances.

    A map lies over the features in grey, the stronger the less they show: red speaks for the output, blue
    against it; maps without a sign are red. Frames that the network did not get are white.
    """
    from matplotlib.figure import Figure

    methods = list(sides[0].maps)
    rows = 2 + len(methods)
    figure = Figure(figsize=(9.0, 0.5 + 0.9 + 1.45 * (rows - 1)), dpi=100, layout="constrained")
    figure.suptitle(title, fontsize=10, color=INK, x=0.01, ha="left")
    heights = [0.6] + [1.0] * (rows - 1)
    grid = figure.subplots(
        rows, len(sides), sharex="col", squeeze=False, gridspec_kw={"height_ratios": heights}
    )
    for column, side in zip(grid.T, sides, strict=True):
        times = middles(options, len(side.voiced))
        _waveform(column[0], side, times, options)
        _features(column[1], side, times, options, "magma")
        column[1].set_title("features as stored", fontsize=8, color=INK, loc="left")
        for axes, method in zip(column[2:], methods, strict=True):
            _features(axes, side, times, options, "Greys", 0.45)
            _map(axes, side, side.maps[method], times, options, METHODS[method].signed)
            note = side.notes.get(method, "") if len(sides) == 1 else ""  # no room beside another
            words = f"{METHODS[method].title}   {note}".replace("$", r"\$")
            axes.set_title(words, fontsize=8, color=INK, loc="left")
        column[-1].set_xlabel("seconds", fontsize=8, color=INK)
        column[-1].set_xlim(0, times[-1] + options.frame_shift_ms / 2000)
    for axes in grid.flat:
        axes.tick_params(labelsize=7, colors=INK)
    return figure


def _waveform(axes: Axes, side: Side, times: np.ndarray, options: FeaturesOptions) -> None:
    shift = options.frame_shift / options.sample_rate
    for begin, end in voiced_spans(side.voiced, times, shift):
        axes.axvspan(begin, end, color=_VOICED, linewidth=0, zorder=0)
    samples = side.panel.samples
    starts = np.arange(0, len(samples), max(1, len(samples) // _POINTS))
    low, high = np.minimum.reduceat(samples, starts), np.maximum.reduceat(samples, starts)
    axes.fill_between(starts / options.sample_rate, low, high, color=_WAVE, linewidth=0.4)
    axes.set_yticks([])
    axes.set_title(side.panel.title.replace("$", r"\$"), fontsize=8, color=INK, loc="left")


def _extent(times: np.ndarray, size: int, options: FeaturesOptions) -> tuple[float, float, float, float]:
    half = options.frame_shift / options.sample_rate / 2
    return float(times[0]) - half, float(times[-1]) + half, -0.5, size - 0.5


def _features(
    axes: Axes, side: Side, times: np.ndarray, options: FeaturesOptions, colours: str, alpha: float = 1.0
) -> None:
    values = side.panel.features[: len(times)]
    low, high = np.percentile(values, [5, 99.8])
    axes.imshow(
        values.T,
        origin="lower",
        aspect="auto",
        extent=_extent(times, values.shape[1], options),
        cmap=colours,
        vmin=low,
        vmax=high,
        alpha=alpha,
    )
    _in_hertz(axes, options)


def _map(
    axes: Axes, side: Side, values: np.ndarray, times: np.ndarray, options: FeaturesOptions, signed: bool
) -> None:
    heard = values[side.voiced]
    limit = float(np.percentile(np.abs(heard), _TOP)) if heard.size else 0.0
    limit = limit or float(np.abs(values).max()) or 1.0
    strength = np.clip(np.abs(values) / limit, 0, 1)
    layer = np.zeros((*values.shape, 4))
    layer[..., :3] = np.where((values >= 0)[..., None], (0.80, 0.06, 0.10), (0.08, 0.28, 0.78))
    layer[..., 3] = strength if signed else strength**1.5
    layer[~side.voiced] = (1.0, 1.0, 1.0, 0.85)
    axes.imshow(
        layer.transpose(1, 0, 2),
        origin="lower",
        aspect="auto",
        extent=_extent(times, values.shape[1], options),
    )


def _in_hertz(axes: Axes, options: FeaturesOptions) -> None:
    # Mel bins are told by their centres in Hz; of other features, and under VTLN, the number stands.
    if options.kind != "fbank" or options.vtln_warp != 1.0:
        axes.set_ylabel("coefficient", fontsize=7, color=INK)
        return
    centres, first = bin_hertz(options), bin_rows(options).start
    inside = [hz for hz in _HZ if centres[0] <= hz <= centres[-1]]
    axes.set_yticks(first + np.interp(inside, centres, np.arange(len(centres))), [f"{hz}" for hz in inside])
    axes.set_ylabel("Hz", fontsize=7, color=INK)


def draw_curves(curves: Mapping[str, Curves], measure: str, title: str = "") -> Figure:
    """Mean deletion and insertion curves of each method, and of random orders."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8.4, 3.6), dpi=100, layout="constrained")
    figure.suptitle(title, fontsize=10, color=INK, x=0.01, ha="left")
    names = ("deletion: lower is better", "insertion: higher is better")
    for axes, name, kind in zip(figure.subplots(1, 2), names, ("deletion", "insertion"), strict=True):
        others = [method for method in curves if method != RANDOM]
        for method in curves:
            style: dict[str, Any] = {"color": "#8a8f98", "linestyle": "--"}
            if method != RANDOM:
                style = {"color": _SHADES[others.index(method) % len(_SHADES)]}
            label = "random" if method == RANDOM else METHODS[method].title
            one = curves[method]
            axes.plot(100 * one.shares, getattr(one, kind), linewidth=1.6, label=label, **style)
        axes.set_title(name, fontsize=9, color=INK, loc="left")
        axes.set_xlabel("% of the cells", fontsize=8, color=INK)
        axes.set_ylabel(measure, fontsize=8, color=INK)
        tidy(axes)
        axes.legend(fontsize=7, frameon=False)
    return figure


def draw_bands(found: Mapping[str, Bands], title: str = "") -> Figure:
    """Share of each bin by its centre in Hz, a curve for each method with its interval; the dotted line is
    where all bins are alike."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8.4, 3.6), dpi=100, layout="constrained")
    figure.suptitle(title, fontsize=10, color=INK, x=0.01, ha="left")
    axes = figure.subplots()
    for number, (method, bands) in enumerate(found.items()):
        shade, place = _SHADES[number % len(_SHADES)], np.arange(len(bands.share))
        axes.fill_between(place, 100 * bands.low, 100 * bands.high, color=shade, alpha=0.2, linewidth=0)
        axes.plot(place, 100 * bands.share, color=shade, linewidth=1.6, label=METHODS[method].title)
    centres = next(iter(found.values())).hertz
    inside = [hz for hz in _HZ if centres[0] <= hz <= centres[-1]]
    axes.set_xticks(np.interp(inside, centres, np.arange(len(centres))), [f"{hz}" for hz in inside])
    axes.axhline(100 / len(centres), color="#8a8f98", linestyle=":", linewidth=1.2)
    axes.set_ylim(bottom=0)
    axes.set_xlabel("Hz (bins are equal steps in mel)", fontsize=8, color=INK)
    axes.set_ylabel("% of the relevance in a bin", fontsize=8, color=INK)
    tidy(axes)
    axes.legend(fontsize=8, frameon=False)
    return figure
