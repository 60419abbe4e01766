"""Resampling, band-pass filtering and the way back to 16 bits."""

from __future__ import annotations

import numpy as np

from ..formats.errors import InputError


def resample(samples: np.ndarray, from_rate: int, to_rate: int) -> np.ndarray:
    """``samples`` [time] float32 at ``from_rate`` Hz as float32 at ``to_rate`` Hz (soxr, quality HQ).

    The same input gives the same bits. Equal rates give the samples back unchanged.
    """
    if from_rate <= 0 or to_rate <= 0:
        raise InputError(f"cannot resample from {from_rate} to {to_rate} Hz")
    if from_rate == to_rate or len(samples) == 0:
        return samples
    import soxr

    return soxr.resample(np.asarray(samples, dtype=np.float32), from_rate, to_rate, quality="HQ")


def bandpass(
    samples: np.ndarray, rate: int, low: float, high: float, *, order: int = 5, zero_phase: bool = True
) -> np.ndarray:
    """``samples`` [time] at ``rate`` Hz between ``low`` and ``high`` Hz (Butterworth); float32 [time].

    ``low`` 0 makes it a low-pass, ``high`` 0 a high-pass. ``zero_phase`` runs the filter forwards and
    backwards (the order doubles, nothing is delayed); otherwise it is causal. Telephone speech is 300
    to 3400 Hz.
    """
    top = high if high > 0 else rate / 2
    if low < 0 or high < 0 or low + high == 0 or not low < top <= rate / 2 or high == rate / 2 or order < 1:
        raise InputError(
            f"a band from {low:g} to {high:g} Hz of order {order} at {rate} Hz",
            mend=f"edges between 0 and {rate / 2:g} Hz, order at least 1",
        )
    if len(samples) == 0:
        return np.zeros(0, np.float32)
    from scipy import signal  # half a second to import: only those who filter pay

    kind = "lowpass" if low == 0 else "highpass" if high == 0 else "bandpass"
    edges = [edge for edge in (low, high) if edge > 0]
    sections = signal.butter(order, edges if len(edges) > 1 else edges[0], btype=kind, fs=rate, output="sos")
    wide = np.asarray(samples, dtype=np.float64)
    if zero_phase:
        # scipy's own edge extension, shortened where the signal is shorter than it.
        extension = min(3 * (2 * len(sections) + 1), len(wide) - 1)
        return signal.sosfiltfilt(sections, wide, padlen=extension).astype(np.float32)
    return signal.sosfilt(sections, wide).astype(np.float32)


def to_int16(samples: np.ndarray) -> tuple[np.ndarray, int]:
    """``samples`` in [-1, 1) as int16, rounded half to even and saturated, and how many were clipped."""
    scaled = np.rint(np.asarray(samples) * np.float32(32768))
    if not np.isfinite(scaled).all():
        raise InputError("NaN or infinity has no 16-bit value")
    clipped = int(np.count_nonzero((scaled > 32767) | (scaled < -32768)))
    return scaled.clip(-32768, 32767).astype(np.int16), clipped
