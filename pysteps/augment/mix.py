"""Additive and reverberant copies of speech. All at one rate, float32 in and out, never clipped."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..formats.errors import InputError


def add_noise(speech: np.ndarray, noise: np.ndarray, snr_db: float, offset: int = 0) -> np.ndarray:
    """``speech`` [time] with ``noise`` (music is noise too) at a signal-to-noise ratio of ``snr_db`` dB.

    The noise starts at its sample ``offset`` and is repeated as often as the speech is long. The ratio
    is that of the mean powers over the whole utterance. Where one of the two is silent the ratio does
    not exist and the speech comes back unchanged.
    """
    return _at_ratio(speech, fitted(noise, len(speech), offset), snr_db)


def babble(
    speech: np.ndarray, voices: Sequence[np.ndarray], snr_db: float, offsets: Sequence[int] | None = None
) -> np.ndarray:
    """``speech`` [time] with other people talking, who are equally loud and in sum ``snr_db`` dB below it."""
    total = np.zeros(len(speech), np.float32)
    for voice, offset in zip(voices, offsets or [0] * len(voices), strict=True):
        part = fitted(voice, len(speech), offset)
        power = _power(part)
        if power > 0:
            total += part * np.float32(power**-0.5)
    return _at_ratio(speech, total, snr_db)


def reverberate(speech: np.ndarray, rir: np.ndarray) -> np.ndarray:
    """``speech`` [time] in the room with impulse response ``rir``: as long, as loud and not delayed.

    The largest peak of ``rir`` is taken as the direct path and shifted to time 0; the reverberation
    that would follow the end is cut off; the root mean square is that of the speech.
    """
    if len(rir) == 0 or not np.any(rir):
        raise InputError("a room impulse response without a direct path")
    speech = np.asarray(speech, dtype=np.float32)
    if not np.any(speech):
        return speech.copy()
    from scipy.signal import oaconvolve  # half a second to import: only those who use rooms pay

    direct = int(np.argmax(np.abs(rir)))
    wet = oaconvolve(speech, np.asarray(rir, dtype=np.float32))[direct : direct + len(speech)]
    # A response cannot make speech silent but for the tail that is cut.
    power = _power(wet)
    return (wet * np.float32((_power(speech) / power) ** 0.5 if power > 0 else 1.0)).astype(np.float32)


def fitted(noise: np.ndarray, length: int, offset: int = 0) -> np.ndarray:
    """``length`` samples of ``noise`` from its sample ``offset`` on, repeated from its start at its end."""
    if len(noise) == 0:
        raise InputError("a noise without samples")
    offset %= len(noise)
    if offset + length <= len(noise):
        return np.asarray(noise[offset : offset + length], dtype=np.float32)
    repeats = -(-(offset + length) // len(noise))
    return np.tile(np.asarray(noise, dtype=np.float32), repeats)[offset : offset + length]


def _power(samples: np.ndarray) -> float:
    return float(np.mean(np.square(samples, dtype=np.float64))) if len(samples) else 0.0


def _at_ratio(speech: np.ndarray, noise: np.ndarray, snr_db: float) -> np.ndarray:
    speech = np.asarray(speech, dtype=np.float32)
    signal, disturbance = _power(speech), _power(noise)
    if signal == 0 or disturbance == 0:
        return speech.copy()
    gain = (signal / disturbance) ** 0.5 * 10 ** (-snr_db / 20)
    return speech + noise * np.float32(gain)
