"""Audio files to float32 samples, with every way in which a file can be broken said as an InputError."""

from __future__ import annotations

import io
import os
import struct
from pathlib import Path
from typing import IO

import numpy as np
import soundfile

from ..formats.errors import InputError

# A segment may end this much after its recording (seconds), as in Kaldi's extract-segments.
MAX_OVERSHOOT = 0.5
_FLOATS = ("FLOAT", "DOUBLE")


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
    that part is read. wav, flac, ogg, opus and mp3 are read by libsndfile. Raises InputError, with
    ``path`` and ``utt``, for a file that is missing, empty, no audio, truncated or holds NaN or
    infinity, for a channel it lacks and for a segment outside of it.
    """
    path = Path(path)
    if not path.is_file():
        raise InputError("no such file", where=path, utt=utt)
    try:
        with soundfile.SoundFile(path) as file:
            _check_whole(path, file, utt)
            first, count = _part(file, start, end, path, utt)
            if not 0 <= channel < file.channels:
                raise InputError(f"no channel {channel}: there are {file.channels}", where=path, utt=utt)
            file.seek(first)
            samples = file.read(count, dtype="float32", always_2d=True)
            rate, subtype = file.samplerate, file.subtype
    except soundfile.LibsndfileError as error:
        raise InputError(f"cannot be read as audio: {_reason(error)}", where=path, utt=utt) from error
    if len(samples) != count:
        raise InputError(
            f"truncated: {len(samples)} of {count} samples from {first} on can be read", where=path, utt=utt
        )
    samples = np.ascontiguousarray(samples[:, channel])
    if subtype in _FLOATS and not np.isfinite(samples).all():
        raise InputError("holds NaN or infinity", where=path, utt=utt)
    return samples, rate


def read_wav_stream(
    handle: IO[bytes], *, where: object = None, utt: str | None = None, channel: int = 0
) -> tuple[np.ndarray, int]:
    """One RIFF wav at the position of ``handle`` (inside an archive): samples [time] float32, rate in Hz.

    Reads exactly the wav and so leaves ``handle`` behind it; 0 samples are possible. Raises InputError
    for anything else than a whole wav, for NaN or infinity and for a channel that it lacks.
    """
    start = handle.tell()
    if (mark := handle.read(12))[:4] != b"RIFF" or mark[8:] != b"WAVE":
        raise InputError("no wav here", where=where, utt=utt)
    coding, channels, rate, bits, size = _wav_header(handle, where, utt)
    if not 0 <= channel < channels:
        raise InputError(f"no channel {channel}: there are {channels}", where=where, utt=utt)
    content = handle.read(size)
    if len(content) != size:
        raise InputError(f"truncated: {size - len(content)} bytes are missing", where=where, utt=utt)
    if (coding, bits) == (1, 16):
        whole = len(content) // (2 * channels) * 2 * channels
        pcm = np.frombuffer(content[:whole], "<i2").reshape(-1, channels)[:, channel]
        return pcm.astype(np.float32) / np.float32(32768), rate
    end = handle.tell()
    handle.seek(start)
    return _decoded(handle.read(end - start), channel, where, utt)


def _decoded(content: bytes, channel: int, where: object, utt: str | None) -> tuple[np.ndarray, int]:
    try:
        samples, rate = soundfile.read(io.BytesIO(content), dtype="float32", always_2d=True)
    except soundfile.LibsndfileError as error:
        raise InputError(f"cannot be read as audio: {_reason(error)}", where=where, utt=utt) from error
    samples = np.ascontiguousarray(samples[:, channel])
    if not np.isfinite(samples).all():
        raise InputError("holds NaN or infinity", where=where, utt=utt)
    return samples, rate


def _wav_header(handle: IO[bytes], where: object, utt: str | None) -> tuple[int, int, int, int, int]:
    # Coding (1 is PCM), channels, rate, bits and bytes of samples; ``handle`` is left at the samples.
    described = None
    while len(head := handle.read(8)) == 8:
        name, length = struct.unpack("<4sI", head)
        if name == b"data" and described is not None:
            coding, channels, rate, _, _, bits = described
            if channels > 0 and rate > 0:
                return coding, channels, rate, bits, length
            break
        content = handle.read(length + length % 2)
        if name == b"fmt " and len(content) >= 16:
            described = struct.unpack("<HHIIHH", content[:16])
    raise InputError("a wav without samples or their format", where=where, utt=utt)


def duration(path: str | os.PathLike[str], *, utt: str | None = None) -> tuple[int, int]:
    """Samples a channel and rate as the header has them, without decoding."""
    try:
        info = soundfile.info(str(path))
    except soundfile.LibsndfileError as error:
        what = "no such file" if not Path(path).is_file() else f"cannot be read as audio: {_reason(error)}"
        raise InputError(what, where=path, utt=utt) from error
    return info.frames, info.samplerate


def _part(
    file: soundfile.SoundFile, start: float, end: float | None, path: Path, utt: str | None
) -> tuple[int, int]:
    rate, total = file.samplerate, file.frames
    if total <= 0:
        raise InputError("holds no samples", where=path, utt=utt)
    last = total if end is None or end < 0 else round(end * rate)
    first = round(start * rate)
    if not 0 <= first < last or last > total + MAX_OVERSHOOT * rate or first >= total:
        raise InputError(
            f"the segment from {start:g} to {last / rate:g} s is not inside its {total / rate:g} s",
            where=path,
            utt=utt,
        )
    return first, min(last, total) - first


def _check_whole(path: Path, file: soundfile.SoundFile, utt: str | None) -> None:
    """libsndfile shortens a truncated wav or ogg without a word; their own marks tell."""
    with open(path, "rb") as handle:
        if file.format in ("WAV", "WAVEX"):
            missing = _riff_bytes_missing(handle)
            if missing > 0:
                raise InputError(f"truncated: {missing} bytes of samples are missing", where=path, utt=utt)
        elif file.format == "OGG" and not _ogg_ends(handle):
            raise InputError("truncated: the last page of the ogg stream is missing", where=path, utt=utt)


def _riff_bytes_missing(handle: IO[bytes]) -> int:
    size = os.fstat(handle.fileno()).st_size
    order = ">" if handle.read(4) == b"RIFX" else "<"
    handle.seek(12)
    while len(head := handle.read(8)) == 8:
        name, length = struct.unpack(f"{order}4sI", head)
        if name == b"data":
            # Writers to a pipe cannot know the length: sox and ffmpeg leave (nearly) 2^31 or 2^32.
            streamed = length == 0 or length >= 0x7FFFF000
            return 0 if streamed else handle.tell() + length - size
        handle.seek(length + length % 2, os.SEEK_CUR)
    return 0


def _ogg_ends(handle: IO[bytes]) -> bool:
    # The last page carries the end-of-stream flag (RFC 3533) and is whole; a page is at most 65307 bytes.
    size = os.fstat(handle.fileno()).st_size
    handle.seek(max(0, size - 65307))
    tail = handle.read()
    at = tail.rfind(b"OggS")
    if at < 0 or len(tail) < at + 27:
        return False
    flags, segments = tail[at + 5], tail[at + 26]
    lacing = tail[at + 27 : at + 27 + segments]
    return bool(flags & 4) and len(lacing) == segments and len(tail) >= at + 27 + segments + sum(lacing)


def _reason(error: soundfile.LibsndfileError) -> str:
    return str(error.error_string).strip().rstrip(".")
