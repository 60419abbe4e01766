"""Kaldi archives: matrices, vectors and audio behind ``file:offset``, and nothing else.

A foreign table is never handed to a library: kaldiio's scp reader runs shell pipes and unpickles. Here
an entry is split, its marker checked, and only then the bytes go to a decoder.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import kaldiio.matio
import numpy as np

from .atomic import replacing
from .checkout import located
from .compressed import CM2 as _CM2
from .compressed import (
    ONE_BYTE,
    TWO_BYTES,
    check_header,
    check_rows,
    one_byte_pieces,
    read_header,
    read_levels,
    read_one_byte,
    read_plain,
    read_rows,
    read_shape,
    rows_a_piece,
    two_byte_pieces,
)
from .errors import InputError
from .window import Window

_READERS: dict[bytes, Callable[[IO[bytes]], np.ndarray]] = {
    b"FM": lambda handle: read_plain(handle, "<f4", 2),
    b"DM": lambda handle: read_plain(handle, "<f8", 2),
    b"FV": lambda handle: read_plain(handle, "<f4", 1),
    b"DV": lambda handle: read_plain(handle, "<f8", 1),
    b"CM": read_one_byte,
    b"CM2": lambda handle: read_levels(handle, 2),
    b"CM3": lambda handle: read_levels(handle, 1),
}
_RIFF = struct.Struct("<4sI8sIHHIIHH4sI")  # a wav's 44 bytes before its samples
_AUDIO = struct.Struct("<5sBQ")  # kaldiio's marker of audio in another format: AUDIO, 8, bytes of the file


@contextmanager
def _damaged(what: str, where: object, utt: str | None, mend: str) -> Iterator[None]:
    # What reading foreign bytes can raise becomes an error that names the file.
    try:
        yield
    except (ValueError, struct.error, AssertionError, OverflowError, MemoryError) as error:
        raise InputError(f"damaged {what}: {error}", where=where, utt=utt, mend=mend) from error


def split_entry(entry: str, *, where: object = None, utt: str | None = None) -> tuple[str, int | None]:
    """``path`` or ``path:offset`` of a table to (path, offset or None); a shell pipe is refused."""
    text = entry.strip()
    if text.startswith("|") or text.endswith("|"):
        raise InputError("the entry is a command", where=where, utt=utt, mend="--allow-pipes runs it")
    path, colon, tail = text.rpartition(":")
    if colon and tail.isascii() and tail.isdigit():
        return path, int(tail)
    return text, None


class Archive:
    """Reads entries of archives, keeping the last few files open. Use as a context manager.

    ``elsewhere``: of an archive by the path that entries name, the file to read: its copy on a nearer disk.
    """

    def __init__(self, keep: int = 16) -> None:
        self._keep = keep
        self.elsewhere: dict[str, str] = {}
        self._files: dict[str, IO[bytes]] = {}

    def __enter__(self) -> Archive:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close all files; a later entry opens its own again."""
        for handle in self._files.values():
            handle.close()
        self._files.clear()

    def at(self, entry: str, utt: str) -> IO[bytes]:
        """The open file, placed at the first byte of the entry (behind its key)."""
        path, offset = split_entry(entry, utt=utt)
        handle = self._files.pop(path, None)
        if handle is None:
            try:
                handle = open(self.elsewhere.get(path) or located(path), "rb")  # noqa: SIM115 - closed on exit or when pushed out below
            except OSError as error:
                said = f"cannot be read: {error.strerror}"
                mend = "put it back, or redo the stage that wrote it with --force"
                raise InputError(said, where=path, utt=utt, mend=mend) from error
        self._files[path] = handle
        if len(self._files) > self._keep:
            self._files.pop(next(iter(self._files))).close()
        with _damaged("entry", entry, utt, "redo the stage"):  # an offset beyond any file
            handle.seek(offset or 0)
        return handle

    def _marked(self, entry: str, utt: str) -> tuple[IO[bytes], bytes]:
        # The file, placed behind the entry's marker, and the marker.
        handle = self.at(entry, utt)
        start = handle.tell()
        head = handle.read(6)
        kind = next((kind for kind in _READERS if head.startswith(b"\0B" + kind + b" ")), None)
        if kind is None:
            raise InputError("no Kaldi matrix or vector here", where=entry, utt=utt, mend="redo the stage")
        handle.seek(start + 3 + len(kind))
        return handle, kind

    def array(self, entry: str, utt: str) -> np.ndarray:
        """A matrix [rows, columns] or vector [n] of float32 or float64; InputError if it is neither."""
        handle, kind = self._marked(entry, utt)
        with _damaged("matrix", entry, utt, "redo the stage"):
            return _READERS[kind](handle)

    def rows(self, entry: str, utt: str, first: int, last: int) -> np.ndarray:
        """Rows [first, last) of a matrix as float32 [last - first, columns], reading only those of CM2/FM."""
        handle, kind = self._marked(entry, utt)
        with _damaged("matrix", entry, utt, "redo the stage"):
            if kind == b"CM2":
                low, span, rows, columns = read_header(handle, 2)
                block = read_rows(handle, "<u2", (rows, columns), first, last).astype(np.float32)
                return block * np.float32(span / 65535) + np.float32(low)
            if kind == b"FM":
                rows, columns = read_shape(handle, 2, 4)
                return read_rows(handle, "<f4", (rows, columns), first, last).astype(np.float32)
            whole = _READERS[kind](handle)
            check_rows(first, last, len(whole))
            return np.asarray(whole[first:last], np.float32)


class ArchiveWriter:
    """Writes entries to one archive; ``scp`` holds key -> ``name:offset`` (``name`` as tables shall say).

    An entry that fails in the middle is cut off again, so that the archive holds whole entries only.
    """

    def __init__(self, handle: IO[bytes], name: str) -> None:
        self._handle = handle
        self._name = name
        self.scp: dict[str, str] = {}

    @contextmanager
    def _entry(self, key: str) -> Iterator[int]:
        # Yields the offset behind the key.
        begin = self._handle.tell()
        try:
            self._handle.write(key.encode() + b" ")
            offset = self._handle.tell()
            yield offset
        except BaseException:
            self._handle.seek(begin)
            self._handle.truncate()
            raise
        self.scp[key] = f"{self._name}:{offset}"

    def array(self, key: str, array: np.ndarray, compression: int = 0) -> None:
        """Append a matrix or vector (float32 or float64) under ``key``; NaN and infinity are refused."""
        low, high = (array.min(), array.max()) if array.size else (0.0, 0.0)
        if not np.isfinite([low, high]).all():  # both are NaN where there is one: no copy to look for it
            raise InputError("not finite", where=self._name, utt=key, mend="this is a defect: report it")
        with self._entry(key):
            if compression not in (0, ONE_BYTE, TWO_BYTES):
                kaldiio.matio.write_array(self._handle, array, compression_method=compression)
                return
            self._handle.write(b"\0B")
            if compression == TWO_BYTES:
                self._handle.writelines(two_byte_pieces(array, low, high))
            elif compression == ONE_BYTE:
                self._handle.writelines(one_byte_pieces(array))
            else:
                self._handle.writelines(_plain_pieces(array))

    def audio(
        self, key: str, samples: np.ndarray | Iterable[np.ndarray], rate: int, *, flac: bool = False
    ) -> int:
        """Append int16 ``samples`` [time] under ``key`` and return how many they are.

        ``samples`` is one array or blocks in order; blocks are written as they come, so that a recording
        of any length costs the memory of one. A RIFF wav as Kaldi's wav-copy writes it, or with ``flac`` a
        FLAC file behind kaldiio's marker AUDIO and its length. What the blocks raise leaves no entry.
        """
        blocks = (samples,) if isinstance(samples, np.ndarray) else samples
        with self._entry(key) as begin:
            return self._flac(begin, blocks, rate) if flac else self._wav(begin, blocks, rate, key)

    def _wav(self, begin: int, blocks: Iterable[np.ndarray], rate: int, key: str) -> int:
        self._handle.write(_riff(rate, 0))
        size = 0
        for block in blocks:
            self._handle.write(np.ascontiguousarray(block, "<i2").data)
            size += 2 * len(block)
            if size > 0xFFFFFFFF - 36:
                raise InputError("more samples than a wav can hold", utt=key, mend="cut it by segments")
        self._patch(begin, _riff(rate, size))
        return size // 2

    def _flac(self, begin: int, blocks: Iterable[np.ndarray], rate: int) -> int:
        import soundfile

        self._handle.write(_AUDIO.pack(b"AUDIO", 8, 0))
        window, count = Window(self._handle, begin + _AUDIO.size), 0
        try:
            with soundfile.SoundFile(window, "w", rate, 1, "PCM_16", format="FLAC") as file:
                for block in blocks:
                    file.write(np.ascontiguousarray(block, np.int16))
                    count += len(block)
        finally:
            if window.failure is not None:
                raise window.failure  # in place of what the library made of it, if anything
        if not count:
            raise InputError("no samples: a flac needs one", where=self._name)
        size = self._handle.seek(0, os.SEEK_END) - begin - _AUDIO.size
        self._patch(begin, _AUDIO.pack(b"AUDIO", 8, size))
        return count

    def _patch(self, begin: int, head: bytes) -> None:
        # The length stands before what it is the length of.
        self._handle.seek(begin)
        self._handle.write(head)
        self._handle.seek(0, os.SEEK_END)


def _riff(rate: int, size: int) -> bytes:
    return _RIFF.pack(
        b"RIFF", 36 + size, b"WAVEfmt ", 16, 1, 1, rate, 2 * rate, 2, 16, b"data", size
    )  # fmt of 16 bytes: coding PCM, one channel, rate, bytes a second, bytes a sample, bits


def _plain_pieces(array: np.ndarray) -> Iterator[bytes | memoryview]:
    # An uncompressed matrix or vector; float32 and float64 keep their width.
    kinds = {"f4": b"F", "f8": b"D"}
    kind = array.dtype.str[1:]
    if kind not in kinds or array.ndim not in (1, 2):
        raise InputError(f"no matrix or vector of floats: {array.ndim} axes of {array.dtype}")
    yield kinds[kind] + (b"M " if array.ndim == 2 else b"V ")
    yield b"".join(b"\4" + struct.pack("<i", size) for size in array.shape)
    step = rows_a_piece(array[0].size if len(array) else 1)
    for first in range(0, len(array), step):
        yield np.ascontiguousarray(array[first : first + step], f"<{kind}").data.cast("B")


def parse_chunks(data: bytes, where: object) -> tuple[list[str], np.ndarray]:
    """All entries of an archive of equally large CM2 matrices: (keys, float32 [entries, rows, columns])."""
    keys, spans, blocks, shape = [], [], [], None
    position = 0
    with _damaged("chunk archive", where, None, "redo stage egs"):
        while position < len(data):
            space = data.index(b" ", position)
            keys.append(data[position:space].decode())
            if data[space + 1 : space + 7] != b"\0BCM2 ":
                raise InputError("not a chunk archive", where=where, utt=keys[-1], mend="redo stage egs")
            low, span, rows, columns = _CM2.unpack_from(data, space + 7)
            check_header(low, span, rows, columns)
            shape = shape or (rows, columns)
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
