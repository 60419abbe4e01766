"""What ffmpeg's libraries decode (m4a, mp4, webm, wma, amr, ...), through PyAV.

ffmpeg gets an open file and the name of one demuxer, chosen here by the file's first bytes: never a path
or an address, so no playlist, protocol or second file can be reached from inside a recording.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO, TYPE_CHECKING, Any

import numpy as np

from .source import Source, Window

if TYPE_CHECKING:
    from av.container import InputContainer

MOV = "mov,mp4,m4a,3gp,3g2,mj2"
_MATROSKA = "matroska,webm"
# (position, first bytes) -> demuxer
_MARKS = (
    (4, b"ftyp", MOV),
    (4, b"moov", MOV),
    (4, b"mdat", MOV),
    (4, b"wide", MOV),
    (0, b"\x1aE\xdf\xa3", _MATROSKA),
    (0, bytes.fromhex("3026b2758e66cf11a6d900aa0062ce6c"), "asf"),
    (0, b"#!AMR", "amr"),
    (0, b"\xff\xf0", "aac"),
    (0, b"\xff\xf1", "aac"),
    (0, b"\xff\xf8", "aac"),
    (0, b"\xff\xf9", "aac"),
    (0, b"\x0bw", "ac3"),
    (0, b"wvpk", "wv"),
    (0, b"MAC ", "ape"),
    (0, b"TTA1", "tta"),
    (0, b"tBaK", "tak"),
    (0, b"FLV\x01", "flv"),
    (8, b"AVI ", "avi"),
    (0, b"DSD ", "dsf"),
    (0, b"ajkg", "shn"),
)
# What libsndfile may fail to decode although it knows the container: speex, a flac of unknown length ...
_SECOND = (
    (0, b"RIFF", "wav"),
    (0, b"OggS", "ogg"),
    (0, b"FORM", "aiff"),
    (0, b"caff", "caf"),
    (0, b"fLaC", "flac"),
)
# Their header has a length that holds, so that less than it is a truncated file.
_TOLD = (MOV, _MATROSKA, "asf", "wv", "ape", "tta", "tak", "flv", "avi")
_TOLERANCE = 0.25  # seconds by which such a header may promise too much (priming, padding)
_SLACK = 4096  # samples: an edit list may end inside of the last frame or two
# Decoding starts this much before a segment, so that overlaps and bit reservoirs are filled (seconds).
_PREROLL = 1.0


def demuxer(head: bytes, second: bool = False) -> str | None:
    """ffmpeg's name for what begins with ``head`` (192 bytes), None if it is not ours to give to it.

    ``second``: for a file that libsndfile refused for its coding.
    """
    if head[:1] == b"G" and head[188:189] == b"G" and not second:  # packets of 188 bytes
        return "mpegts"
    for at, mark, name in _SECOND if second else _MARKS:
        if head[at : at + len(mark)] == mark:
            return name
    return None


class AvSource(Source):
    """A recording that PyAV decodes with one given demuxer; its first sound stream.

    What an encoder put in front (AAC's priming) is left out where the container says so: m4a, mp4 and
    webm do, a bare .aac stream does not. Parts of an mp4 or m4a are reached by seeking, exact to the
    sample; in other containers time stamps are too coarse and decoding starts at the beginning.
    ``owner`` is closed with it.
    """

    def __init__(
        self,
        handle: IO[bytes] | Window,
        name: str,
        where: object,
        utt: str | None,
        owner: IO[bytes] | None = None,
    ) -> None:
        super().__init__(where, utt)
        self._handle = handle
        self._name = name
        self._owner = owner
        self._origin: int | None = None
        self.frames = None
        self.seconds = 0.0
        self.slack = _SLACK if name == MOV else 0
        self.format = name.split(",")[0]
        with self._opened() as (container, stream):
            context = stream.codec_context
            self.subtype = context.name
            self.rate, self.channels = context.rate, context.channels
            if not self.rate or not self.channels:
                raise self.error("cannot be read as audio: it names no sample rate or no channels")
            self.integer = context.format is not None and context.format.name[0] in "us"
            if stream.duration:
                self.seconds = float(stream.duration * stream.time_base)
            elif container.duration:
                self.seconds = container.duration / 1e6
            # A container's length is that of its longest stream, and may be the picture's.
            self._told = name == MOV or (name in _TOLD and len(container.streams) == 1)
            self._fine = name == MOV and float(stream.time_base) * self.rate <= 1.0
            if self._fine:
                self._measure(container, stream)

    def close(self) -> None:
        """Close the file if it is this one's."""
        if self._owner is not None:
            self._owner.close()

    def length(self) -> int:
        """Samples a channel: exact for m4a and mp4, else as the header says, else by decoding all."""
        if self.frames is None and self._name in _TOLD and self.seconds:
            return round(self.seconds * self.rate)
        return super().length()

    @contextmanager
    def _opened(self) -> Iterator[tuple[InputContainer, Any]]:
        import av

        self._handle.seek(0)
        try:
            with av.open(
                self._handle, "r", format=self._name, metadata_errors="replace", buffer_size=1 << 16
            ) as container:
                if not container.streams.audio:
                    raise self.error("cannot be read as audio: there is no sound in it")
                stream = container.streams.audio[0]
                if stream.codec_context is None:
                    raise self.error("cannot be read as audio: its coding is unknown", "convert it to flac")
                stream.codec_context.thread_count = 1
                yield container, stream
        except IndexError as error:  # PyAV, for a packet of a stream that was not there when it opened
            raise self.error("damaged: a stream turns up in its middle") from error
        except (av.FFmpegError, ValueError, OverflowError, OSError) as error:  # OSError: a seek to nowhere
            what = getattr(error, "strerror", None) or str(error)
            raise self.error(f"cannot be read as audio: {what}") from error

    def _measure(self, container: InputContainer, stream: Any) -> None:
        # The end is where the last packet ends: the header's edit list counts in milliseconds only.
        self._origin = self._index(next(self._decoded(container, stream), None))
        if self._origin is None:
            raise self.error("holds no samples")
        container.seek(1 << 60, stream=stream, backward=True)
        kept = (p for p in container.demux(stream) if p.pts is not None and not p.is_discard)
        ends = [packet.pts + (packet.duration or 0) for packet in kept]
        if not ends:
            raise self.error("truncated: the last samples are missing")
        self.frames = round(float(max(ends) * stream.time_base * self.rate)) - self._origin

    def _index(self, frame: Any) -> int | None:
        if frame is None or frame.pts is None:
            return None
        return round(frame.pts * frame.time_base * self.rate)

    def _decoded(self, container: InputContainer, stream: Any) -> Iterator[Any]:
        due = None
        for packet in container.demux(stream):
            if packet.is_corrupt:
                raise self.error("truncated or damaged")
            if self._name == "mpegts" and packet.pts is not None:  # what is lost of one leaves no other trace
                if due is not None and packet.pts - due > packet.duration / 2:
                    at = float((due - (stream.start_time or 0)) * stream.time_base)
                    raise self.error(f"damaged: samples are missing at {at:.2f} s")
                due = packet.pts + packet.duration
            for frame in packet.decode():
                if frame.sample_rate != self.rate or frame.layout.nb_channels != self.channels:
                    raise self.error("changes its sample rate or its channels on the way")
                if frame.samples:
                    yield frame

    def _read(self, first: int, last: int | None, size: int) -> Iterator[np.ndarray]:
        with self._opened() as (container, stream):
            at = 0
            back = first - int(_PREROLL * self.rate)
            if self._fine and self._origin is not None and back > 0:
                when = (back + self._origin) / self.rate
                container.seek(int(when / stream.time_base), stream=stream, backward=True)
                at = -1
            parts: list[np.ndarray] = []
            held = 0
            for frame in self._decoded(container, stream):
                if at < 0:
                    at = (self._index(frame) or 0) - (self._origin or 0)
                    if at > first:
                        raise self.error("damaged: its time stamps lead astray")
                stop = at + frame.samples if last is None else min(at + frame.samples, last)
                if stop > first:
                    begin = max(first - at, 0)
                    parts.append(_floats(frame)[begin : stop - at])
                    held += len(parts[-1])
                at += frame.samples
                while held >= size:
                    whole = np.concatenate(parts)
                    yield whole[:size]
                    parts, held = [whole[size:]], held - size
                if last is not None and at >= last and not (last == self.frames and self._name == "shn"):
                    break
            else:
                self._check_end(at)
        if held:
            yield np.concatenate(parts)

    def _check_end(self, total: int) -> None:
        if self._told and total / self.rate < self.seconds - _TOLERANCE:
            raise self.error(f"truncated: {total / self.rate:.2f} of {self.seconds:.2f} s can be read")
        if self._name == "shn" and self.frames is not None and total != self.frames:
            raise self.error(f"truncated or damaged: it does not end after its {self.frames} samples")


def _floats(frame: Any) -> np.ndarray:
    """[time, channels] float32 in [-1, 1) of a frame of any of ffmpeg's sample formats."""
    samples = frame.to_ndarray()
    if frame.format.is_planar:
        samples = samples.T
    else:
        samples = samples.reshape(-1, frame.layout.nb_channels)
    if samples.dtype.kind == "f":
        return samples.astype(np.float32)
    half = 2.0 ** (8 * samples.dtype.itemsize - 1)
    floats = samples.astype(np.float32 if samples.itemsize <= 2 else np.float64)
    return ((floats - half if samples.dtype.kind == "u" else floats) / half).astype(np.float32)
