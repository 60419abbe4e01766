"""Kaldi's matrices in little memory: both ways work through a compressed one piece by piece.

A matrix of three hours (1,080,000 x 80) is 346 MB in float32; a library that converts it at once needs
several copies of it. Method 2 (``CM``, kSpeechFeature, a byte a number) is kaldiio's arithmetic on groups of
columns, method 3 (``CM2``, kTwoByteAuto, two bytes a number) is plain enough to stand here. What is damaged
is a ValueError or struct.error: the caller knows the file and the utterance.
"""

from __future__ import annotations

import math
import os
import struct
from collections.abc import Iterator
from typing import IO

import numpy as np
from kaldiio.compression_header import GlobalHeader, PerColHeader

ONE_BYTE = 2  # Kaldi's --compression-method=2 (kSpeechFeature): 256 levels set by a column's quartiles
TWO_BYTES = 3  # Kaldi's --compression-method=3 (kTwoByteAuto): 65,536 levels between minimum and maximum
CM2 = struct.Struct("<ffii")  # minimum, range, rows, columns
_PIECE = 1 << 19  # numbers worked on at a time: 4 MB in float64


def rows_a_piece(columns: int) -> int:
    """How many rows of ``columns`` numbers make a piece."""
    return max(1, _PIECE // max(1, columns))


def two_byte_pieces(matrix: np.ndarray, low: float, high: float) -> Iterator[bytes]:
    """``CM2 `` bytes of a matrix [rows, columns] whose least and largest numbers are ``low`` and ``high``."""
    low, high = float(np.float32(low)), float(np.float32(high))
    span = high - low if high > low else 1.0 + abs(low)  # Kaldi's own answer to a constant matrix
    rows, columns = matrix.shape
    yield b"CM2 " + CM2.pack(low, span, rows, columns)
    step = rows_a_piece(columns)
    for first in range(0, rows, step):
        piece = np.asarray(matrix[first : first + step], np.float32).astype(np.float64)
        piece -= low
        piece *= 65535.0 / span
        yield np.clip(np.rint(piece, out=piece), 0, 65535, out=piece).astype("<u2").tobytes()


def one_byte_pieces(matrix: np.ndarray) -> Iterator[bytes]:
    """``CM `` bytes of a matrix [rows, columns]: global header, a header a column, then column by column."""
    rows, columns = matrix.shape
    if not rows * columns:
        yield b"CM " + CM2.pack(0.0, 0.0, rows, columns)
        return
    header = GlobalHeader.compute(matrix, ONE_BYTE)
    yield b"CM " + CM2.pack(header.min_value, header.range, rows, columns)
    groups = _column_groups(rows, columns)
    quartiles = [PerColHeader.compute(matrix[:, group], header) for group in groups]
    for part in quartiles:
        values = np.concatenate([part.p0, part.p25, part.p75, part.p100], axis=1)
        yield header.float_to_uint(values).astype("<u2").tobytes()
    for group, part in zip(groups, quartiles, strict=True):
        yield part.float_to_char(matrix[:, group].T).tobytes()


def read_levels(handle: IO[bytes], width: int) -> np.ndarray:
    """The float32 matrix behind ``CM2 `` (``width`` 2) or ``CM3 `` (1): kaldiio's arithmetic and bits."""
    low, span, rows, columns = read_header(handle, width)
    matrix = np.empty((rows, columns), np.float32)
    step = rows_a_piece(columns)
    for first in range(0, rows, step):
        piece = matrix[first : first + step]
        piece[:] = read_numbers(handle, f"<u{width}", piece.size).reshape(piece.shape)
        piece *= np.float32(span)
        piece /= np.float32(256**width - 1)
        piece += np.float32(low)
    return matrix


def read_one_byte(handle: IO[bytes]) -> np.ndarray:
    """The float32 matrix behind a ``CM `` marker."""
    low, span, rows, columns = read_header(handle, 1)
    if not rows * columns:
        return np.empty((rows, columns), np.float32)  # nothing follows, as one_byte_pieces writes it
    header = GlobalHeader("CM", low, span, rows, columns)
    quartiles = header.uint_to_float(read_numbers(handle, "<u2", 4 * columns)).reshape(-1, 4, 1)
    matrix = np.empty((rows, columns), np.float32)
    for group in _column_groups(rows, columns):
        part = quartiles[group]
        levels = read_numbers(handle, "u1", rows * len(part)).reshape(len(part), rows)
        matrix[:, group] = PerColHeader(*(part[:, place] for place in range(4))).char_to_float(levels).T
    return matrix


def _column_groups(rows: int, columns: int) -> list[slice]:
    width = max(1, _PIECE // max(1, rows))
    return [slice(first, min(columns, first + width)) for first in range(0, columns, width)]


def read_plain(handle: IO[bytes], kind: str, axes: int) -> np.ndarray:
    """The matrix (2 ``axes``) or vector (1) of ``kind`` behind ``FM ``, ``FV ``, ``DM `` or ``DV ``."""
    shape = read_shape(handle, axes, np.dtype(kind).itemsize)
    return read_numbers(handle, kind, math.prod(shape)).reshape(shape)


def read_shape(handle: IO[bytes], axes: int, width: int) -> tuple[int, ...]:
    """The sizes before uncompressed numbers of ``width`` bytes."""
    words = struct.unpack("<" + "bi" * axes, handle.read(5 * axes))
    if words[::2] != (4,) * axes:
        raise ValueError("no sizes of 4 bytes")
    return _checked(handle, words[1::2], width)


def read_header(handle: IO[bytes], width: int) -> tuple[float, float, int, int]:
    """Minimum, range, rows and columns of a compressed matrix of ``width`` bytes a number."""
    low, span, rows, columns = CM2.unpack(handle.read(CM2.size))
    check_header(low, span, rows, columns)
    _checked(handle, (rows, columns), width)
    return low, span, rows, columns


def check_header(low: float, span: float, rows: int, columns: int) -> None:
    """ValueError for what no header can say."""
    if rows < 0 or columns < 0 or not (math.isfinite(low) and math.isfinite(span)):
        raise ValueError(f"a header of {rows} x {columns} numbers from {low} over {span}")


def _checked(handle: IO[bytes], shape: tuple[int, ...], width: int) -> tuple[int, ...]:
    # Before numpy is asked: memory is taken only where the archive has so many numbers.
    count = math.prod(shape)
    if min(shape) < 0:
        raise ValueError(f"{' x '.join(map(str, shape))} numbers")
    if count > _PIECE:
        here = handle.tell()
        left = handle.seek(0, os.SEEK_END) - here
        handle.seek(here)
        if count * width > left:
            raise ValueError(f"{' x '.join(map(str, shape))} numbers in {left} bytes")
    return shape


def read_rows(handle: IO[bytes], kind: str, shape: tuple[int, ...], first: int, last: int) -> np.ndarray:
    """Rows [first, last) of the ``shape`` numbers that begin here."""
    check_rows(first, last, shape[0])
    handle.seek(first * shape[1] * np.dtype(kind).itemsize, os.SEEK_CUR)
    return read_numbers(handle, kind, (last - first) * shape[1]).reshape(last - first, shape[1])


def check_rows(first: int, last: int, rows: int) -> None:
    """ValueError unless rows [first, last) are among ``rows``."""
    if not 0 <= first <= last <= rows:
        raise ValueError(f"rows {first}..{last} of {rows}")


def read_numbers(handle: IO[bytes], kind: str, count: int) -> np.ndarray:
    """The next ``count`` numbers; ValueError if there are not so many."""
    found = np.frombuffer(handle.read(count * np.dtype(kind).itemsize), kind)
    if len(found) != count:
        raise ValueError(f"{len(found)} of {count} numbers")
    return found
