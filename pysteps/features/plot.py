"""A picture of one utterance before and after each augmentation: waveform, VAD, spectrogram, features."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..formats.atomic import replacing
from .contract import FeaturesOptions
from .fbank import Fbank
from .mel import mel

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure, SubFigure

MAX_COLUMNS = 4  # side by side; further ones go below
DPI = 100
FORMATS = (".png", ".svg", ".pdf")
_INCHES = 16.0  # 1600 pixels
_RANGE_DB = 80.0  # below the loudest point: the rest is as dark
_POINTS = 800  # that a waveform is drawn with: its highest and lowest sample in each
_HZ = (250, 500, 1000, 2000, 4000, 8000, 16000)
_INK, _WAVE, _VOICED = "#22262b", "#1f5fa8", "#f3d9a4"


@dataclass(frozen=True)
class Panel:
    """One column: an utterance, or the part of it from sample ``first_sample`` and ``first_frame`` on.

    ``samples`` [time] in [-1, 1), ``features`` [frames, dim] as stage 4 makes them, ``voiced`` bool [frames].
    """

    title: str
    samples: np.ndarray
    voiced: np.ndarray
    features: np.ndarray
    detail: str = ""
    first_sample: int = 0
    first_frame: int = 0


def excerpt(panel: Panel, options: FeaturesOptions, start: float, seconds: float) -> Panel:
    """The part from ``start`` on, at most ``seconds`` long, with the frames whose middle lies in it."""
    rate = options.sample_rate
    begin, end = int(start * rate), int((start + seconds) * rate)
    first, last = np.searchsorted(middles(options, len(panel.features)), [start, start + seconds])
    return replace(
        panel,
        samples=np.array(panel.samples[begin:end]),  # copies: the whole may be hours
        voiced=np.array(panel.voiced[first:last]),
        features=np.array(panel.features[first:last]),
        first_sample=begin,
        first_frame=int(first),
    )


def middles(options: FeaturesOptions, frames: int, first: int = 0) -> np.ndarray:
    """Seconds of the middles of ``frames`` frames from number ``first`` on: [frames]."""
    at = options.geometry.first_sample(first, options.sample_rate) + options.frame_length / 2
    return (at + options.frame_shift * np.arange(frames)) / options.sample_rate


def voiced_spans(voiced: np.ndarray, times: np.ndarray, shift: float) -> list[tuple[float, float]]:
    """(begin, end) in seconds of the runs of true in ``voiced``; a frame is ``shift`` about its time."""
    edges = np.flatnonzero(np.diff(np.concatenate(([0], voiced.astype(np.int8), [0]))))
    pairs = edges.reshape(-1, 2)
    return [(float(times[a]) - shift / 2, float(times[b - 1]) + shift / 2) for a, b in pairs]


def power(panel: Panel, options: FeaturesOptions) -> tuple[np.ndarray, np.ndarray]:
    """The panel's spectrogram in dB [frames, bins] and the seconds of its frames' middles [frames].

    Of the features' frame length and shift, all frames inside the samples, with a Hann window and no
    pre-emphasis.
    """
    import torch

    spectral = FeaturesOptions(
        kind="spectrogram",
        sample_rate=options.sample_rate,
        frame_length_ms=options.frame_length_ms,
        frame_shift_ms=options.frame_shift_ms,
        window_type="hanning",
        preemphasis=0.0,
    )
    samples = torch.from_numpy(np.ascontiguousarray(panel.samples, dtype=np.float32))
    with torch.inference_mode():
        levels = Fbank(spectral.acoustic())(samples).numpy() * (10 / np.log(10))
    return levels, middles(spectral, len(levels)) + panel.first_sample / options.sample_rate


def draw_utterance(
    panels: Sequence[Panel], options: FeaturesOptions, *, title: str = "", columns: int = MAX_COLUMNS
) -> Figure:
    """A figure with a column for each of ``panels`` (at least one), 1600 pixels wide at ``DPI``.

    Rows: the waveform with voiced frames shaded, the spectrogram, the features. All columns have one time
    axis, in seconds, one scale of the waveform and one colour scale for each kind of picture. What does not
    fit into ``columns`` side by side goes below.
    """
    from matplotlib.figure import Figure

    columns = min(columns, len(panels))
    bands = [panels[first : first + columns] for first in range(0, len(panels), columns)]
    figure = Figure(figsize=(_INCHES, 0.4 + 5.6 * len(bands)), dpi=DPI, layout="constrained")
    figure.suptitle(title, color=_INK, fontsize=12, x=0.01, ha="left")
    spectra = [power(panel, options) for panel in panels]
    scales = _Scales(panels, [levels for levels, _ in spectra], options)
    parts = np.ravel(figure.subfigures(len(bands), 1, squeeze=False))
    for number, (part, band) in enumerate(zip(parts, bands, strict=True)):
        _band(part, band, spectra[number * columns :], options, scales, columns)
    return figure


class _Scales:
    """What all columns share: limits of time, waveform and colours."""

    def __init__(
        self, panels: Sequence[Panel], spectra: Sequence[np.ndarray], options: FeaturesOptions
    ) -> None:
        rate = options.sample_rate
        self.time = (
            min(panel.first_sample for panel in panels) / rate,
            max(panel.first_sample + max(len(panel.samples), 1) for panel in panels) / rate,
        )
        self.wave = max([1e-4, *(float(np.abs(panel.samples).max(initial=0.0)) for panel in panels)]) * 1.05
        loudest = max((float(levels.max()) for levels in spectra if levels.size), default=0.0)
        self.power = (loudest - _RANGE_DB, loudest)
        values = np.concatenate([panel.features.ravel() for panel in panels])
        # C0 is far larger than the other cepstra: it may be as bright as it likes.
        ends = [2.0, 98.0 if options.cepstral else 99.8]
        low, high = np.percentile(values, ends) if values.size else (0.0, 1.0)
        if not options.cepstral and options.use_log_fbank:  # no more than of the spectrogram
            low = max(low, high - _RANGE_DB * np.log(10) / 10)
        self.features = (float(low), float(max(high, low + 1e-3)))


def _band(
    part: SubFigure,
    band: Sequence[Panel],
    spectra: Sequence[tuple[np.ndarray, np.ndarray]],
    options: FeaturesOptions,
    scales: _Scales,
    columns: int,
) -> None:
    grid = part.subplots(3, columns, sharex=True, squeeze=False, gridspec_kw={"height_ratios": [1, 1.5, 1.5]})
    for spare in grid[:, len(band) :].flat:
        spare.set_visible(False)
    for axes in grid.flat:
        axes.tick_params(labelsize=8, colors=_INK)
    for number, (wave, spectrum, feature) in enumerate(grid[:, : len(band)].T):
        panel, (levels, level_times) = band[number], spectra[number]
        times = middles(options, len(panel.features), panel.first_frame)
        _waveform(wave, panel, times, options, scales)
        top = _image(spectrum, levels, level_times, options, scales.power)
        below = _image(feature, panel.features, times, options, scales.features)
        feature.set_xlabel("seconds", fontsize=9, color=_INK)
        feature.set_xlim(*scales.time)
        _in_hertz(spectrum, levels.shape[1], options.sample_rate)
        for axes in (wave, spectrum, feature):
            axes.tick_params(labelleft=number == 0)
    what, unit = _describe(options)
    for axes, label in zip(grid[:, 0], ("amplitude", "spectrogram, Hz", what), strict=True):
        axes.set_ylabel(label, fontsize=9, color=_INK)
    _mel_in_hertz(grid[2, len(band) - 1], options)
    for row, image, label in ((1, top, "dB"), (2, below, unit)):
        bar = part.colorbar(image, ax=list(grid[row]), pad=0.01, fraction=0.02, aspect=30)
        bar.set_label(label, fontsize=8, color=_INK)
        bar.ax.tick_params(labelsize=8, colors=_INK)


def _describe(options: FeaturesOptions) -> tuple[str, str]:
    """What the rows of the features are, and the unit of their numbers."""
    if options.cepstral:
        return f"{options.kind.upper()}, coefficient", "value"
    if options.kind == "samples":
        return "sample of the frame", "value"
    row = "fbank, mel bin" if options.kind == "fbank" else "features, FFT bin"
    return row, "natural logarithm" if options.use_log_fbank else "value"


def _in_hertz(axes: Axes, bins: int, rate: int) -> None:
    # The rows of a spectrogram are bins, from 0 to the Nyquist frequency: the axis says their frequencies.
    ticks = np.arange(0, rate // 2 + 1, 1000 * max(1, round(rate / 16000)))
    axes.set_yticks(ticks * (bins - 1) / (rate / 2), [str(tick) for tick in ticks])


def _mel_in_hertz(axes: Axes, options: FeaturesOptions) -> None:
    """Mel bins in Hz on the right; not where VTLN has moved them."""
    if options.kind != "fbank" or options.vtln_warp != 1.0:
        return
    low, high = float(mel(options.low_freq)), float(mel(options.high_hz))
    step = (high - low) / (options.num_mel_bins + 1)
    before = int(options.use_energy and not options.htk_compat)  # the row below the bins
    ticks = {hz: (float(mel(hz)) - low) / step - 1 + before for hz in _HZ}
    kept = {hz: row for hz, row in ticks.items() if before <= row <= options.num_mel_bins - 1 + before}
    right = axes.secondary_yaxis("right")
    right.set_yticks(list(kept.values()), [f"{hz} Hz" for hz in kept])
    right.tick_params(labelsize=8, colors=_INK)


def _waveform(
    axes: Axes, panel: Panel, times: np.ndarray, options: FeaturesOptions, scales: _Scales
) -> None:
    for begin, end in voiced_spans(panel.voiced, times, options.frame_shift / options.sample_rate):
        axes.axvspan(begin, end, color=_VOICED, linewidth=0, zorder=0)
    step = max(1, len(panel.samples) // _POINTS)
    starts = np.arange(0, len(panel.samples), step)
    at = (panel.first_sample + starts) / options.sample_rate
    if step > 1:  # the highest and the lowest of each ``step`` samples: no peak is lost
        low, high = np.minimum.reduceat(panel.samples, starts), np.maximum.reduceat(panel.samples, starts)
        axes.fill_between(at, low, high, color=_WAVE, linewidth=0.4)
    else:
        axes.plot(at, panel.samples, color=_WAVE, linewidth=0.8)
    axes.set_ylim(-scales.wave, scales.wave)
    axes.set_title(f"{panel.detail} ", fontsize=8, color=_INK, loc="left")
    axes.annotate(
        panel.title,
        (0, 1),
        xytext=(0, 16),
        xycoords="axes fraction",
        textcoords="offset points",
        fontsize=11,
        fontweight="bold",
        color=_INK,
    )


def _image(
    axes: Axes,
    values: np.ndarray,
    times: np.ndarray,
    options: FeaturesOptions,
    limits: tuple[float, float],
) -> Any:
    half = options.frame_shift / options.sample_rate / 2
    begin, end = (times[0] - half, times[-1] + half) if len(times) else (0.0, 1.0)
    shown = values if len(values) else np.full((1, values.shape[1]), limits[0])
    return axes.imshow(
        shown.T,
        origin="lower",
        aspect="auto",
        extent=(begin, end, -0.5, shown.shape[1] - 0.5),
        cmap="magma",
        vmin=limits[0],
        vmax=limits[1],
    )


def save(figure: Figure, path: Path) -> None:
    """Write ``figure`` as the end of the name says (FORMATS); the folder is made where there is none."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    FigureCanvasAgg(figure)
    with replacing(path, "wb") as handle:
        figure.savefig(handle, format=path.suffix[1:], dpi=DPI)
