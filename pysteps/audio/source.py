"""What every opened recording offers, whoever decodes it, and the checks that are the same for all."""

from __future__ import annotations

import io
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from typing import IO

import numpy as np

from ..formats.datadir import LATEST
from ..formats.errors import InputError

# A segment may end this much after its recording (seconds), as in Kaldi's extract-segments.
MAX_OVERSHOOT = 0.5
MOST = 1 << 24  # numbers in a block (64 MB), however many channels and hertz a header promises


class Source(ABC):
    """An opened recording; a context manager.

    ``rate`` in Hz; ``channels``; ``frames`` is the exact number of samples a channel, None where only
    decoding tells it; ``format`` (WAV, FLAC, ...) and ``subtype`` (PCM_16, FLOAT, ...) are libsndfile's
    names, or ffmpeg's for what PyAV decodes. ``where`` and ``utt`` are named in errors.
    """

    rate: int
    channels: int
    frames: int | None
    format: str
    subtype: str
    # Whole numbers in the file: no NaN can come out, so none is looked for.
    integer = False
    # By how many samples the end may come before the header's without being called a truncation.
    slack = 0

    def __init__(self, where: object, utt: str | None) -> None:
        self.where = where
        self.utt = utt

    def __enter__(self) -> Source:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @abstractmethod
    def close(self) -> None:
        """Give back files and decoders; a handle that the caller opened stays open."""

    @abstractmethod
    def _read(self, first: int, last: int | None, size: int) -> Iterator[np.ndarray]:
        """Blocks [<= size, channels] float32 of samples [first, last), fewer where the file ends."""

    def error(self, what: str, mend: str | None = None) -> InputError:
        """An InputError that names this recording."""
        return InputError(what, where=self.where, utt=self.utt, mend=mend)

    def length(self) -> int:
        """Samples a channel, from the header where it has them, else by reading all."""
        if self.frames is not None:
            return self.frames
        return sum(len(block) for block in self.blocks())

    def span(self, start: float = 0.0, end: float | None = None) -> tuple[int, int | None]:
        """The samples [first, last) between two times in seconds; last is None for an unknown end.

        ``end`` None or negative is the end of the file. InputError if the part is not inside.
        """
        if not abs(start) <= LATEST or (end is not None and not abs(end) <= LATEST):
            raise self.error(f"a segment from {start:g} to {end} s", f"up to {LATEST:g} s")
        first = round(start * self.rate)
        last = None if end is None or end < 0 else round(end * self.rate)
        if first < 0 or (last is not None and first >= last):
            raise self._outside(first, last, self.frames)
        return (first, last) if self.frames is None else self._inside(first, last, self.frames)

    def blocks(
        self,
        start: float = 0.0,
        end: float | None = None,
        channels: Sequence[int] = (0,),
        seconds: float = 30.0,
    ) -> Iterator[np.ndarray]:
        """Float32 [time, len(channels)] in [-1, 1), at most ``seconds`` long each, of that part only.

        InputError for a channel that is not there, a part that is not inside, a truncated or damaged
        file, and NaN or infinity. At least one sample comes if no error does. Go through one such
        iterator at a time: they share the decoder.
        """
        for channel in channels:
            if not 0 <= channel < self.channels:
                raise self.error(f"no channel {channel}: there are {self.channels}")
        first, last = self.span(start, end)
        chosen, done = list(channels), 0
        size = max(1, min(int(seconds * self.rate), MOST // self.channels))
        for block in self._blocks(first, last, size):
            part = block if self.channels == 1 and chosen == [0] else np.ascontiguousarray(block[:, chosen])
            if not self.integer and not np.isfinite(part).all():
                raise self.error("holds NaN or infinity")
            done += len(block)
            yield part
        if self.frames is None:
            self._inside(first, last, first + done if done else 0)
        elif last is not None and (not done or done + self.slack < last - first):
            raise self.error(f"truncated: {done} of {last - first} samples from {first} on can be read")

    def _blocks(self, first: int, last: int | None, size: int) -> Iterator[np.ndarray]:
        try:
            yield from self._read(first, last, size)
        except OSError as error:  # a disk that fails
            raise self.error(error.strerror or str(error)) from error

    def _inside(self, first: int, last: int | None, total: int) -> tuple[int, int]:
        if total <= 0 and first == 0:
            raise self.error("holds no samples")
        if first >= total or (last is not None and last > total + MAX_OVERSHOOT * self.rate):
            raise self._outside(first, last, total)
        return first, total if last is None else min(last, total)

    def _outside(self, first: int, last: int | None, total: int | None) -> InputError:
        inside = "the file" if not total else f"its {total / self.rate:g} s"
        to = "the end" if last is None else f"{last / self.rate:g} s"
        return self.error(f"the segment from {first / self.rate:g} to {to} is not inside {inside}")


class Window(io.RawIOBase):
    """Bytes [start, start + size) of a handle as a file of their own (an entry of an archive)."""

    def __init__(self, handle: IO[bytes] | Window, start: int, size: int) -> None:
        self._handle = handle
        self._start = start
        self._size = size
        self._at = 0

    def readable(self) -> bool:
        """Yes."""
        return True

    def seekable(self) -> bool:
        """Yes."""
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """As files do, counted from the window's first byte."""
        origin = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._size}[whence]
        self._at = max(0, origin + offset)
        return self._at

    def tell(self) -> int:
        """The position, counted from the window's first byte."""
        return self._at

    def readinto(self, buffer: bytearray | memoryview) -> int:  # type: ignore[override]
        """Fill ``buffer`` as far as the window goes. Others may move the handle: it is placed each time."""
        count = max(0, min(len(buffer), self._size - self._at))
        self._handle.seek(self._start + self._at)
        data = self._handle.read(count) or b""
        buffer[: len(data)] = data
        self._at += len(data)
        return len(data)
