"""Audio entries inside Kaldi archives: where one ends, and a quick reader of 16-bit wavs."""

from __future__ import annotations

import io
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import IO

import numpy as np

from ..formats.errors import InputError
from .source import Source, Window

_CUT = "redo the stage or copy that wrote the archive"


@dataclass(frozen=True)
class Entry:
    """One entry: its bytes, the position behind them, and the header if it is a wav."""

    window: Window
    end: int
    wav: WavHeader | None


@dataclass(frozen=True)
class WavHeader:
    """``coding`` 1 is PCM; ``start`` and ``size`` are the position and the bytes of the samples."""

    coding: int
    channels: int
    rate: int
    bits: int
    start: int
    size: int


def locate(handle: IO[bytes], where: object, utt: str | None) -> Entry:
    """The audio entry at the position of ``handle``: RIFF, kaldiio's ``AUDIO``, or a flac up to the end.

    InputError for anything else and for an entry that is cut.
    """
    start = handle.tell()
    mark = handle.read(5)
    if mark[:4] == b"RIFF":
        handle.seek(start)
        wav = wav_header(handle, where, utt)
        end = wav.start + wav.size
        return Entry(Window(handle, start, end - start), end, wav)
    total = handle.seek(0, io.SEEK_END)
    if mark == b"AUDIO":
        handle.seek(start + 5)
        width = handle.read(1)
        digits = handle.read(width[0]) if width else b""
        first = start + 6 + len(digits)
        size = int.from_bytes(digits, "little")
        if not width or len(digits) != width[0] or first + size > total:
            raise InputError("truncated: the archive ends inside", where=where, utt=utt, mend=_CUT)
        return Entry(Window(handle, first, size), first + size, None)
    if mark[:4] == b"fLaC":
        return Entry(Window(handle, start, total - start), total, None)
    raise InputError("no wav, flac or AUDIO entry here", where=where, utt=utt)


def wav_header(handle: IO[bytes], where: object, utt: str | None) -> WavHeader:
    """The header of the wav at the position of ``handle``, which is left at the samples."""
    if (mark := handle.read(12))[:4] != b"RIFF" or mark[8:] != b"WAVE":
        raise InputError("no wav here", where=where, utt=utt)
    described = None
    while len(head := handle.read(8)) == 8:
        name, length = struct.unpack("<4sI", head)
        if name == b"data" and described is not None:
            coding, channels, rate, _, _, bits = described
            if channels > 0 and rate > 0:
                return WavHeader(coding, channels, rate, bits, handle.tell(), length)
            break
        content = handle.read(length + length % 2)
        if name == b"fmt " and len(content) >= 16:
            described = struct.unpack("<HHIIHH", content[:16])
    raise InputError("a wav without samples or their format", where=where, utt=utt)


class Pcm16Source(Source):
    """The 16-bit wav of an archive entry, straight from the archive's bytes."""

    integer = True
    format, subtype = "WAV", "PCM_16"

    def __init__(self, handle: IO[bytes], wav: WavHeader, where: object, utt: str | None) -> None:
        super().__init__(where, utt)
        self._handle = handle
        self._start = wav.start
        self.rate, self.channels = wav.rate, wav.channels
        self.frames: int = wav.size // (2 * wav.channels)
        missing = wav.start + wav.size - handle.seek(0, io.SEEK_END)
        if missing > 0:
            raise self.error(f"truncated: {missing} bytes are missing", _CUT)

    def close(self) -> None:
        """The handle belongs to the caller."""

    def _read(self, first: int, last: int | None, size: int) -> Iterator[np.ndarray]:
        width = 2 * self.channels
        end = self.frames if last is None else last
        while first < end:
            self._handle.seek(self._start + first * width)
            data = self._handle.read(min(size, end - first) * width)
            block = np.frombuffer(data[: len(data) // width * width], "<i2").reshape(-1, self.channels)
            if not len(block):
                return
            first += len(block)
            yield block.astype(np.float32) / np.float32(32768)
