"""Whether a file is all there, by what its own header says: decoders pass over a missing end in silence."""

from __future__ import annotations

import os
import struct
from collections.abc import Callable
from typing import IO

from .source import Window

Handle = IO[bytes] | Window
_ASF = bytes.fromhex("3026b2758e66cf11a6d900aa0062ce6c")
_ASF_PROPERTIES = bytes.fromhex("a1dcab8c47a9cf118ee400c00c205365")
# Writers to a pipe cannot know a length: sox and ffmpeg leave (nearly) 2^31 or 2^32, others 2^63 or more.
_STREAMED = 0x7FFFF000
_STREAMED_64 = 1 << 62


def missing(handle: Handle) -> str | None:
    """What is missing at the end of the file in ``handle``, None if nothing or if no header tells."""
    size = handle.seek(0, os.SEEK_END)
    handle.seek(0)
    head = handle.read(16) or b""
    measure = _mp4 if head[4:8] in _BOXES else _asf if head == _ASF else _MEASURES.get(head[:4])
    if measure is None:
        return None
    handle.seek(0)
    try:
        lack = measure(handle, size)
    except struct.error:
        return None  # a header that is cut itself: the decoder says so
    if lack < 0:
        return "the last page of the ogg stream is missing"
    return f"{lack} bytes are missing" if lack else None


def _read(handle: Handle, form: str) -> tuple[int, ...]:
    return struct.unpack(form, handle.read(struct.calcsize(form)) or b"")


def _beyond(end: int, size: int, streamed: bool = False) -> int:
    return 0 if streamed else max(0, end - size)


def _riff(handle: Handle, size: int) -> int:
    head = handle.read(12) or b""
    order = ">" if head[:4] == b"RIFX" else "<"
    if head[8:] == b"AVI ":
        return _beyond(int.from_bytes(head[4:8], "little") + 8, size)
    while len(head := handle.read(8) or b"") == 8:
        name, length = struct.unpack(f"{order}4sI", head)
        if name == b"data":
            return _beyond(handle.tell() + length, size, length == 0 or length >= _STREAMED)
        handle.seek(length + length % 2, os.SEEK_CUR)
    return 0


def _rf64(handle: Handle, size: int) -> int:
    (length,) = _read(handle, "<20xQ")
    return _beyond(length + 8, size, length >= _STREAMED_64)


def _w64(handle: Handle, size: int) -> int:
    (length,) = _read(handle, "<16xQ")
    return _beyond(length, size, length >= _STREAMED_64)


def _aiff(handle: Handle, size: int) -> int:
    (length,) = _read(handle, ">4xI")
    return _beyond(length + 8, size, length >= _STREAMED)


def _au(handle: Handle, size: int) -> int:
    order = "<" if handle.read(4) == b"dns." else ">"
    start, length = _read(handle, f"{order}II")
    return _beyond(start + length, size, length >= _STREAMED)


def _ogg(handle: Handle, size: int) -> int:
    # The last page carries the end-of-stream flag (RFC 3533) and is whole; a page is at most 65307 bytes.
    handle.seek(max(0, size - 65307))
    tail = handle.read() or b""
    at = tail.rfind(b"OggS")
    if at < 0 or len(tail) < at + 27:
        return -1
    flags, segments = tail[at + 5], tail[at + 26]
    lacing = tail[at + 27 : at + 27 + segments]
    whole = bool(flags & 4) and len(lacing) == segments and len(tail) >= at + 27 + segments + sum(lacing)
    return 0 if whole else -1


def _matroska(handle: Handle, size: int) -> int:
    # Two elements follow each other, the EBML header and the segment: 4 bytes of name, a length (RFC 8794).
    for _ in range(2):
        (first,) = _read(handle, ">4xB")
        width = 9 - first.bit_length()
        if width > 8:
            return 0
        rest = handle.read(width - 1) or b""
        if len(rest) < width - 1:
            return 0
        length = (first & ((1 << (8 - width)) - 1)) << 8 * len(rest) | int.from_bytes(rest, "big")
        if length == (1 << 7 * width) - 1:
            return 0  # all ones: unknown, a live stream
        end = handle.tell() + length
        if end > size:
            break  # also where no file can be sought to
        handle.seek(end)
    return _beyond(end, size)


def _asf(handle: Handle, size: int) -> int:
    head = handle.read(1 << 16) or b""
    at = head.find(_ASF_PROPERTIES)
    if at < 0 or len(head) < at + 48:
        return 0
    return _beyond(int.from_bytes(head[at + 40 : at + 48], "little"), size)


def _mp4(handle: Handle, size: int) -> int:
    at = 0
    while at + 8 <= size:
        handle.seek(at)
        (length,) = _read(handle, ">I4x")
        if length == 1:
            (length,) = _read(handle, ">Q")
        if length < 8:
            return 0  # 0: up to the end
        at += length
    return _beyond(at, size)


_BOXES = (b"ftyp", b"moov", b"mdat", b"wide")
_MEASURES: dict[bytes, Callable[[Handle, int], int]] = {
    b"RIFF": _riff,
    b"RIFX": _riff,
    b"RF64": _rf64,
    b"riff": _w64,
    b"FORM": _aiff,
    b".snd": _au,
    b"dns.": _au,
    b"OggS": _ogg,
    b"\x1aE\xdf\xa3": _matroska,
}
