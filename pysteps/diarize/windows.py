"""Speech to windows: from frame decisions to stretches of speech, from those to overlapping windows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike

from ..formats.errors import InputError
from ..formats.frames import FrameGeometry
from ..formats.tables import read_lines


@dataclass(frozen=True)
class Windows:
    """Windows of one recording: ``names`` [N] (keys of their x-vectors), ``times`` [N, 2] in seconds."""

    names: list[str]
    times: np.ndarray


def speech_regions(
    decisions: ArrayLike, geometry: FrameGeometry, rate: int, least_gap: float = 0.0
) -> list[tuple[float, float]]:
    """Stretches of voiced frames as (start, end) in seconds; gaps shorter than ``least_gap`` are closed.

    ``decisions`` [frames], not 0 where voiced. A frame stands for one frame shift around its middle; the
    first one for all before it too, so that no sound at the edge is lost.
    """
    voiced = np.concatenate(([False], np.asarray(decisions) != 0, [False]))
    edges = np.flatnonzero(voiced[1:] != voiced[:-1]).reshape(-1, 2)
    shift = geometry.shift(rate)
    first = geometry.first_sample(0, rate) + (geometry.length(rate) - shift) / 2
    found: list[tuple[float, float]] = []
    for begin, stop in edges.tolist():
        start = 0.0 if begin == 0 else (first + begin * shift) / rate
        end = (first + stop * shift) / rate
        if found and start - found[-1][1] < least_gap:
            found[-1] = (found[-1][0], end)
        else:
            found.append((start, end))
    return found


def frame_middles(frames: np.ndarray, geometry: FrameGeometry, rate: int) -> np.ndarray:
    """The middles of ``frames`` [n] in seconds."""
    return (geometry.first_sample(0, rate) + frames * geometry.shift(rate) + geometry.length(rate) / 2) / rate


def sliding_windows(
    regions: Sequence[tuple[float, float]], length: float = 1.44, shift: float = 0.24, least: float = 0.1
) -> np.ndarray:
    """Windows [N, 2] in seconds, ``length`` long and ``shift`` apart, over stretches of speech.

    No window reaches over the end of its stretch: the last is shorter, a stretch shorter than ``length``
    is one window, and one shorter than ``least`` seconds none (as VBx's predict.py). Times are whole
    milliseconds.
    """
    if not (0 < shift <= length and least > 0):
        raise InputError(
            f"windows of {length} s, {shift} s apart, at least {least} s",
            mend="0 < shift <= length and least > 0",
        )
    size, step, fewest = (max(1, round(1000 * seconds)) for seconds in (length, shift, least))
    found = []
    for start, end in regions:
        begin, total = round(1000 * start), round(1000 * end) - round(1000 * start)
        starts = list(range(0, total - size, step))
        found += [(begin + at, begin + at + size) for at in starts]
        rest = starts[-1] + step if starts else 0
        if starts and total - rest < fewest:
            rest = total - size  # too short for itself: it begins earlier, so that no end is lost
        if total - rest >= fewest:
            found.append((begin + rest, begin + total))
    return np.array(found, np.float64).reshape(-1, 2) / 1000


def name_windows(recording: str, times: np.ndarray) -> list[str]:
    """RECORDING-START-END in milliseconds of eight digits: C-locale order is order of time."""
    return [f"{recording}-{round(1000 * start):08d}-{round(1000 * end):08d}" for start, end in times]


def read_windows(path: str | Path) -> dict[str, Windows]:
    """A Kaldi segments file (`window recording start end`) by recording, windows in order of time."""
    found: dict[str, list[tuple[float, float, str]]] = {}
    seen: set[str] = set()
    for line, name, value in read_lines(path):
        words = value.split()
        try:
            recording, start, end = words[0], float(words[1]), float(words[2])
        except (IndexError, ValueError):
            raise InputError("not `window recording start end`", where=path, line=line) from None
        if not 0 <= start < end < float("inf"):
            raise InputError(f"start {start} and end {end} are no interval", where=path, line=line)
        if name in seen:
            raise InputError(f"{name} is there twice", where=path, line=line, mend="keep one of them")
        seen.add(name)
        found.setdefault(recording, []).append((start, end, name))
    if not found:
        raise InputError("no windows", where=path)
    return {
        recording: Windows([name for *_, name in rows], np.array([row[:2] for row in rows]))
        for recording, rows in ((recording, sorted(rows)) for recording, rows in found.items())
    }
