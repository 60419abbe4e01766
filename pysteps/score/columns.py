"""Three-word lines at the speed of an array: trial lists and score tables of millions of lines.

A block of whole lines is cut into words by array operations. An id is known by a 64-bit hash of its bytes and
its length, so only the first line with an id costs Python anything (two ids of one hash: less likely than
1e-6 among a million ids).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from ..formats.errors import InputError
from ..formats.tables import opened
from .hints import number_hint, words_hint

Ints = NDArray[np.int32]
T = TypeVar("T", bound=np.generic)
_BLOCK = 1 << 20  # bytes: the block and what is made of it stay in the cache
_PAD = 64
_TO_UTF8 = "convert the file to UTF-8, e.g. with iconv"
_KEEP = np.array([(1 << 8 * size) - 1 for size in range(8)] + [2**64 - 1], np.uint64)
_MIX = (np.uint64(0x9E3779B97F4A7C15), np.uint64(0xD6E8FEB86659FD93))
_HALF = np.uint64(32)


@dataclass(frozen=True)
class Block:
    """Whole lines of three words each: ``start`` and ``size`` [lines, 3] of the words in ``text``.

    ``line``: the number of the first line, from 1.
    """

    path: Path
    line: int
    text: bytes
    start: NDArray[np.int64]
    size: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.start)

    def word(self, row: int, column: int) -> str:
        """One word; InputError where it is no UTF-8."""
        begin = self.start[row, column]
        try:
            return self.text[begin : begin + self.size[row, column]].decode()
        except UnicodeDecodeError as error:
            raise InputError("not UTF-8", where=self.path, line=self.line + row, mend=_TO_UTF8) from error

    def some(self, rows: NDArray[np.int64], column: int) -> list[str]:
        """The words of a column in ``rows``."""
        start, size = self.start[rows, column], self.size[rows, column]
        try:
            places = zip(start.tolist(), (start + size).tolist(), strict=True)
            return [self.text[begin:end].decode() for begin, end in places]
        except UnicodeDecodeError:
            return [self.word(row, column) for row in rows.tolist()]  # it names the line

    def eights(self, column: int) -> Iterator[NDArray[np.uint64]]:
        """The words of a column as little-endian numbers of eight bytes [lines], zeros behind their ends."""
        whole = np.ndarray(len(self.text) - 7, "<u8", self.text, strides=(1,))
        start, size = self.start[:, column], self.size[:, column]
        for place in range(0, int(size.max()), 8):
            yield (whole[np.minimum(start + place, len(whole) - 1)] & _KEEP[np.clip(size - place, 0, 8)])

    def equals(self, column: int, word: bytes) -> NDArray[np.bool_]:
        """[lines] whether a word is ``word``."""
        same = self.size[:, column] == len(word)
        for place, eight in enumerate(self.eights(column)):
            same &= eight == int.from_bytes(word[8 * place : 8 * place + 8], "little")
        return same

    def hashes(self, column: int) -> NDArray[np.uint64]:
        """[lines] 64-bit hashes of a column's words."""
        size = self.size[:, column]
        mixed, shortest = size.astype(np.uint64), int(size.min())
        for place, eight in enumerate(self.eights(column)):
            before = None if 8 * place < shortest else mixed.copy()
            mixed ^= eight
            for factor in _MIX:
                mixed *= factor
                mixed ^= mixed >> _HALF
            if before is not None:  # a word's hash must not depend on longer words beside it
                np.copyto(mixed, before, where=size <= 8 * place)
        return mixed

    def numbers(self, column: int) -> NDArray[np.float64]:
        """[lines] a column as numbers; InputError where a word is none."""
        words = np.stack(list(self.eights(column)), axis=1)
        try:
            return words.view(f"S{8 * words.shape[1]}")[:, 0].astype(np.float64)
        except ValueError:
            for row in range(len(self)):
                word = self.word(row, column)
                try:
                    float(word)
                except ValueError as error:
                    said, mend = f"{word!r} is not a number", number_hint(word, self.line + row)
                    raise InputError(said, where=self.path, line=self.line + row, mend=mend) from error
            raise


@dataclass
class Names:
    """Ids in the order in which they were met; ``codes`` finds the numbers of a block's words."""

    names: list[str] = field(default_factory=list)
    _hashes: list[NDArray[np.uint64]] = field(default_factory=list)
    _key: NDArray[np.uint64] = field(default_factory=lambda: np.zeros(1 << 12, np.uint64))
    _code: Ints = field(default_factory=lambda: np.full(1 << 12, -1, np.int32))

    @staticmethod
    def of(ids: Sequence[str]) -> Names:
        """The ids of a list in which each stands once."""
        words = [one.encode() for one in ids]
        size = np.array([[len(word)] for word in words], np.int64).reshape(-1, 1)
        out, block = (
            Names(),
            Block(Path(), 1, b"".join(words) + bytes(_PAD), np.cumsum(size)[:, None] - size, size),
        )
        if words:
            out.codes(block, 0, add=True)
        return out

    def codes(self, block: Block, column: int, *, add: bool = False) -> Ints:
        """[lines] numbers of a column's words; new ones get the next number, or -1 without ``add``."""
        hashes = block.hashes(column)
        code = self._find(hashes)
        new = np.flatnonzero(code < 0)
        if add and len(new):
            values, first, place = np.unique(hashes[new], return_index=True, return_inverse=True)
            order = np.argsort(first)  # by their first lines, not by their hashes
            rank = np.empty(len(values), np.int32)
            rank[order] = np.arange(len(self.names), len(self.names) + len(values), dtype=np.int32)
            code[new] = rank[place]
            self.names += block.some(new[first[order]], column)
            self._insert(values[order])
        return code

    def _find(self, hashes: NDArray[np.uint64]) -> Ints:
        last = len(self._key) - 1
        slot = (hashes & np.uint64(last)).astype(np.int64)
        code = self._code[slot]
        other = np.flatnonzero((self._key[slot] != hashes) & (code >= 0))
        while len(other):  # somebody else's slot: the next one
            slot[other] = (slot[other] + 1) & last
            code[other] = self._code[slot[other]]
            other = other[(self._key[slot[other]] != hashes[other]) & (code[other] >= 0)]
        return code

    def _insert(self, hashes: NDArray[np.uint64]) -> None:
        begin, size = len(self.names) - len(hashes), len(self._key)
        self._hashes.append(hashes)
        if 4 * len(self.names) > size:
            size = 1 << (8 * len(self.names) - 1).bit_length()
            self._key, self._code = np.zeros(size, np.uint64), np.full(size, -1, np.int32)
            self._hashes, begin = [np.concatenate(self._hashes)], 0
            hashes = self._hashes[0]
        codes = np.arange(begin, begin + len(hashes), dtype=np.int32)
        slot = (hashes & np.uint64(size - 1)).astype(np.int64)
        left = np.arange(len(hashes))
        while len(left):
            free = left[self._code[slot[left]] < 0]
            self._code[slot[free]], self._key[slot[free]] = codes[free], hashes[free]
            left = left[self._code[slot[left]] != codes[left]]  # two for one slot: the last one has it
            slot[left] = (slot[left] + 1) & (size - 1)


class Column(Generic[T]):
    """An array [lines] that grows in place: parts of a long list leave no holes in memory."""

    def __init__(self, kind: type[T]) -> None:
        self._array, self._size = np.empty(_BLOCK, kind), 0

    def add(self, values: NDArray[Any]) -> None:
        """Put ``values`` behind the others."""
        end = self._size + len(values)
        if end > len(self._array):
            self._array.resize(max(end, len(self._array) * 3 // 2), refcheck=False)
        self._array[self._size : end] = values
        self._size = end

    def whole(self) -> NDArray[T]:
        """All of them; nothing may be added any more."""
        self._array.resize(self._size, refcheck=False)
        return self._array


def _lines(path: Path) -> Iterator[bytes]:
    # Pieces of whole lines; the last line may lack its newline.
    with opened(path) as handle:
        rest: list[bytes] = []
        while piece := handle.read(_BLOCK):
            cut = piece.rfind(b"\n") + 1
            if cut:
                yield b"".join([*rest, piece[:cut]])
                rest = []
            rest.append(piece[cut:])
        if any(rest):
            yield b"".join(rest) + b"\n"


def _words(text: bytes) -> tuple[bytes, NDArray[np.int64], NDArray[np.int64]] | None:
    # None where not every line has three words, or where they are not parted as usual.
    padded = b"\n" + text + bytes(_PAD)
    data = np.frombuffer(padded, np.uint8)[: len(text) + 1]
    blank = data <= 32
    edges = np.flatnonzero(blank[1:] != blank[:-1]) + 1
    start, end = edges[0::2], edges[1::2]
    lines = np.count_nonzero(data == 10) - 1
    if len(start) != 3 * lines or (data[end[2::3]] != 10).any():
        return None
    return padded, start.reshape(-1, 3), (end - start).reshape(-1, 3)


def _tidy(text: bytes, path: Path, line: int) -> bytes:
    # One blank between words and none behind; InputError for the first line without three words.
    rows = [row.split() for row in text.splitlines()]
    for number, words in enumerate(rows, line):
        if len(words) != 3:
            said = f"{len(words)} words where 3 should stand"
            raise InputError(said, where=path, line=number, mend=words_hint(words))
    return b"".join(b" ".join(words) + b"\n" for words in rows)


def read_blocks(path: str | Path) -> Iterator[Block]:
    """Yield the lines of a plain or gzipped list (told by its first bytes), three words each.

    Raises InputError for another number of words in a line and for a file that cannot be read.
    """
    path, line = Path(path), 1
    for text in _lines(path):
        words = _words(text) or _words(_tidy(text, path, line))
        if words is None:
            raise InputError("control characters among the words", where=path, line=line, mend=_TO_UTF8)
        yield Block(path, line, *words)
        line += len(words[1])
