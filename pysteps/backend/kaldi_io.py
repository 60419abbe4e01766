"""Single Kaldi objects in files: a vector, a matrix, a <Plda> (what copy-vector, copy-matrix and
ivector-copy-plda read). Binary and text are read and written. Only Kaldi's own markers are
accepted, nothing is unpickled, no size is believed before the file is seen to be that long.
"""

from __future__ import annotations

import math
import struct
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..formats.atomic import replacing
from ..formats.errors import InputError

Floats = NDArray[np.float64]
_MEND = "train the PLDA again, on more speakers or behind an LDA of fewer dimensions"
_WIDTH: dict[bytes, np.dtype[Any]] = {b"F": np.dtype("<f4"), b"D": np.dtype("<f8")}


class _Reader:
    """A cursor over a file's bytes that knows how to complain."""

    def __init__(self, path: str | Path) -> None:
        self.path, self.at = path, 0
        try:
            self.data = Path(path).read_bytes()
        except OSError as error:
            raise InputError(f"cannot be read: {error.strerror}", where=path) from error
        self.binary = self.data[:2] == b"\0B"
        self.at = 2 if self.binary else 0

    def fail(self, what: str) -> InputError:
        return InputError(f"{what} at byte {self.at}", where=self.path)

    def take(self, count: int) -> bytes:
        if self.at + count > len(self.data):
            raise self.fail(f"the file ends early: {count} bytes are missing")
        self.at += count
        return self.data[self.at - count : self.at]

    def token(self) -> bytes:
        """The next word; in binary exactly one space follows it."""
        if not self.binary:
            while self.data[self.at : self.at + 1].isspace():
                self.at += 1
        begin = self.at
        while self.at < len(self.data) and not self.data[self.at : self.at + 1].isspace():
            self.at += 1
            if self.binary and self.at - begin > 16:
                raise self.fail("no Kaldi marker")
        word = self.data[begin : self.at]
        if self.binary and self.take(1) != b" ":
            raise self.fail("no space after a Kaldi marker")
        return word

    def expect(self, word: bytes) -> None:
        found = self.token()
        if found != word:
            raise self.fail(f"expected {word.decode()}, found {found[:20]!r}")

    def size(self) -> int:
        if self.take(1) != b"\4":
            raise self.fail("no 4-byte size")
        (count,) = struct.unpack("<i", self.take(4))
        if count < 0:
            raise self.fail(f"a size of {count}")
        return count

    def array(self, kind: bytes) -> Floats:
        """A vector (kind b"V") or a matrix (b"M") as float64."""
        if not self.binary:
            return self._text(kind)
        marker = self.token()
        if len(marker) != 2 or marker[:1] not in _WIDTH or marker[1:] != kind:
            known = " or ".join(width.decode() + kind.decode() for width in _WIDTH)
            raise self.fail(f"marker {marker!r} where {known} should stand")
        shape = [self.size() for _ in range(1 if kind == b"V" else 2)]
        width = _WIDTH[marker[:1]]
        raw = self.take(math.prod(shape) * width.itemsize)
        return self._finite(np.frombuffer(raw, width).astype(np.float64).reshape(shape))

    def _text(self, kind: bytes) -> Floats:
        self.expect(b"[")
        end = self.data.find(b"]", self.at)
        if end < 0:
            raise self.fail("no closing ]")
        body, self.at = self.data[self.at : end], end + 1
        rows = [line.split() for line in body.split(b"\n") if line.strip()]
        try:
            values = [[float(word) for word in row] for row in rows]
        except ValueError as error:
            raise self.fail(f"not a number ({error})") from error
        if kind == b"V":
            if len(values) > 1:
                raise self.fail("a matrix where a vector should stand")
            return self._finite(np.array(values[0] if values else [], dtype=np.float64))
        if len({len(row) for row in values}) > 1:
            raise self.fail("rows of different lengths")
        return self._finite(np.array(values, dtype=np.float64).reshape(len(values), -1 if values else 0))

    def _finite(self, array: Floats) -> Floats:
        if not np.isfinite(array).all():
            raise self.fail("values that are not finite before")
        return array

    def end(self) -> None:
        if self.data[self.at :].strip():
            raise self.fail("something follows the object")


def read_vector(path: str | Path) -> Floats:
    """A Kaldi vector file as float64 [D]; anything else is an InputError."""
    reader = _Reader(path)
    array = reader.array(b"V")
    reader.end()
    return array


def read_matrix(path: str | Path) -> Floats:
    """A Kaldi matrix file (uncompressed) as float64 [rows, columns]; anything else is an InputError."""
    reader = _Reader(path)
    array = reader.array(b"M")
    reader.end()
    return array


def read_plda(path: str | Path) -> tuple[Floats, Floats, Floats]:
    """A Kaldi <Plda> file: mean [D], transform [D, D], psi [D].

    InputError for sizes that disagree, a singular transform, and a psi below 0 or 0 throughout.
    """
    reader = _Reader(path)
    reader.expect(b"<Plda>")
    mean, transform, psi = reader.array(b"V"), reader.array(b"M"), reader.array(b"V")
    reader.expect(b"</Plda>")
    reader.end()
    if transform.shape != (len(mean), len(mean)) or len(psi) != len(mean) or not len(mean):
        sizes = f"mean {mean.shape}, transform {transform.shape}, psi {psi.shape}"
        raise InputError(f"{sizes} disagree", where=path)
    if psi.min() < 0:
        raise InputError(f"a between-speaker variance of {psi.min():g}", where=path, mend=_MEND)
    if not psi.any():
        said = "no between-speaker variance: psi is 0 throughout, and so would be all scores"
        raise InputError(said, where=path, mend=_MEND)
    rank = int(np.linalg.matrix_rank(transform))
    if rank < len(transform):
        said = f"a singular transform, of rank {rank} where {len(transform)} is needed"
        raise InputError(said, where=path, mend=_MEND)
    return mean, transform, psi


def _bytes(array: ArrayLike) -> bytes:
    values = np.ascontiguousarray(array, dtype="<f8")
    sizes = b"".join(b"\4" + struct.pack("<i", count) for count in values.shape)
    return b"D" + {1: b"V", 2: b"M"}[values.ndim] + b" " + sizes + values.tobytes()


def _text(array: ArrayLike) -> bytes:
    # repr gives the shortest decimals that come back as the same number; Kaldi's own text has six digits.
    values = np.asarray(array, dtype=np.float64)
    if values.ndim == 1:
        return f" [ {' '.join(map(repr, values.tolist()))} ]\n".encode()
    rows = "".join(f"\n  {' '.join(map(repr, row))} " for row in values.tolist())
    return f" [{rows}]\n".encode()


def _write(path: str | Path, array: ArrayLike, text: bool) -> None:
    with replacing(path, "wb") as handle:
        handle.write(_text(array) if text else b"\0B" + _bytes(array))


def write_vector(path: str | Path, vector: ArrayLike, *, text: bool = False) -> None:
    """Write [D] as a Kaldi double vector, binary or ``text``, whole or not at all."""
    _write(path, np.ravel(vector), text)


def write_matrix(path: str | Path, matrix: ArrayLike, *, text: bool = False) -> None:
    """Write [rows, columns] as a Kaldi double matrix, binary or ``text``, whole or not at all."""
    _write(path, np.atleast_2d(matrix), text)


def write_plda(
    path: str | Path, mean: ArrayLike, transform: ArrayLike, psi: ArrayLike, *, text: bool = False
) -> None:
    """Write a Kaldi <Plda>; binary byte for byte as ivector-compute-plda would write these numbers."""
    form, begin, end = (_text, b"<Plda> ", b"</Plda> ") if text else (_bytes, b"\0B<Plda> ", b"</Plda> ")
    with replacing(path, "wb") as handle:
        handle.write(begin + form(mean) + form(transform) + form(psi) + end)
