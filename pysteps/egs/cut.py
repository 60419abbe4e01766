"""Audio without its pauses: which samples a chunk of voiced frames is made of.

A frame stands for the samples from its beginning to the next frame's, so cutting out the unvoiced frames
leaves a signal whose frames are the voiced ones, but for those that reach over a cut.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from ..formats.frames import FrameGeometry


@dataclass(frozen=True)
class ChunkGeometry:
    """How many samples chunks take at ``rate`` Hz.

    ``factor`` is how much longer the audio of a chunk is than what training makes of it: the highest
    speed that it may be played at.
    """

    frames: FrameGeometry
    rate: int
    factor: float = 1.0

    @property
    def _factor(self) -> Fraction:
        # Speeds have three digits; as a fraction 1.1 times 10 is 11 and not a little more.
        return Fraction(self.factor).limit_denominator(1000)

    @property
    def tail(self) -> int:
        """Samples that the last frame must have: its length, or without snip_edges half a shift."""
        shift = self.frames.shift(self.rate)
        return self.frames.length(self.rate) if self.frames.snip_edges else shift - shift // 2

    def samples(self, frames: int) -> int:
        """The fewest samples that have ``frames`` (> 0) frames."""
        return (frames - 1) * self.frames.shift(self.rate) + self.tail

    def stored(self, frames: int) -> int:
        """Samples of a training chunk's audio, enough for ``frames`` frames at any speed."""
        return math.ceil(self._factor * self.samples(frames))

    def fitting(self, voiced: int) -> int:
        """The longest chunk, in frames, that ``voiced`` voiced frames are enough for; 0 for none."""
        if voiced < 1:
            return 0
        return max(0, self.frames.num_frames(math.floor(self.samples(voiced) / self._factor), self.rate))

    def needed(self, frames: int) -> int:
        """The fewest voiced frames that a chunk of ``frames`` frames can be cut from."""
        return 1 + max(0, -((self.tail - self.stored(frames)) // self.frames.shift(self.rate)))

    def place(self, start: np.ndarray) -> np.ndarray:
        """Where chunks planned at ``start`` of the ``fitting`` frames begin among the voiced ones."""
        return start * self._factor.numerator // self._factor.denominator


def voiced_samples(voiced: np.ndarray, start: int, count: int, shift: int) -> np.ndarray:
    """Indices [count] into a recording: ``count`` samples of its voiced audio from frame ``start`` on.

    ``voiced`` holds the voiced frames' numbers in order. The last one's samples go on behind its shift,
    as far as its frame reaches.
    """
    wanted = np.arange(start * shift, start * shift + count)
    frame = np.minimum(wanted // shift, len(voiced) - 1)
    return voiced[frame] * shift + (wanted - frame * shift)
