"""Long signals in blocks: beside what goes in and what comes out, little else is in memory."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

import numpy as np

BLOCK = 65536  # samples


def spans(length: int) -> Iterator[tuple[int, int]]:
    """Start and length of each block of a signal of ``length`` samples."""
    return ((start, min(BLOCK, length - start)) for start in range(0, length, BLOCK))


def in_blocks(samples: np.ndarray) -> Iterator[np.ndarray]:
    """``samples`` [time] as views of its blocks."""
    return (samples[start : start + size] for start, size in spans(len(samples)))


def joined(blocks: Iterable[np.ndarray], length: int) -> np.ndarray:
    """``blocks`` one after the other as float32 [length], cut off or filled with zeros at the end."""
    out, at = np.zeros(length, np.float32), 0
    for block in blocks:
        part = block[: length - at]
        out[at : at + len(part)] = part
        at += len(part)
    return out


def mean_power(length: int, piece: Callable[[int, int], np.ndarray]) -> float:
    """Mean square of ``length`` samples, of which ``piece(start, size)`` gives a block; 0 for none."""
    energy = sum(float(np.sum(np.square(piece(*span), dtype=np.float64))) for span in spans(length))
    return energy / length if length else 0.0


def pieces(samples: np.ndarray) -> Callable[[int, int], np.ndarray]:
    """What ``mean_power`` wants, of ``samples`` [time] that are there."""
    return lambda start, size: samples[start : start + size]
