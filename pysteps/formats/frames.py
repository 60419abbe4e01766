"""Frame geometry: where analysis frames lie in a recording, the same for VAD and features.

Follows Kaldi's NumFrames and FirstSampleOfFrame (src/feat/feature-window.cc). No numpy: stages that
only count frames start fast.
"""

from __future__ import annotations

from dataclasses import dataclass

from .errors import InputError


@dataclass(frozen=True)
class FrameGeometry:
    """Frame length and shift in milliseconds, and what happens at the edges.

    With ``snip_edges`` only frames that lie wholly inside the recording exist; without it there is
    one frame for each shift and the signal is reflected at both ends.
    """

    length_ms: float = 25.0
    shift_ms: float = 10.0
    snip_edges: bool = True

    def __post_init__(self) -> None:
        if not (0 < self.shift_ms < float("inf") and 0 < self.length_ms < float("inf")):
            raise InputError(
                f"frame length {self.length_ms} ms and shift {self.shift_ms} ms must be positive",
                mend="the usual ones are 25 and 10",
            )

    def length(self, rate: int) -> int:
        """Samples in a frame at ``rate`` Hz (rounded down, as Kaldi does)."""
        return _samples(self.length_ms, rate, "length")

    def shift(self, rate: int) -> int:
        """Samples from one frame to the next at ``rate`` Hz (rounded down, as Kaldi does)."""
        return _samples(self.shift_ms, rate, "shift")

    def num_frames(self, samples: int, rate: int) -> int:
        """Frames in a recording of ``samples`` samples at ``rate`` Hz; 0 when it is too short."""
        length, shift = self.length(rate), self.shift(rate)
        if not self.snip_edges:
            return (samples + shift // 2) // shift
        return 0 if samples < length else 1 + (samples - length) // shift

    def first_sample(self, frame: int, rate: int) -> int:
        """Index of the first sample of frame ``frame``; negative at the left edge without snip_edges."""
        length, shift = self.length(rate), self.shift(rate)
        if self.snip_edges:
            return frame * shift
        return shift * frame + shift // 2 - length // 2

    def span(self, frames: int, rate: int) -> tuple[int, int]:
        """First sample of the first and one past the last sample of the last of ``frames`` (> 0) frames."""
        return self.first_sample(0, rate), self.first_sample(frames - 1, rate) + self.length(rate)


def _samples(milliseconds: float, rate: int, what: str) -> int:
    count = int(rate * 0.001 * milliseconds)
    if count < 1:
        raise InputError(f"a frame {what} of {milliseconds} ms holds no sample at {rate} Hz")
    return count
