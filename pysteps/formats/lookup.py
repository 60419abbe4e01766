"""A few lines of a long sorted table, found without reading the others.

A job of two hundred does a two-hundredth of the list: a dictionary of a million lines costs it a second and
200 MB a table, a search in the sorted file some twenty reads a key.
"""

from __future__ import annotations

import os
import weakref
from collections.abc import Iterator, Mapping
from pathlib import Path

from .errors import InputError
from .tables import is_sorted, read_lines, read_table

BLOCK = 4096  # bytes: the smallest part that is worth another halving
SMALL = 1 << 20  # bytes of a table that is as well read at once


class Lookup(Mapping[str, str]):
    """The table at ``path`` as a mapping key -> value that reads what it is asked for.

    Keys are found by halving the file, which must be sorted as all our tables are. One that turns out not to
    be is read whole, as ``tables.read_table`` does; so is a small one. A key that comes twice is not noticed
    in a large one: whoever wrote or gathered the table has looked. The file stays open: one that is replaced
    meanwhile answers as it was. InputError for a missing table, for a key without a value and as read_table.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)
        self._whole: dict[str, str] | None = None
        self._ordered = False  # whether somebody has looked at the order of the whole file
        self._latest = ("", "")  # key and value: ``key in table`` comes before ``table[key]``
        if not self.path.is_file() or self.path.stat().st_size <= SMALL:
            self._whole = read_table(self.path)
            return
        handle = open(self.path, "rb")  # noqa: SIM115 - closed with the object
        weakref.finalize(self, handle.close)
        self._handle, self._size = handle, os.fstat(handle.fileno()).st_size

    def __getitem__(self, key: str) -> str:
        if self._whole is not None:
            return self._whole[key]
        if key == self._latest[0] and key:
            return self._latest[1]
        found = self._search(key.encode())
        if found is None:
            self._check_order()  # what is not found in disorder may be there all the same
            if self._whole is not None:
                return self._whole[key]
            raise KeyError(key)
        if not found:
            raise InputError(f"{key} has no value", where=self.path, mend="complete or remove the line")
        self._latest = (key, found)
        return found

    def __iter__(self) -> Iterator[str]:
        return iter(self._whole) if self._whole is not None else (key for _, key, _ in read_lines(self.path))

    def __len__(self) -> int:
        return len(self._whole) if self._whole is not None else sum(1 for _ in self)

    def _check_order(self) -> None:
        if not self._ordered:
            self._ordered = is_sorted(key for _, key, _ in read_lines(self.path))
            if not self._ordered:
                self._whole = read_table(self.path)

    def _search(self, key: bytes) -> str | None:
        # Invariant: the key's line, if there is one, begins in [low, high); a line begins at low.
        low, high = 0, self._size
        while high - low > BLOCK:
            middle = (low + high) // 2
            begin, line = self._line_from(middle)
            if begin >= high or key < _key(line):
                high = middle
            else:
                low = begin
        end = self._line_from(high)[0]
        for line in self._read(low, end - low).split(b"\n"):
            if _key(line) == key:
                return self._value(line)
        return None

    def _line_from(self, place: int) -> tuple[int, bytes]:
        # The first line that begins at ``place`` or behind it, and where: the file's end if there is none.
        if place >= self._size:
            return self._size, b""
        begin, want = place - 1, 256
        while True:
            data = self._read(begin, want)
            first = data.find(b"\n")
            last = data.find(b"\n", first + 1) if first >= 0 else -1
            if last >= 0 or begin + want >= self._size:
                break
            want *= 4
        if first < 0 or begin + first + 1 >= self._size:
            return self._size, b""
        return begin + first + 1, data[first + 1 : last if last >= 0 else None]

    def _read(self, begin: int, count: int) -> bytes:
        try:
            return os.pread(self._handle.fileno(), count, begin)
        except OSError as error:
            raise InputError(f"cannot be read: {error.strerror}", where=self.path) from error

    def _value(self, line: bytes) -> str:
        try:
            return line.replace(b"\t", b" ").partition(b" ")[2].decode().strip()
        except UnicodeDecodeError as error:
            raise InputError("not UTF-8", where=self.path, mend="convert the file to UTF-8") from error


def _key(line: bytes) -> bytes:
    return line.rstrip(b"\r").replace(b"\t", b" ").partition(b" ")[0]
