"""Long signals in blocks: beside what goes in or what comes out, little else is in memory."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

import numpy as np

from ..audio.filters import Resampler
from ..audio.growing import joined as gathered
from ..audio.source import Source

BLOCK = 65536  # samples


class Streamed:
    """The first channel of an opened recording, read whenever it is gone through: never in memory whole."""

    def __init__(self, source: Source) -> None:
        self._source, self._length = source, source.length()

    def __len__(self) -> int:
        return self._length

    def __iter__(self) -> Iterator[np.ndarray]:
        return (block[:, 0] for block in self._source.blocks())

    def whole(self) -> np.ndarray:
        """All of it, float32 [time], the caller's to change."""
        return gathered(self, self._length)


def spans(length: int) -> Iterator[tuple[int, int]]:
    """Start and length of each block of a signal of ``length`` samples."""
    return ((start, min(BLOCK, length - start)) for start in range(0, length, BLOCK))


def in_blocks(samples: np.ndarray | Streamed) -> Iterator[np.ndarray]:
    """``samples`` [time] as views of its blocks, or as they are read."""
    if isinstance(samples, Streamed):
        return iter(samples)
    return (samples[start : start + size] for start, size in spans(len(samples)))


def at_rate(blocks: Iterable[np.ndarray], before: int, after: int) -> Iterator[np.ndarray]:
    """``blocks`` at ``before`` Hz as blocks at ``after`` Hz: joined, what the whole signal gives at once."""
    resampler = Resampler(before, after)
    for block in blocks:
        yield resampler.push(block, False)
    yield resampler.push(np.zeros(0, np.float32), True)


def room_for(samples: np.ndarray, in_place: bool) -> np.ndarray:
    """Where a result as long as ``samples`` [time] float32 goes: into them, or into a new array."""
    return samples if in_place else np.empty(len(samples), np.float32)


def filled(out: np.ndarray, blocks: Iterable[np.ndarray]) -> np.ndarray:
    """``out`` [time] with ``blocks`` one after the other, cut off or filled with zeros at the end."""
    at = 0
    for block in blocks:
        part = block[: len(out) - at]
        out[at : at + len(part)] = part
        at += len(part)
    out[at:] = 0
    return out


def mean_power(length: int, piece: Callable[[int, int], np.ndarray]) -> float:
    """Mean square of ``length`` samples, of which ``piece(start, size)`` gives a block; 0 for none."""
    energy = sum(float(np.sum(np.square(piece(*span), dtype=np.float64))) for span in spans(length))
    return energy / length if length else 0.0


def pieces(samples: np.ndarray) -> Callable[[int, int], np.ndarray]:
    """What ``mean_power`` wants, of ``samples`` [time] that are there."""
    return lambda start, size: samples[start : start + size]
