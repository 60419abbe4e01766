"""Windows, mel filters and the cosine transform as Kaldi defines them, in numpy float64."""

from __future__ import annotations

import numpy as np

from ..formats.errors import InputError
from .options import FbankOptions


def window(options: FbankOptions) -> np.ndarray:
    """The analysis window [frame_length] (Kaldi's FeatureWindowFunction)."""
    length = options.frame_length
    phase = 2 * np.pi * np.arange(length) / (length - 1)
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


def mel_filters(options: FbankOptions) -> np.ndarray:
    """Triangular filters [num_mel_bins, fft_length / 2], linear in mel; the Nyquist bin is left out.

    A filter so narrow that no FFT bin falls into it is refused, as in Kaldi: its feature would be a
    constant.
    """
    edges = np.linspace(mel(options.low_freq), mel(options.high_hz), options.num_mel_bins + 2)
    if options.vtln_warp != 1.0:
        edges = mel(_warped(hertz(edges), options))
    bins = mel(np.arange(options.fft_length // 2) * options.sample_rate / options.fft_length)
    left, centre, right = edges[:-2, None], edges[1:-1, None], edges[2:, None]
    filters = np.minimum((bins - left) / (centre - left), (right - bins) / (right - centre)).clip(min=0)
    if options.htk_mode:  # HTK rounds the first bin that it uses upwards, and so may lose one
        filters[:, : int(options.low_freq * options.fft_length / options.sample_rate + 1.5)] = 0.0
    empty = np.flatnonzero(filters.sum(1) == 0)
    if len(empty):
        raise InputError(
            f"mel bin {empty[0]} of {options.num_mel_bins} holds no FFT bin"
            f" ({options.fft_length} points at {options.sample_rate} Hz)",
            mend="use fewer num_mel_bins or a longer frame",
        )
    return filters


def _warped(frequencies: np.ndarray, options: FbankOptions) -> np.ndarray:
    # Kaldi's VTLN: piecewise linear with fixed ends, slope 1 / warp between the two inflections.
    warp, low, high = options.vtln_warp, options.low_freq, options.high_hz
    lower, upper = options.vtln_low * max(1.0, warp), options.vtln_high_hz * min(1.0, warp)
    return np.interp(frequencies, [low, lower, upper, high], [low, lower / warp, upper / warp, high])


def cosine_transform(options: FbankOptions) -> np.ndarray:
    """The orthonormal DCT-II with Kaldi's liftering [num_mel_bins, num_ceps]: log mel energies to cepstra."""
    bins, order = options.num_mel_bins, np.arange(options.num_ceps)
    transform = np.sqrt(2 / bins) * np.cos(np.pi / bins * np.outer(np.arange(bins) + 0.5, order))
    transform[:, 0] = np.sqrt(1 / bins)
    lifter = options.cepstral_lifter
    if lifter != 0:
        transform *= 1 + 0.5 * lifter * np.sin(np.pi * order / lifter)
    return transform
