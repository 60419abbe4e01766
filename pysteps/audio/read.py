"""Audio files to float32 samples, with every way in which a file can be broken said as an InputError.

``open_audio`` looks at the first bytes, never at the name alone, and picks the decoder: libsndfile, our
SPHERE reader, or PyAV for the rest. Everything else here is a use of it.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import IO

import numpy as np

from ..formats.checkout import located
from ..formats.errors import InputError
from .decode import AvSource, demuxer
from .entry import Entry, Pcm16Source, locate
from .growing import joined
from .sndfile import NotForLibsndfile, SoundFileSource
from .source import Source, Window
from .sphere import open_sphere
from .whole import missing

__all__ = ["Source", "duration", "open_audio", "read_audio", "read_stream"]


def open_audio(
    source: str | os.PathLike[str] | IO[bytes], *, utt: str | None = None, where: object = None
) -> Source:
    """An opened recording (a context manager): rate, channels, frames, and its samples by ``blocks``.

    ``source`` is a path, or a seekable binary handle at an entry of an archive: a RIFF wav, or kaldiio's
    layout of other audio (``AUDIO``, one byte with the number of length bytes, the length in little
    endian, the file), or a flac that ends where the handle ends. Such a handle stays open and is placed
    anew at every read. InputError, with ``where`` (the path) and ``utt``, for anything that is no audio.
    """
    if where is None and isinstance(source, (str, os.PathLike)):
        where = Path(source)
    try:
        if isinstance(source, (str, os.PathLike)):
            return _open_path(Path(source), where, utt)
        return _open_entry(source, locate(source, where, utt), where, utt)
    except OSError as error:  # no permission, a disk that fails
        raise InputError(error.strerror or str(error), where=where, utt=utt) from error


def _open_path(path: Path, where: object, utt: str | None) -> Source:
    path = Path(located(str(path)))  # a table of a run may name it from the checkout
    if not path.is_file():
        raise InputError("no such file", where=where, utt=utt)
    handle = open(path, "rb", buffering=0)  # noqa: SIM115 - closed by the source that gets it
    try:
        return _open_file(handle, where, utt, owner=handle)
    except BaseException:
        handle.close()
        raise


def read_audio(
    path: str | os.PathLike[str],
    *,
    start: float = 0.0,
    end: float | None = None,
    channel: int = 0,
    utt: str | None = None,
) -> tuple[np.ndarray, int]:
    """Samples [time] of one channel, float32 in [-1, 1), and their rate in Hz.

    ``start`` and ``end`` (seconds; None or negative for the end of the file) choose a part, and only
    that part is read. Raises InputError, with ``path`` and ``utt``, for a file that is missing, empty,
    no audio, truncated or holds NaN or infinity, for a channel it lacks and for a segment outside of it.
    """
    with open_audio(path, utt=utt) as source:
        return _samples(source, start, end, channel), source.rate


def read_stream(
    handle: IO[bytes], *, where: object = None, utt: str | None = None, channel: int = 0
) -> tuple[np.ndarray, int]:
    """The audio entry (wav, or flac and others in kaldiio's layout) at the position of ``handle``.

    Samples [time] float32 and rate in Hz; ``handle`` is left behind the entry. Raises InputError for
    anything else than a whole entry with samples, NaN or infinity, and a channel that it lacks.
    """
    entry = locate(handle, where, utt)
    with _open_entry(handle, entry, where, utt) as source:
        samples = _samples(source, 0.0, None, channel)
    handle.seek(entry.end)
    return samples, source.rate


def duration(path: str | os.PathLike[str], *, utt: str | None = None) -> tuple[int, int]:
    """Samples a channel and rate; from the header, and by decoding only where no header tells."""
    with open_audio(path, utt=utt) as source:
        return source.length(), source.rate


def _samples(source: Source, start: float, end: float | None, channel: int) -> np.ndarray:
    first, last = source.span(start, end)
    blocks = source.blocks(start, end, (channel,))
    return joined((block[:, 0] for block in blocks), 0 if last is None else last - first)


def _open_entry(handle: IO[bytes], entry: Entry, where: object, utt: str | None) -> Source:
    if entry.wav is not None and (entry.wav.coding, entry.wav.bits) == (1, 16):
        return Pcm16Source(handle, entry.wav, where, utt)
    return _open_file(entry.window, where, utt)


def _open_file(
    handle: IO[bytes] | Window, where: object, utt: str | None, owner: IO[bytes] | None = None
) -> Source:
    handle.seek(0)
    head = handle.read(192) or b""
    if not head:
        raise InputError("cannot be read as audio: it is an empty file", where=where, utt=utt)
    if head[:8] == b"NIST_1A\n":
        return open_sphere(handle, where, utt, owner)
    lack = missing(handle)
    if lack is not None:
        raise InputError(f"truncated: {lack}", where=where, utt=utt)
    name = demuxer(head)
    if name is not None:
        return AvSource(handle, name, where, utt, owner)
    try:
        return SoundFileSource(handle, where, utt, owner)
    except NotForLibsndfile as error:
        name = demuxer(head, second=True)
        if name is not None:
            return AvSource(handle, name, where, utt, owner)
        raise InputError(f"cannot be read as audio: {error}", where=where, utt=utt) from error
