"""NIST SPHERE files (.sph, the LDC's .wv1 and .wv2): PCM, mu-law and A-law, and shorten of 16-bit PCM.

libsndfile knows only some headers and PyAV no shorten without a wav header inside, so the header is read
here and the samples are given to them as headerless ones.
"""

from __future__ import annotations

import io
import struct
from typing import IO

from ..formats.errors import InputError
from .decode import AvSource
from .sndfile import SoundFileSource
from .source import Source, Window

_SUBTYPES = {("pcm", 1): "PCM_S8", ("pcm", 2): "PCM_16", ("pcm", 3): "PCM_24", ("pcm", 4): "PCM_32"}
_LAWS = {"ulaw": "ULAW", "mu-law": "ULAW", "mulaw": "ULAW", "alaw": "ALAW", "a-law": "ALAW"}
_MEND = "convert it: sph2pipe -f wav IN.sph OUT.wav, or sox"
_FASTEST, _MOST_CHANNELS = 1 << 31, 1024  # Hz, and what libsndfile takes at most
_SHORTEN_PCM = (2, 3, 5)  # unsigned 8 bits, and 16 bits of either byte order


def open_sphere(
    handle: IO[bytes] | Window, where: object, utt: str | None, owner: IO[bytes] | None = None
) -> Source:
    """The SPHERE file in ``handle``; ``owner`` is closed with it."""
    fields, start = _header(handle, where, utt)
    try:
        rate, channels = int(fields["sample_rate"]), int(fields.get("channel_count", 1))
        count, width = int(fields.get("sample_count", -1)), int(fields.get("sample_n_bytes", 2))
    except (KeyError, ValueError) as error:
        raise InputError(f"a SPHERE header without a usable {error}", where=where, utt=utt) from error
    if not (0 < rate < _FASTEST and 0 < channels <= _MOST_CHANNELS and width > 0):
        said = f"a SPHERE header of {rate} Hz, {channels} channels and {width} bytes a sample"
        raise InputError(said, where=where, utt=utt)
    coding, *packing = fields.get("sample_coding", "pcm").lower().split(",")
    if packing:
        return _packed(handle, start, count, (coding, packing[0], rate, channels), where, utt, owner)
    subtype = _LAWS.get(coding) or _SUBTYPES.get((coding, width))
    if subtype is None:
        raise InputError(f"SPHERE of {coding}, {width} bytes, is not read", where=where, utt=utt, mend=_MEND)
    width = 1 if coding in _LAWS else width
    size = handle.seek(0, io.SEEK_END) - start
    missing = count * channels * width - size
    if missing > 0:
        raise InputError(f"truncated: {missing} bytes are missing", where=where, utt=utt)
    if count == 0 or size <= 0:
        raise InputError("holds no samples", where=where, utt=utt)
    window = Window(handle, start, size if count < 0 else count * channels * width)
    how = {
        "samplerate": rate,
        "channels": channels,
        "subtype": subtype,
        "endian": "BIG" if fields.get("sample_byte_format") in ("10", "3210") else "LITTLE",
    }
    source = SoundFileSource(window, where, utt, owner, raw=how)
    source.format = "NIST"
    return source


def _header(handle: IO[bytes] | Window, where: object, utt: str | None) -> tuple[dict[str, str], int]:
    handle.seek(0)
    head = handle.read(16) or b""
    size = head[8:].strip()
    if not size.isdigit():
        raise InputError("a SPHERE header without its size", where=where, utt=utt)
    handle.seek(0)
    text = (handle.read(int(size)) or b"")[16:]
    if b"end_head" not in text:
        raise InputError("truncated: the SPHERE header does not end", where=where, utt=utt)
    fields = {}
    for line in text.split(b"end_head")[0].decode("latin-1").splitlines():
        words = line.split(None, 2)
        if len(words) == 3 and words[1].startswith("-"):
            fields[words[0]] = words[2].strip()
    return fields, int(size)


def _packed(
    handle: IO[bytes] | Window,
    start: int,
    count: int,
    kind: tuple[str, str, int, int],
    where: object,
    utt: str | None,
    owner: IO[bytes] | None,
) -> Source:
    coding, packing, rate, channels = kind
    if coding != "pcm" or "shorten" not in packing:
        raise InputError(f"SPHERE of {coding}, {packing} is not read", where=where, utt=utt, mend=_MEND)
    handle.seek(start)
    data = handle.read() or b""
    if not _ends(data):
        raise InputError("truncated: the shorten stream inside does not end", where=where, utt=utt)
    wav = with_wav_header(data, rate, channels)
    if wav is None:
        raise InputError("SPHERE with a shorten that is not read", where=where, utt=utt, mend=_MEND)
    source = AvSource(io.BytesIO(wav), "shn", where, utt, owner)
    if (source.rate, source.channels) != (rate, channels):
        source.close()
        raise InputError("damaged: the header and the shorten inside disagree", where=where, utt=utt)
    source.frames = count if count >= 0 else None
    return source


def with_wav_header(data: bytes, rate: int, channels: int) -> bytes | None:
    """A shorten stream (Robinson 1994) as ffmpeg wants it: with a wav header as its first verbatim chunk.

    SPHERE's streams have none. ``data`` starts with ``ajkg``; None for a stream that is no shorten, too
    old, or of a type that ffmpeg lacks (the mu-law types). The 51 bytes that go in keep every later bit
    at its place in its byte.
    """
    if data[:4] != b"ajkg" or not 1 <= data[4] <= 3:
        return None
    bits = _Bits(data[5:261])
    try:
        kind, inside, _, _, _, skip = (bits.number() for _ in range(6))
    except IndexError:
        return None
    if kind not in _SHORTEN_PCM or inside != channels:
        return None
    bits.at += 8 * skip
    width = 1 if kind == 2 else 2
    frame = channels * width
    described = struct.pack("<HHIIHH", 1, channels, rate, rate * frame % 2**32, frame, 8 * width)
    header = b"RIFF" + struct.pack("<I", 36) + b"WAVEfmt " + struct.pack("<I", 16) + described
    header += b"data" + struct.pack("<I", 0)
    # Function 9 (verbatim) in Rice code of 2 bits, the length in one of 5, each byte in one of 8.
    chunk = "00101" + "01" + f"{len(header) - 32:05b}" + "".join(f"1{byte:08b}" for byte in header)
    byte, phase = divmod(bits.at, 8)
    split = f"{data[5 + byte]:08b}" if 5 + byte < len(data) else "0" * 8
    middle = split[:phase] + chunk + split[phase:]
    inserted = int(middle, 2).to_bytes(len(middle) // 8, "big")
    # A cut stream goes on in these ones, which are blocks without end, and so gives too many samples.
    # Without them ffmpeg would read whatever lies in memory.
    return data[: 5 + byte] + inserted + data[6 + byte :] + b"\xff" * (8192 * channels)


def _ends(data: bytes) -> bool:
    # Function 4 (quit) is 0100 in Rice code of 2 bits; behind it are only zeros.
    tail = int.from_bytes(data.rstrip(b"\0")[-2:], "big")
    return bool(tail) and not tail & (tail & -tail) << 1


class _Bits:
    # Shorten's numbers: a unary count of zeros, a one, and k low bits.

    def __init__(self, data: bytes) -> None:
        self._bits = "".join(f"{byte:08b}" for byte in data)
        self.at = 0

    def rice(self, k: int) -> int:
        zeros = 0
        while self._bits[self.at] == "0":
            zeros += 1
            self.at += 1
        low = self._bits[self.at + 1 : self.at + 1 + k]
        if len(low) < k:
            raise IndexError
        self.at += 1 + k
        return zeros << k | int(low or "0", 2)

    def number(self) -> int:
        return self.rice(self.rice(2))
