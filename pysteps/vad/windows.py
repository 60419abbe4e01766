"""What webrtc and silero share: a recording in blocks at the method's own rate, and the way back to frames.

Both decide windows of their own, at a rate of their own. Blocks hold whole windows, so that a recording of
hours never stands in memory a second time; a window's decision comes to the feature frames by time.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from ..audio.filters import Resampler
from ..formats.frames import FrameGeometry


def blocks(samples: np.ndarray, rate: int, to_rate: int, size: int) -> Iterator[np.ndarray]:
    """``samples`` [time] at ``rate`` Hz as float32 blocks [``size``] at ``to_rate`` Hz.

    The last may be shorter. Resampling streams (soxr, quality HQ): the blocks together are what it makes of
    the whole, to the bit.
    """
    if rate == to_rate:
        for start in range(0, len(samples), size):
            yield np.asarray(samples[start : start + size], np.float32)
        return
    resampler = Resampler(rate, to_rate)
    step = max(1, size * rate // to_rate)
    held = np.zeros(0, np.float32)
    for start in range(0, len(samples), step):
        made = resampler.push(samples[start : start + step], last=start + step >= len(samples))
        held = np.concatenate((held, made))
        while len(held) >= size:
            yield held[:size]
            held = held[size:]
    if len(held):
        yield held


def middles(count: int, rate: int, geometry: FrameGeometry) -> np.ndarray:
    """Index of the middle sample of each of ``count`` feature frames at ``rate`` Hz, int64 [count]."""
    first = geometry.first_sample(0, rate) + geometry.length(rate) // 2
    return first + geometry.shift(rate) * np.arange(count, dtype=np.int64)
