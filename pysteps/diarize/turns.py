"""Who spoke when: turns, RTTM and UEM files, and turns out of labelled windows."""

from __future__ import annotations

import io
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import isfinite

import numpy as np
from numpy.typing import ArrayLike

from ..formats.errors import InputError
from ..formats.tables import opened, write_lines

# What NIST's RTTM may hold beside SPEAKER (RT-09 evaluation plan, appendix A): no turns, passed over.
_OTHER = {
    "SEGMENT", "NOSCORE", "NO_RT_METADATA", "LEXEME", "NON-LEX", "NON-SPEECH", "FILLER", "EDIT", "IP", "SU",
    "CB", "A/P", "SPKR-INFO",
}  # fmt: skip


@dataclass(frozen=True, order=True)
class Turn:
    """One stretch of one speaker, in seconds."""

    start: float
    end: float
    speaker: str


Turns = dict[str, list[Turn]]  # by recording, in order of time


def read_rttm(path: str | os.PathLike[str]) -> Turns:
    """The SPEAKER lines of an RTTM file by recording, in order of time.

    Comments (;;) and NIST's other kinds of line are passed over; what is none of them is an InputError.
    """
    found: Turns = {}
    for line, words in _lines(path):
        if words[0] in _OTHER:
            continue
        if words[0] != "SPEAKER" or len(words) < 8:
            what = "not `SPEAKER recording channel start duration <NA> <NA> speaker ...`"
            raise InputError(what, where=path, line=line)
        start, duration = _seconds(words[3:5], path, line)
        if start < 0 or duration < 0:
            raise InputError(f"start {start:g}, duration {duration:g}", where=path, line=line)
        found.setdefault(words[1], []).append(Turn(start, start + duration, words[7]))
    return {recording: sorted(turns) for recording, turns in found.items()}


def write_rttm(path: str | os.PathLike[str], turns: Mapping[str, Sequence[Turn]]) -> None:
    """Write ``turns`` with three decimals, recordings in C-locale order, whole or not at all.

    Gzipped under a name that ends in .gz.
    """
    in_order = ((recording, one) for recording in sorted(turns) for one in sorted(turns[recording]))
    write_lines(path, (_line(recording, one) for recording, one in in_order))


def _line(recording: str, one: Turn) -> str:
    times = f"{one.start:.3f} {one.end - one.start:.3f}"
    return f"SPEAKER {recording} 1 {times} <NA> <NA> {one.speaker} <NA> <NA>\n"


def read_uem(path: str | os.PathLike[str]) -> dict[str, list[tuple[float, float]]]:
    """What is to be scored: `recording channel start end` lines as recording -> [(start, end)] in seconds."""
    found: dict[str, list[tuple[float, float]]] = {}
    for line, words in _lines(path):
        if len(words) != 4:
            raise InputError("not `recording channel start end`", where=path, line=line)
        start, end = _seconds(words[2:], path, line)
        if not 0 <= start < end:
            raise InputError(f"start {start:g} and end {end:g} are no interval", where=path, line=line)
        found.setdefault(words[0], []).append((start, end))
    return found


def read_regions(path: str | os.PathLike[str]) -> list[tuple[float, float]]:
    """Speech of one recording as a .lab file has it (`start end label`): [(start, end)] in seconds."""
    found: list[tuple[float, float]] = []
    for line, words in _lines(path):
        if len(words) not in (2, 3):
            raise InputError("not `start end label`", where=path, line=line)
        start, end = _seconds(words[:2], path, line)
        if not 0 <= start < end or (found and start < found[-1][1]):
            raise InputError(f"{start:g} to {end:g} is no stretch behind the last", where=path, line=line)
        found.append((start, end))
    return found


def stretches(turns: Sequence[Turn]) -> list[tuple[float, float]]:
    """When anybody speaks in ``turns``: (start, end) in seconds in order of time, joined where they touch."""
    found: list[tuple[float, float]] = []
    for turn in sorted(turns):
        if found and turn.start <= found[-1][1]:
            found[-1] = (found[-1][0], max(found[-1][1], turn.end))
        elif turn.end > turn.start:
            found.append((turn.start, turn.end))
    return found


def _lines(path: str | os.PathLike[str]) -> list[tuple[int, list[str]]]:
    # Of a plain or gzipped file.
    try:
        with opened(path) as binary, io.TextIOWrapper(binary, "utf-8") as handle:
            split = [(line, text.split()) for line, text in enumerate(handle, 1)]
    except UnicodeDecodeError as error:
        raise InputError("not UTF-8", where=path, mend="convert the file to UTF-8") from error
    return [(line, words) for line, words in split if words and not words[0].startswith(";;")]


def _seconds(words: Sequence[str], path: object, line: int) -> tuple[float, float]:
    try:
        first, second = (float(word) for word in words)
    except ValueError as error:
        raise InputError(f"not a time: {' '.join(words)}", where=path, line=line) from error
    if not (isfinite(first) and isfinite(second)):
        raise InputError(f"not a time: {' '.join(words)}", where=path, line=line)
    return first, second


def join_windows(times: ArrayLike, labels: Sequence[int], touch: float = 1e-6) -> list[Turn]:
    """Turns from windows ``times`` [N, 2] (start and end in seconds, in order) and their ``labels`` [N].

    Windows of one label that overlap or touch (within ``touch`` seconds) are one turn; where windows of
    two labels overlap, the border is the middle of the overlap (as VBx has it). Nobody speaks at the same
    time as somebody else: overlapped speech is given to one speaker. Speakers are named 1, 2, ... in
    order of appearance.
    """
    spans = np.asarray(times, np.float64).reshape(-1, 2)
    if len(labels) != len(spans):
        raise InputError(f"{len(labels)} labels for {len(spans)} windows")
    if (np.diff(spans, axis=0) < 0).any():
        first = int(np.flatnonzero((np.diff(spans, axis=0) < 0).any(axis=1))[0]) + 1
        what = f"window {first + 1} begins or ends before window {first}"
        raise InputError(what, mend="sort them by time; none may lie inside another")
    names: dict[int, str] = {}
    runs: list[list] = []  # start, end, label of the windows that become one turn
    for (start, end), label in zip(spans.tolist(), labels, strict=True):
        names.setdefault(label, str(len(names) + 1))
        if runs and runs[-1][2] == label and start <= runs[-1][1] + touch:
            runs[-1][1] = end
        else:
            runs.append([start, end, label])
    borders = [(one[1] + two[0]) / 2 for one, two in zip(runs, runs[1:], strict=False)]
    for border, one, two in zip(borders, runs, runs[1:], strict=False):
        if two[0] < one[1]:
            one[1] = two[0] = border
    return [Turn(start, end, names[label]) for start, end, label in runs]
