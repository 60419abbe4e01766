"""What libsndfile decodes: wav, flac, ogg, opus, mp3, ..."""

from __future__ import annotations

from collections.abc import Iterator
from typing import IO

import numpy as np
import soundfile

from .source import Source, Window

# Formats whose header or stream tells a truncated file from a whole one. The others of libsndfile
# (headerless guesses by extension, matrices of other programs) are refused.
_FORMATS = ("WAV", "WAVEX", "RF64", "W64", "AIFF", "AU", "CAF", "FLAC", "OGG", "MP3", "RAW")
_INTEGERS = ("PCM_S8", "PCM_U8", "PCM_16", "PCM_24", "PCM_32", "ULAW", "ALAW")
_UNKNOWN_LENGTH = 1 << 62
# Seconds that are decoded before a part, so that what a coder carries along has settled.
_PREROLL = {"VORBIS": 1.0, "OPUS": 1.0, "MPEG_LAYER_I": 1.0, "MPEG_LAYER_II": 1.0, "MPEG_LAYER_III": 1.0}
_LONGEST_PAGE = 40.0  # seconds: 255 packets of 1024 samples at 8 kHz


class NotForLibsndfile(Exception):
    """libsndfile does not know the format or the coding: another decoder may."""


class SoundFileSource(Source):
    """A recording that libsndfile reads from an open file or from a window of one.

    ``raw`` are libsndfile's parameters of headerless samples (subtype, samplerate, channels, endian).
    ``owner`` is closed with it.
    """

    def __init__(
        self,
        handle: IO[bytes] | Window,
        where: object,
        utt: str | None,
        owner: IO[bytes] | None = None,
        raw: dict[str, object] | None = None,
    ) -> None:
        super().__init__(where, utt)
        self._handle = handle
        self._owner = owner
        self._how = {"format": "RAW", **raw} if raw else {}
        self._file = self._opened()
        self.rate, self.channels = self._file.samplerate, self._file.channels
        self.format, self.subtype = self._file.format, self._file.subtype
        self.integer = self.subtype in _INTEGERS
        self.frames: int = self._file.frames
        if self.frames >= _UNKNOWN_LENGTH:  # flac from a pipe: python-soundfile cannot read on there
            self._file.close()
            raise NotForLibsndfile("the header has no length")
        if self.format not in _FORMATS:
            self._file.close()
            raise self.error(f"files of the format {self.format} are not read", "convert it to wav or flac")

    def _opened(self) -> soundfile.SoundFile:
        handle = self._handle
        handle.seek(0)
        try:
            if isinstance(handle, Window) or not _has_fileno(handle):
                return soundfile.SoundFile(handle, **self._how)
            # libsndfile's own reading is faster than callbacks into Python
            return soundfile.SoundFile(handle.fileno(), closefd=False, **self._how)
        except soundfile.LibsndfileError as error:
            if error.code in (1, 4):  # unrecognised format, unsupported encoding
                raise NotForLibsndfile(_reason(error)) from error
            raise self.error(f"cannot be read as audio: {_reason(error)}") from error

    def close(self) -> None:
        """Close the decoder, and the file if it is this one's."""
        self._file.close()
        if self._owner is not None:
            self._owner.close()

    def _read(self, first: int, last: int | None, size: int) -> Iterator[np.ndarray]:
        try:
            at = self._place(first)
            while last is None or at < last:
                count = size if last is None else min(size, last - at)
                block = self._file.read(count, dtype="float32", always_2d=True)
                if not len(block):
                    return
                at += len(block)
                if at > first:
                    yield block[max(0, len(block) - (at - first)) :]
        except soundfile.LibsndfileError as error:
            raise self.error(f"truncated or damaged: {_reason(error)}") from error

    def _place(self, first: int) -> int:
        """Go to ``first`` or to an earlier sample from which it is reached exactly; the one reached."""
        # mpg123 keeps what it decoded before, in its last bits also across a seek: it begins afresh.
        if not self._file.seekable() or self.subtype.startswith("MPEG"):
            self._file.close()
            self._file = self._opened()
            if not self._file.seekable():
                return 0
        before = 0
        if self.subtype in _PREROLL:
            before = int(_PREROLL[self.subtype] * self.rate)
            if self.subtype == "VORBIS":  # a seek into the last page lands up to a block beside
                first = min(first, self.frames - int(_LONGEST_PAGE * self.rate))
        return self._file.seek(max(0, first - before))


def _has_fileno(handle: IO[bytes]) -> bool:
    try:
        handle.fileno()
    except OSError:
        return False
    return True


def _reason(error: soundfile.LibsndfileError) -> str:
    return str(error.error_string).strip().rstrip(".") or f"libsndfile's error {error.code}"
