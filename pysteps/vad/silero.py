"""Silero's VAD: from probabilities of speech to stretches of it, and from those to feature frames."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from ..formats.frames import FrameGeometry
from .options import check_silero
from .windows import middles

RATE, WINDOW = 16000, 512  # 32 ms

Probabilities = Callable[[np.ndarray, int], tuple[np.ndarray, int]]


def silero_vad(
    samples: np.ndarray,
    rate: int,
    geometry: FrameGeometry,
    probabilities: Probabilities,
    *,
    threshold: float = 0.5,
    hysteresis: float = 0.15,
    min_speech_ms: int = 250,
    min_silence_ms: int = 100,
    pad_ms: int = 30,
) -> np.ndarray:
    """Speech decisions, bool [frames], for ``samples`` [time] in [-1, 1) at ``rate`` Hz.

    ``probabilities(samples, rate)`` is silero_network.load()'s: one a window of 512 samples at 16 kHz, and
    how many samples there were at that rate. A feature frame is speech when its middle sample lies in a
    stretch of it; without padding, that is the decision of the window that holds it.
    """
    check_silero(threshold, hysteresis, min_speech_ms, min_silence_ms, pad_ms)
    count = geometry.num_frames(len(samples), rate)
    voiced = np.zeros(count, bool)
    if count == 0:
        return voiced
    found = stretches(
        *probabilities(samples, rate),
        threshold=threshold,
        hysteresis=hysteresis,
        min_speech_ms=min_speech_ms,
        min_silence_ms=min_silence_ms,
        pad_ms=pad_ms,
    )
    at = middles(count, rate, geometry) * RATE  # in units of 1 / (RATE rate) s: no rounding
    for start, end in found:
        voiced[np.searchsorted(at, start * rate) : np.searchsorted(at, end * rate)] = True
    return voiced


def stretches(
    probabilities: np.ndarray,
    length: int,
    *,
    threshold: float = 0.5,
    hysteresis: float = 0.15,
    min_speech_ms: int = 250,
    min_silence_ms: int = 100,
    pad_ms: int = 30,
) -> list[tuple[int, int]]:
    """Where speech is in ``length`` samples at 16 kHz: (first sample, one past the last), in order.

    As silero_vad's get_speech_timestamps without a longest stretch. Speech begins with a window of at
    least ``threshold``; it ends with the first window below threshold - hysteresis (at least 0.01) from
    which on no window reaches ``threshold`` for ``min_silence_ms``. A stretch of ``min_speech_ms`` or
    less is dropped, the others grow by ``pad_ms``, neighbours by half their gap at most.
    """
    low = max(threshold - hysteresis, 0.01)
    shortest, pause = min_speech_ms * RATE // 1000, min_silence_ms * RATE // 1000
    found: list[tuple[int, int]] = []
    start, end = -1, -1  # of the stretch in hand; the end is where it may turn out to have ended
    for window, probability in enumerate(probabilities.tolist()):
        at = window * WINDOW
        if probability >= threshold:
            start, end = at if start < 0 else start, -1
        elif probability < low and start >= 0:
            end = at if end < 0 else end
            if at - end >= pause:
                if end - start > shortest:
                    found.append((start, end))
                start, end = -1, -1
    if start >= 0 and length - start > shortest:
        found.append((start, length))
    return _padded(found, length, pad_ms * RATE // 1000)


def _padded(found: list[tuple[int, int]], length: int, pad: int) -> list[tuple[int, int]]:
    starts, ends = [start for start, _ in found], [end for _, end in found]
    for i in range(len(found) + 1):
        if i == 0 or i == len(found):
            room = pad
        else:
            room = min(pad, (starts[i] - ends[i - 1]) // 2)
        if i > 0:
            ends[i - 1] = min(length, ends[i - 1] + room)
        if i < len(found):
            starts[i] = max(0, starts[i] - room)
    return list(zip(starts, ends, strict=True))
