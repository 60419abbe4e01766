"""Windows, mel filters and the transforms to cepstra as Kaldi defines them, in numpy float64."""

from __future__ import annotations

import numpy as np

from ..formats.errors import InputError
from .options import FbankOptions


def window(options: FbankOptions) -> np.ndarray:
    """The analysis window [frame_length] (Kaldi's FeatureWindowFunction; torch's when periodic)."""
    length = options.frame_length
    phase = 2 * np.pi * np.arange(length) / (length if options.periodic_window else length - 1)
    hanning = 0.5 - 0.5 * np.cos(phase)
    if options.window_type == "povey":
        return hanning**0.85
    if options.window_type == "hanning":
        return hanning
    if options.window_type == "hamming":
        return 0.54 - 0.46 * np.cos(phase)
    if options.window_type == "blackman":
        coeff = options.blackman_coeff
        return coeff - 0.5 * np.cos(phase) + (0.5 - coeff) * np.cos(2 * phase)
    return np.ones(length)


def mel(hertz: np.ndarray | float) -> np.ndarray:
    """Hertz to mel."""
    return 1127.0 * np.log1p(np.asarray(hertz, dtype=np.float64) / 700.0)


def hertz(mels: np.ndarray | float) -> np.ndarray:
    """Mel to hertz."""
    return 700.0 * np.expm1(np.asarray(mels, dtype=np.float64) / 1127.0)


def _edges(options: FbankOptions) -> np.ndarray:
    """Lower edges, centres and upper edges of the filters in mel: [num_mel_bins + 2]."""
    edges = np.linspace(mel(options.low_freq), mel(options.high_hz), options.num_mel_bins + 2)
    return edges if options.vtln_warp == 1.0 else mel(_warped(hertz(edges), options))


def mel_filters(options: FbankOptions) -> np.ndarray:
    """Triangular filters [num_mel_bins, fft_length / 2], linear in mel or in hertz; without the Nyquist bin.

    A filter so narrow that no FFT bin falls into it is refused, as in Kaldi: its feature would be a
    constant.
    """
    edges = _edges(options)
    bins = np.arange(options.fft_length // 2) * options.sample_rate / options.fft_length
    if options.mel_slopes == "mel":
        bins = mel(bins)
    else:
        edges = hertz(edges)
    left, centre, right = edges[:-2, None], edges[1:-1, None], edges[2:, None]
    if options.mel_slopes == "hertz_even":
        right = 2 * centre - left
    filters = np.minimum((bins - left) / (centre - left), (right - bins) / (right - centre)).clip(min=0)
    if options.htk_mode:  # HTK rounds the first bin that it uses upwards, and so may lose one
        filters[:, : int(options.low_freq * options.fft_length / options.sample_rate + 1.5)] = 0.0
    empty = np.flatnonzero(filters.sum(1) == 0)
    if len(empty):
        raise InputError(
            f"mel bin {empty[0]} of {options.num_mel_bins} holds no FFT bin"
            f" ({options.fft_length} points at {options.sample_rate} Hz)",
            mend="use fewer num_mel_bins, a longer frame or a larger fft_size",
        )
    return filters


def _warped(frequencies: np.ndarray, options: FbankOptions) -> np.ndarray:
    # Kaldi's VTLN: piecewise linear with fixed ends, slope 1 / warp between the two inflections.
    warp, low, high = options.vtln_warp, options.low_freq, options.high_hz
    lower, upper = options.vtln_low * max(1.0, warp), options.vtln_high_hz * min(1.0, warp)
    return np.interp(frequencies, [low, lower, upper, high], [low, lower / warp, upper / warp, high])


def lifter(options: FbankOptions) -> np.ndarray:
    """What cepstra are multiplied by [num_ceps] (Kaldi's ComputeLifterCoeffs)."""
    order, q = np.arange(options.num_ceps), options.cepstral_lifter
    return np.ones(len(order)) if q == 0 else 1 + 0.5 * q * np.sin(np.pi * order / q)


def cosine_transform(options: FbankOptions) -> np.ndarray:
    """The orthonormal DCT-II with Kaldi's liftering [num_mel_bins, num_ceps]: log mel energies to cepstra."""
    bins, order = options.num_mel_bins, np.arange(options.num_ceps)
    transform = np.sqrt(2 / bins) * np.cos(np.pi / bins * np.outer(np.arange(bins) + 0.5, order))
    transform[:, 0] = np.sqrt(1 / bins)
    return transform * lifter(options)


def loudness_transform(options: FbankOptions) -> np.ndarray:
    """Compressed mel energies to PLP's autocorrelation: [num_mel_bins, lpc_order + 1].

    Equal-loudness weights (Kaldi's GetEqualLoudnessVector), then the inverse DFT of the spectrum whose first
    and last bin stand twice (InitIdftBases).
    """
    square = hertz(_edges(options)[1:-1]) ** 2
    weight = (square / (square + 1.6e5)) ** 2 * (square + 1.44e6) / (square + 9.61e6)
    last = options.num_mel_bins + 1
    bases = np.cos(np.pi / last * np.outer(np.arange(last + 1), np.arange(options.lpc_order + 1))) / last
    bases[[0, -1]] /= 2
    folded = bases[1:-1].copy()
    folded[0] += bases[0]
    folded[-1] += bases[-1]
    return folded * (weight**options.compress_factor)[:, None]
