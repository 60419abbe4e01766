"""From a wav.scp entry to samples at the run's rate, and back out of stage 1's archives."""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path

import numpy as np

from ..formats.arks import Archive, split_entry
from ..formats.errors import InputError
from ..formats.tables import read_table
from .filters import to_int16
from .options import AudioOptions
from .process import processed
from .read import open_audio, read_audio, read_stream
from .source import Source


class Converted:
    """16-bit blocks [time] of one utterance, to be gone through once.

    ``samples`` and ``clipped`` count those that have gone by and those of them that were cut off at full
    scale. InputError on the way for what cannot be read, and at the end if there was no sample.
    """

    def __init__(self, blocks: Iterator[np.ndarray], where: str) -> None:
        self._blocks = blocks
        self._where = where
        self.samples = 0
        self.clipped = 0

    def __iter__(self) -> Iterator[np.ndarray]:
        try:
            for block in self._blocks:
                if len(block):
                    with np.errstate(over="ignore"):  # float files hold anything; infinity is refused
                        out, clipped = to_int16(block)
                    self.samples += len(out)
                    self.clipped += clipped
                    yield out
        except InputError as error:
            if self._where in str(error):
                raise
            # A filter knows what is wrong with the samples, and not whose they are.
            raise InputError(str(error), where=self._where) from error
        if not self.samples:
            raise InputError("no samples", where=self._where)


class Converter:
    """Reads what a corpus's wav.scp names and makes it one rate, one channel, 16 bits.

    The last recording stays open until another one is asked for or ``close``: the segments of a long one
    open it once, and a command runs once for all of them, even if it fails. A context manager.
    """

    def __init__(self, options: AudioOptions, allow_pipes: bool = False) -> None:
        self.options = options
        self.allow_pipes = allow_pipes
        self._opened: tuple[str, Source] | None = None
        self._files = ExitStack()
        self._made: tuple[str, Path | InputError] | None = None
        self._outputs = ExitStack()  # of commands

    def __enter__(self) -> Converter:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the recording that is open, and remove what a command wrote."""
        self.reopen()
        self._made = None
        self._outputs.close()

    def reopen(self) -> None:
        """Open the recording anew for the next part of it: a decoder that failed is not gone on with."""
        self._opened = None
        self._files.close()

    def blocks(
        self, entry: str, start: float = 0.0, end: float | None = None, channel: int | None = None
    ) -> Converted:
        """``entry`` from ``start`` to ``end`` seconds, in blocks: a long one costs the memory of a block.

        ``channel`` is that of the options where it is None. Steps that need the whole signal (enhancers,
        zero-phase filter, trimming, level) hold one float32 array of it. InputError, here or on the way, if
        the entry cannot be read, holds no samples or holds NaN or infinity.
        """
        wanted = self.options.channel if channel is None else channel
        if self.options.enhance == "cancel" and wanted == self.options.reference_channel:
            raise InputError(
                f"channel {wanted} is the noise reference too", where=entry, mend="mend reco2channel"
            )
        return Converted(processed(self.options, self.source(entry), start, end, wanted), entry)

    def unchanged(self, entry: str, channel: int | None = None) -> bool:
        """Whether the whole of ``entry`` is what stage 1 would write: right rate, one channel, 16 bits."""
        options = self.options
        chosen = options.channel if channel is None else channel
        if options.processes or chosen != 0 or entry.endswith("|"):
            return False
        source = self.source(entry)
        kept = source.subtype == "PCM_16" and source.format in ("WAV", "WAVEX", "FLAC")
        return kept and source.channels == 1 and source.rate == options.sample_rate

    def source(self, entry: str) -> Source:
        """The opened recording, which stays open until another entry is asked for."""
        if self._opened is None or self._opened[0] != entry:
            if self._made is not None and self._made[0] != entry:
                self.close()
            self.reopen()
            self._opened = (entry, self._open(entry))
        return self._opened[1]

    def _open(self, entry: str) -> Source:
        if entry.startswith("|") or entry.endswith("|"):
            if self._made is None:
                self._made = (entry, self._output(entry))
            made = self._made[1]
            if isinstance(made, InputError):
                raise InputError(str(made))
            return self._files.enter_context(open_audio(made, where=entry))
        path, offset = split_entry(entry)
        if offset is None:
            return self._files.enter_context(open_audio(path, where=path))
        try:
            handle = self._files.enter_context(open(path, "rb"))
        except OSError as error:
            raise InputError(error.strerror or str(error), where=entry) from error
        handle.seek(offset)
        return self._files.enter_context(open_audio(handle, where=entry))

    def _output(self, entry: str) -> Path | InputError:
        # The command's output goes to a file: it can be long, and decoders seek.
        if not self.allow_pipes or not entry.endswith("|"):
            raise InputError("the entry is a command", where=entry, mend="--allow-pipes runs it")
        file = self._outputs.enter_context(tempfile.NamedTemporaryFile(prefix="timbre."))
        command = ["bash", "-o", "pipefail", "-c", entry.rstrip("|")]
        done = subprocess.run(
            command, stdin=subprocess.DEVNULL, stdout=file, stderr=subprocess.PIPE, check=False
        )
        if done.returncode != 0:
            said = " ".join(done.stderr.decode(errors="replace")[-200:].split())  # a reason is one line
            return InputError(f"the command failed: {said or done.returncode}", where=entry)
        return Path(file.name)


class Recordings:
    """Audio by utterance from a table of ``archive:offset`` or files. Use as a context manager.

    ``entries`` is what ``table`` holds, for those who have read it already.
    """

    def __init__(self, table: Path, entries: Mapping[str, str] | None = None) -> None:
        self.table = table
        self._entries = read_table(table) if entries is None else entries
        self._archive = Archive()

    def __enter__(self) -> Recordings:
        return self

    def __exit__(self, *_: object) -> None:
        self._archive.__exit__()

    def samples(self, utt: str) -> tuple[np.ndarray, int]:
        """Samples [time] (float32 in [-1, 1)) of the first channel and rate in Hz."""
        entry = self._entries.get(utt)
        if entry is None:
            raise InputError("no such utterance", where=self.table, utt=utt)
        path, offset = split_entry(entry, where=self.table, utt=utt)
        if offset is None:
            return read_audio(path, utt=utt)
        return read_stream(self._archive.at(entry, utt), where=entry, utt=utt)
