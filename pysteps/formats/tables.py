"""Kaldi text tables: one ``key value...`` a line, sorted in the C locale, no key twice."""

from __future__ import annotations

import gzip
import io
import itertools
import operator
import os
import zlib
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from .atomic import packing
from .errors import InputError

_BLOCK = 1 << 22  # bytes
_PRINTED = bytes(range(33, 127))  # what words of plain ASCII consist of
_GZIP = b"\x1f\x8b"
_PACKERS = {  # what their files begin with
    b"BZh": ("bzip2", "bzcat"),
    b"\xfd7zXZ": ("xz", "xzcat"),
    b"\x28\xb5\x2f\xfd": ("zstd", "zstdcat"),
    b"PK\x03\x04": ("zip", "unzip -p"),
}
_MARK = b"\xef\xbb\xbf"  # UTF-8's byte-order mark, which some editors put at a file's start
_TO_UTF8 = "convert the file to UTF-8, e.g. with iconv"


@contextmanager
def opened(path: str | os.PathLike[str]) -> Iterator[IO[bytes]]:
    """The bytes of a plain or gzipped file or pipe (told by its first bytes), behind a byte-order mark.

    InputError, also for what is read in the block: a file that cannot be read, broken gzip, and what another
    program packed.
    """
    try:
        with open(path, "rb") as raw:  # perhaps a pipe, as <(zcat FILE) is: it cannot be wound back
            start = raw.peek(max(map(len, _PACKERS)))
            for magic, (kind, unpack) in _PACKERS.items():
                if start.startswith(magic):
                    mend = f"unpack it, or hand it over as <({unpack} FILE); gzip is read as it is"
                    raise InputError(f"a {kind} file: it is not unpacked here", where=path, mend=mend)
            packed = start.startswith(_GZIP)
            handle = io.BufferedReader(gzip.open(raw)) if packed else raw  # type: ignore[type-var]
            if handle.peek(len(_MARK)).startswith(_MARK):
                handle.read(len(_MARK))
            yield handle
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise InputError(f"broken gzip: {error}", where=path, mend="copy the file again") from error
    except OSError as error:
        raise InputError(f"cannot be read: {error.strerror}", where=path) from error


def read_lines(path: str | os.PathLike[str]) -> Iterator[tuple[int, str, str]]:
    """Yield (line number from 1, key, value) of a plain or gzipped table; the value may be empty.

    Raises InputError for a missing file, an empty line, a key without a name, bytes that are no UTF-8 and
    an archive in a table's place.
    """
    path = Path(path)
    if path.is_dir() or not path.exists():  # a pipe is good
        raise InputError(
            "no such table", where=path, mend="run the stage that writes it, or name another set"
        )
    number = 0
    try:
        with opened(path) as binary, io.TextIOWrapper(binary, "utf-8", newline="\n") as handle:
            if b" \0B" in bytes(binary.peek(1)).partition(b"\n")[0]:  # type: ignore[attr-defined]
                mend = "give the .scp beside it; Kaldi's copy-vector ark:X.ark ark,scp:Y.ark,Y.scp writes one"
                raise InputError("an archive (.ark) where a table should stand", where=path, mend=mend)
            for number, line in enumerate(handle, 1):  # noqa: B007 - the number names a bad line below
                text = line.rstrip("\r\n")
                key, _, value = text.replace("\t", " ").partition(" ")
                if not key:
                    raise InputError("empty line or empty key", where=path, line=number, mend="remove it")
                yield number, key, value.strip()
    except UnicodeDecodeError as error:
        raise InputError("not UTF-8", where=path, line=number + 1, mend=_TO_UTF8) from error


def read_table(path: str | os.PathLike[str], *, values: bool = True) -> dict[str, str]:
    """The table as a dictionary in file order; a key that comes twice is an error with its line.

    With ``values`` (the default) a line that has only a key is an error too.
    """
    table: dict[str, str] = {}
    for number, key, value in read_lines(path):
        if key in table:
            raise InputError(f"{key} is there twice", where=path, line=number, mend="keep one of them")
        if values and not value:
            raise InputError(
                f"{key} has no value", where=path, line=number, mend="complete or remove the line"
            )
        table[key] = value
    return table


def read_blocks(path: str | os.PathLike[str]) -> Iterator[bytes]:
    """Whole lines of a list, some megabytes at a time, for ``columns``; InputError if it cannot be read."""
    try:
        with open(path, "rb") as handle:
            while block := handle.read(_BLOCK):
                yield block + handle.readline()
    except OSError as error:
        raise InputError(f"cannot be read: {error.strerror}", where=path) from error


def columns(block: bytes, count: int) -> list[list[str]] | None:
    """``count`` lists of words of whole lines, or None unless every line is that many words of plain ASCII.

    Many times as fast as a look at each line. Plain: one space between words, none at an end.
    """
    ended = block if block.endswith(b"\n") else block + b"\n"
    lines = ended.count(b"\n")
    if ended.translate(None, _PRINTED) != (b" " * (count - 1) + b"\n") * lines:
        return None
    words = ended.decode().split()
    if len(words) != lines * count:  # a space at an end, a word of no letters
        return None
    return [words[place::count] for place in range(count)]


def read_words(path: str | os.PathLike[str], count: int) -> Iterator[tuple[int, list[str]]]:
    """Yield (line number from 1, its ``count`` words) of a plain or gzipped list (told by the first bytes).

    Raises InputError for a line of another number of words and for a file that cannot be read.
    """
    number = 0
    try:
        with opened(path) as binary, io.TextIOWrapper(binary, "utf-8", newline="\n") as text:
            for number, line in enumerate(text, 1):  # noqa: B007 - names a bad line below
                words = line.split()
                if len(words) != count:
                    said = f"{len(words)} words where {count} should stand"
                    raise InputError(said, where=path, line=number)
                yield number, words
    except UnicodeDecodeError as error:
        raise InputError("not UTF-8", where=path, line=number + 1, mend=_TO_UTF8) from error


def is_sorted(keys: Iterable[str]) -> bool:
    """Whether ``keys`` stand in C-locale order (code points order as UTF-8 bytes do)."""
    previous = ""
    for key in keys:
        if key < previous:
            return False
        previous = key
    return True


def keys_rise(path: str | os.PathLike[str]) -> bool:
    """Whether a table's keys stand in C-locale order and none comes twice, without keeping the table."""
    previous = ""
    for block in read_blocks(path):
        words = columns(block, 2)
        if words is None:
            break
        keys = words[0]
        if not (previous < keys[0] and all(map(operator.lt, keys, itertools.islice(keys, 1, None)))):
            return False
        previous = keys[-1]
    else:
        return True
    previous = ""
    for _, key, _ in read_lines(path):
        if key <= previous:
            return False
        previous = key
    return True


def write_table(path: str | os.PathLike[str], table: Mapping[str, str]) -> None:
    """Write ``table`` sorted by key, whole or not at all; gzipped under a name that ends in .gz."""
    write_lines(path, (f"{key} {table[key]}\n" if table[key] else f"{key}\n" for key in sorted(table)))


def write_lines(path: str | os.PathLike[str], lines: Iterable[str]) -> None:
    """Write ``lines``, each with its line feed, whole or not at all; gzipped where the name ends in .gz.

    The same lines give the same bytes (atomic.packing).
    """
    with packing(path) as handle:
        handle.writelines(line.encode() for line in lines)


def invert(utt2label: Mapping[str, str]) -> dict[str, str]:
    """utt2spk to spk2utt: label -> its utterances, sorted, joined by a space."""
    groups: dict[str, list[str]] = {}
    for utt in sorted(utt2label):
        groups.setdefault(utt2label[utt], []).append(utt)
    return {label: " ".join(utts) for label, utts in groups.items()}
