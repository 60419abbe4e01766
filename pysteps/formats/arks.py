"""Kaldi archives: matrices, vectors and audio behind ``file:offset``, and nothing else.

A foreign table is never handed to a library: kaldiio's scp reader runs shell pipes and unpickles. Here
an entry is split, its marker checked, and only then the bytes go to a decoder.
"""

from __future__ import annotations

import io
import os
import struct
import wave
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import kaldiio.matio
import numpy as np

from .atomic import replacing
from .errors import InputError

TWO_BYTES = 3  # Kaldi's --compression-method=3 (kTwoByteAuto): 65,536 levels between minimum and maximum
_MATRIX = (b"FM ", b"DM ", b"FV ", b"DV ", b"CM ", b"CM2 ", b"CM3 ")
_CM2 = struct.Struct("<ffii")


def split_entry(entry: str, *, where: object = None, utt: str | None = None) -> tuple[str, int | None]:
    """``path`` or ``path:offset`` of a table to (path, offset or None); a shell pipe is refused."""
    text = entry.strip()
    if text.startswith("|") or text.endswith("|"):
        raise InputError("the entry is a command", where=where, utt=utt, mend="--allow-pipes runs it")
    path, colon, tail = text.rpartition(":")
    if colon and tail.isdigit():
        return path, int(tail)
    return text, None


class Archive:
    """Reads entries of archives, keeping the last few files open. Use as a context manager."""

    def __init__(self, keep: int = 16) -> None:
        self._keep = keep
        self._files: dict[str, IO[bytes]] = {}

    def __enter__(self) -> Archive:
        return self

    def __exit__(self, *_: object) -> None:
        for handle in self._files.values():
            handle.close()
        self._files.clear()

    def at(self, entry: str, utt: str) -> IO[bytes]:
        """The open file, placed at the first byte of the entry (behind its key)."""
        path, offset = split_entry(entry, utt=utt)
        handle = self._files.pop(path, None)
        if handle is None:
            try:
                handle = open(path, "rb")  # noqa: SIM115 - closed on exit or when pushed out below
            except OSError as error:
                raise InputError(error.strerror or str(error), where=path, utt=utt) from error
        self._files[path] = handle
        if len(self._files) > self._keep:
            self._files.pop(next(iter(self._files))).close()
        handle.seek(offset or 0)
        return handle

    def array(self, entry: str, utt: str) -> np.ndarray:
        """A matrix [rows, columns] or vector [n] of float32 or float64; InputError if it is neither."""
        handle = self.at(entry, utt)
        start = handle.tell()
        head = handle.read(6)
        if head[:2] != b"\0B" or not head[2:].startswith(_MATRIX):
            raise InputError("no Kaldi matrix or vector here", where=entry, utt=utt, mend="redo the stage")
        handle.seek(start)
        try:
            array = kaldiio.matio.read_kaldi(handle)
        except (ValueError, struct.error, AssertionError) as error:
            raise InputError(
                f"damaged matrix: {error}", where=entry, utt=utt, mend="redo the stage"
            ) from error
        return array

    def rows(self, entry: str, utt: str, first: int, last: int) -> np.ndarray:
        """Rows [first, last) of a matrix as float32 [last - first, columns], reading only those of CM2/FM."""
        handle = self.at(entry, utt)
        head = handle.read(6)
        if head == b"\0BCM2 ":
            low, span, rows, columns = _CM2.unpack(handle.read(_CM2.size))
            width, kind = 2, "<u2"
        elif head[:5] == b"\0BFM ":
            handle.seek(-1, os.SEEK_CUR)
            _, rows, _, columns = struct.unpack("<bibi", handle.read(10))
            width, kind = 4, "<f4"
        else:
            return np.asarray(self.array(entry, utt)[first:last], np.float32)
        if not 0 <= first <= last <= rows:
            raise InputError(f"rows {first}..{last} of {rows}", where=entry, utt=utt, mend="redo the stage")
        handle.seek(first * columns * width, os.SEEK_CUR)
        data = np.frombuffer(handle.read((last - first) * columns * width), kind)
        if data.size != (last - first) * columns:
            raise InputError("the archive ends too early", where=entry, utt=utt, mend="redo the stage")
        block = data.reshape(last - first, columns).astype(np.float32)
        return block * np.float32(span / 65535) + np.float32(low) if width == 2 else block


class ArchiveWriter:
    """Writes entries to one archive; ``scp`` holds key -> ``name:offset`` (``name`` as tables shall say)."""

    def __init__(self, handle: IO[bytes], name: str) -> None:
        self._handle = handle
        self._name = name
        self.scp: dict[str, str] = {}

    def _key(self, key: str) -> None:
        self._handle.write(key.encode() + b" ")
        self.scp[key] = f"{self._name}:{self._handle.tell()}"

    def array(self, key: str, array: np.ndarray, compression: int = 0) -> None:
        """Append a matrix or vector (float32 or float64) under ``key``; NaN and infinity are refused."""
        if not np.isfinite(array).all():
            raise InputError("not finite", where=self._name, utt=key, mend="this is a defect: report it")
        self._key(key)
        if compression == TWO_BYTES:
            self._handle.write(b"\0B" + two_bytes(array))
        else:
            kaldiio.matio.write_array(self._handle, array, compression_method=compression or None)

    def audio(self, key: str, samples: np.ndarray, rate: int) -> None:
        """Append int16 ``samples`` [time] as a RIFF wav under ``key``, as Kaldi's wav-copy does."""
        buffer = io.BytesIO()
        with wave.open(buffer, "wb") as wav:
            wav.setnchannels(1)
            wav.setsampwidth(2)
            wav.setframerate(rate)
            wav.writeframes(np.ascontiguousarray(samples, "<i2").tobytes())
        self._key(key)
        self._handle.write(buffer.getvalue())


def two_bytes(matrix: np.ndarray) -> bytes:
    """``CM2 `` bytes of a matrix [rows, columns]: Kaldi's CompressedMatrix, method kTwoByteAuto."""
    matrix = np.asarray(matrix, np.float32)
    low = float(matrix.min()) if matrix.size else 0.0
    span = (float(matrix.max()) - low) if matrix.size else 0.0
    span = span if span > 0.0 else 1.0 + abs(low)  # Kaldi's own answer to a constant matrix
    levels = np.clip(np.rint((matrix.astype(np.float64) - low) * (65535.0 / span)), 0, 65535).astype("<u2")
    return b"CM2 " + _CM2.pack(low, span, *matrix.shape) + levels.tobytes()


def parse_chunks(data: bytes, where: object) -> tuple[list[str], np.ndarray]:
    """All entries of an archive of equally large CM2 matrices: (keys, float32 [entries, rows, columns])."""
    keys, spans, blocks, position, shape = [], [], [], 0, None
    while position < len(data):
        space = data.index(b" ", position)
        keys.append(data[position:space].decode())
        if data[space + 1 : space + 7] != b"\0BCM2 ":
            raise InputError("not a chunk archive", where=where, utt=keys[-1], mend="redo stage egs")
        low, span, rows, columns = _CM2.unpack_from(data, space + 7)
        if shape is None:
            shape = (rows, columns)
        start = space + 7 + _CM2.size
        position = start + rows * columns * 2
        if (rows, columns) != shape or position > len(data):
            raise InputError("uneven or cut chunk", where=where, utt=keys[-1], mend="redo stage egs")
        spans.append((low, span / 65535))
        blocks.append(np.frombuffer(data, "<u2", rows * columns, start))
    if shape is None:
        raise InputError("an empty archive", where=where, mend="redo stage egs")
    scale = np.asarray(spans, np.float32)
    out = np.empty((len(keys), shape[0] * shape[1]), np.float32)
    for row, block in enumerate(blocks):
        np.multiply(block, scale[row, 1], out=out[row], casting="unsafe")
        out[row] += scale[row, 0]
    return keys, out.reshape(len(keys), *shape)


@contextmanager
def writing(path: str | os.PathLike[str]) -> Iterator[ArchiveWriter]:
    """An ArchiveWriter whose file appears at ``path`` when the block ends well."""
    with replacing(Path(path), "wb") as handle:
        yield ArchiveWriter(handle, str(path))
