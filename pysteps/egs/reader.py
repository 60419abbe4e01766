"""Reading egs back: the plan of a folder, and the rows of an archive that are asked for as arrays.

All entries of an archive have one size but for their keys, and those stand in the table of its labels: so
where each entry lies is known without going through the file, and only what is wanted is read.
"""

from __future__ import annotations

import os
import struct
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from ..formats.arks import parse_chunks
from ..formats.errors import InputError
from ..formats.records import read_json
from ..formats.tables import read_table

_WAV = 44  # bytes of the header that stage egs writes
_MOST = 1000  # pieces that the system takes in one read; IOV_MAX is 1024
_TOGETHER = 32  # chunks made float32 at a time: they stay in the processor's cache

Room = Callable[[tuple[int, ...], type[np.float32]], np.ndarray]  # np.empty, or memory that a GPU reads
_CM2 = np.dtype([("mark", "S7"), ("low", "<f4"), ("span", "<f4"), ("rows", "<i4"), ("columns", "<i4")])
_RIFF = np.dtype(
    [
        ("space", "S1"), ("riff", "S4"), ("whole", "<u4"), ("wave", "S8"), ("format", "V20"), ("data", "S4"),
        ("size", "<u4"),
    ]
)  # fmt: skip


@dataclass(frozen=True)
class ArchiveInfo:
    """An archive's name, how many chunks it holds and their length in frames."""

    name: str
    chunks: int
    frames: int


@dataclass(frozen=True)
class EgsPlan:
    """What an egs folder holds. ``kind``: features, or audio that training makes features of.

    ``long``: archives of chunks of one greater length, original voices only (--egs.long_seconds; else none).
    """

    num_speakers: int
    feature_dim: int
    archives: list[ArchiveInfo]
    valid: list[ArchiveInfo]
    speakers: list[str]
    kind: str = "features"
    long: list[ArchiveInfo] = field(default_factory=list)


def _number(name: str) -> int:
    return int(name.split(".")[1])


def read_plan(folder: Path) -> EgsPlan:
    """The content of egs.json; archives in the order of their numbers."""
    path = Path(folder) / "egs.json"
    content = read_json(path, "the plan of the egs", mend="run stage egs")

    def infos(kind: str) -> list[ArchiveInfo]:
        there = content.get(kind, {}) if kind == "long" else content[kind]  # older ones have no "long"
        return [ArchiveInfo(name, **there[name]) for name in sorted(there, key=_number)]

    labels = read_table(Path(folder) / "speakers")
    speakers = sorted(labels, key=lambda name: int(labels[name]))
    return EgsPlan(
        content["num_speakers"],
        content["feature_dim"],
        infos("archives"),
        infos("valid"),
        speakers,
        content.get("kind", "features"),
        infos("long"),
    )


class Features:
    """Rows of an archive of features, in memory as they lie in the file: two bytes a number.

    ``keys`` and ``labels`` are the whole archive's. Memory: the rows' own bytes, and what ``take`` gives out.
    """

    def __init__(self, folder: Path, info: ArchiveInfo, rows: np.ndarray | None = None) -> None:
        path = _there(folder, info)
        entries = _entries(path)
        self.keys, self.labels = entries.keys, entries.labels
        with _Wanted(path, entries, info, rows, parse_chunks) as wanted:
            head = wanted.first(_CM2)
            self.shape = int(head["rows"]), int(head["columns"])
            heads, self._levels = wanted.read(_CM2, 2 * self.shape[0] * self.shape[1])
            good = (heads["mark"] == b" \0BCM2 ") & np.isfinite(heads["low"]) & np.isfinite(heads["span"])
            good &= (heads["rows"] == self.shape[0]) & (heads["columns"] == self.shape[1])
            wanted.check(bool(good.all()) and self.shape[0] == info.frames)
        self._low = heads["low"].reshape(-1, 1).copy()
        # Divided as Python's numbers, then rounded: the bits of formats.arks.parse_chunks.
        self._step = (heads["span"].astype(np.float64) / 65535).astype(np.float32).reshape(-1, 1)
        self._place = wanted.place

    def take(self, rows: np.ndarray | None = None, room: Room = np.empty) -> tuple[np.ndarray, np.ndarray]:
        """Features float32 [rows, frames, feature] and labels int64 [rows]; None: all rows of the archive."""
        rows = np.arange(len(self.keys)) if rows is None else rows
        out = room((len(rows), *self.shape), np.float32)
        flat, places = out.reshape(len(rows), -1), self._place[rows]
        for first in range(0, len(rows), _TOGETHER):
            here, part = places[first : first + _TOGETHER], flat[first : first + _TOGETHER]
            part[:] = self._levels[here]
            part *= self._step[here]
            part += self._low[here]
        return out, self.labels[rows]


def read_archive(
    folder: Path, info: ArchiveInfo, rows: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Features float32 [rows, frames, feature] and labels int64 [rows] of one archive; None: all rows."""
    return Features(folder, info, rows).take(rows)


def read_audio_archive(
    folder: Path, info: ArchiveInfo, rows: np.ndarray | None = None
) -> tuple[list[str], np.ndarray, np.ndarray]:
    """Keys, audio int16 [rows, time] and labels int64 [rows] of one archive of audio; None: all rows."""
    path = _there(folder, info)
    entries = _entries(path)
    with _Wanted(path, entries, info, rows, parse_audio) as wanted:
        size = int(wanted.first(_RIFF)["size"])
        heads, levels = wanted.read(_RIFF, size)
        good = (heads["space"] == b" ") & (heads["riff"] == b"RIFF") & (heads["wave"] == b"WAVEfmt ")
        wanted.check(bool((good & (heads["data"] == b"data") & (heads["size"] == size)).all()))
    order = np.arange(info.chunks) if rows is None else np.asarray(rows)
    chunks = levels.view("<i2")
    if rows is not None:  # all of them lie in their order
        chunks = chunks[wanted.place[order]]
    return [entries.keys[row] for row in order.tolist()], chunks, entries.labels[order]


def read_labels(folder: Path, archive: str) -> tuple[list[str], np.ndarray]:
    """The keys of an archive's chunks (NUMBER-UTTERANCE@START) in order, and their labels int64 [chunks]."""
    entries = _entries(Path(folder) / f"{archive}.ark")
    return entries.keys, entries.labels.copy()


@dataclass(frozen=True)
class _Entries:
    # What the table of an archive's labels says of its entries.
    keys: list[str]
    names: list[bytes]  # the keys as they stand in the file
    labels: np.ndarray  # int64 [chunks]


def _entries(path: Path) -> _Entries:
    table = path.with_suffix(".lab")
    try:
        there = table.stat()
    except OSError:
        return _read_entries(table, 0, 0)  # which says it
    return _read_entries(table, there.st_mtime_ns, there.st_size)


@lru_cache(4)
def _read_entries(table: Path, time: int, size: int) -> _Entries:
    # A batch asks for a few of an archive's rows: the table is read once for all of them.
    labels = read_table(table)
    try:
        numbers = np.asarray([int(label) for label in labels.values()], np.int64)
    except ValueError as error:
        raise InputError(f"a label is no number: {error}", where=table, mend="redo stage egs") from error
    numbers.setflags(write=False)
    return _Entries(list(labels), [key.encode() for key in labels], numbers)


class _Wanted:
    """Reads rows of an archive, each byte once, those that lie side by side at once.

    ``place`` [chunks]: where a row is among those that were read, -1 for the others. Whatever is not as it
    should be sends the whole file through ``parse``, which says what and where.
    """

    def __init__(
        self,
        path: Path,
        entries: _Entries,
        info: ArchiveInfo,
        rows: np.ndarray | None,
        parse: Callable[[bytes, object], object],
    ) -> None:
        self._path, self._entries, self._parse = path, entries, parse
        self.check(0 < len(entries.names) == info.chunks)
        self._rows = np.arange(info.chunks) if rows is None else np.unique(rows)
        self.place = np.full(info.chunks, -1)
        self.place[self._rows] = np.arange(len(self._rows))

    def __enter__(self) -> _Wanted:
        try:
            self._file = open(self._path, "rb", buffering=0)  # noqa: SIM115 - closed in __exit__
        except OSError as error:
            raise InputError(f"cannot be read: {error.strerror}", where=self._path) from error
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def first(self, kind: np.dtype) -> np.void:
        """The header of the first entry."""
        found = np.zeros(1, kind)
        self._fill([found.view(np.uint8)], len(self._entries.names[0]))
        return found[0]

    def read(self, kind: np.dtype, body: int) -> tuple[np.ndarray, np.ndarray]:
        """Headers ``kind`` [rows] and ``body`` bytes each as uint16 [rows, body / 2]."""
        names = self._entries.names
        ends = np.cumsum([len(name) + kind.itemsize + body for name in names])
        self.check(body > 0 and body % 2 == 0 and ends[-1] == os.fstat(self._file.fileno()).st_size)
        bodies = np.empty((len(self._rows), body // 2), "<u2")
        heads, keys = np.empty(len(self._rows), kind), [bytearray(len(names[row])) for row in self._rows]
        # A scattered read: keys, headers and numbers each go where they are wanted, the numbers aligned.
        raw, numbers = heads.view(np.uint8).reshape(-1, kind.itemsize), bodies.view(np.uint8)
        pieces = [piece for row in zip(keys, raw, numbers, strict=True) for piece in row]
        cuts = np.flatnonzero(np.diff(self._rows) > 1) + 1
        for first, last in zip([0, *cuts], [*cuts, len(self._rows)], strict=True):
            row = self._rows[first]
            start = int(ends[row]) - len(names[row]) - kind.itemsize - body
            self._fill(pieces[3 * first : 3 * last], start)
        self.check(all(key == names[row] for key, row in zip(keys, self._rows, strict=True)))
        return heads, bodies

    def _fill(self, pieces: Sequence[Any], start: int) -> None:
        left = deque(memoryview(piece) for piece in pieces)
        try:
            while left:
                found = os.preadv(self._file.fileno(), list(islice(left, _MOST)), start)
                self.check(found > 0)
                start += found
                while left and found >= len(left[0]):
                    found -= len(left.popleft())
                if found:
                    left[0] = left[0][found:]
        except OSError as error:
            raise InputError(f"cannot be read: {error.strerror}", where=self._path) from error

    def check(self, good: bool) -> None:
        """InputError unless all is as it should be."""
        if not good:
            self._parse(self._path.read_bytes(), self._path)
            raise InputError(
                "does not hold what egs.json says", where=self._path, mend="run stage egs with --force"
            )


def parse_audio(data: bytes, where: object) -> tuple[list[str], np.ndarray]:
    """All entries of an archive of equally long 16-bit wavs: (keys, int16 [entries, time])."""
    keys: list[str] = []
    blocks: list[np.ndarray] = []
    position = 0
    while position < len(data):
        space = data.find(b" ", position)
        keys.append(data[position : max(space, position)].decode(errors="replace"))
        head = data[space + 1 : space + 1 + _WAV]
        if space < 0 or len(head) < _WAV or (head[:4], head[8:16], head[36:40]) != (
            b"RIFF",
            b"WAVEfmt ",
            b"data",
        ):
            raise InputError("not an archive of audio", where=where, utt=keys[-1], mend="redo stage egs")
        (size,) = struct.unpack_from("<I", head, 40)
        start, position = space + 1 + _WAV, space + 1 + _WAV + size
        if position > len(data) or (blocks and size != 2 * len(blocks[0])):
            raise InputError("uneven or cut chunk", where=where, utt=keys[-1], mend="redo stage egs")
        blocks.append(np.frombuffer(data, "<i2", size // 2, start))
    if not blocks:
        raise InputError("an empty archive", where=where, mend="redo stage egs")
    return keys, np.stack(blocks)


def _there(folder: Path, info: ArchiveInfo) -> Path:
    path = Path(folder) / f"{info.name}.ark"
    if not path.is_file():
        raise InputError("missing", where=path, mend="run stage egs with --force")
    return path
