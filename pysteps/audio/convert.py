"""From a wav.scp entry to samples at the run's rate, and back out of stage 1's archives."""

from __future__ import annotations

import io
import shutil
import subprocess
import tempfile
from pathlib import Path

import numpy as np

from ..formats.arks import Archive, split_entry
from ..formats.errors import InputError
from ..formats.tables import read_table
from .filters import bandpass, resample, to_int16
from .options import AudioOptions
from .read import read_audio, read_wav_stream


class Converter:
    """Reads what a corpus's wav.scp names and makes it one rate, one channel, 16 bits."""

    def __init__(self, options: AudioOptions, allow_pipes: bool = False) -> None:
        self.options = options
        self.allow_pipes = allow_pipes

    def convert(self, entry: str, start: float = 0.0, end: float | None = None) -> tuple[np.ndarray, int]:
        """Samples [time] (int16) of ``entry`` from ``start`` to ``end`` seconds, and how many clipped.

        InputError if the entry cannot be read, holds no samples or holds NaN or infinity.
        """
        options = self.options
        samples, rate = self._read(entry, start, end)
        samples = resample(samples, rate, options.sample_rate)
        if not len(samples):
            raise InputError("no samples", where=entry)
        if options.band_low > 0 or options.band_high > 0:
            samples = bandpass(
                samples,
                options.sample_rate,
                options.band_low,
                options.band_high,
                order=options.band_order,
                zero_phase=options.zero_phase,
            )
        return to_int16(samples)

    def _read(self, entry: str, start: float, end: float | None) -> tuple[np.ndarray, int]:
        if entry.startswith("|") or entry.endswith("|"):
            return self._run(entry, start, end)
        path, offset = split_entry(entry)
        if offset is None:
            return read_audio(path, start=start, end=end, channel=self.options.channel)
        with Archive() as archive:
            handle, channel = archive.at(entry, path), self.options.channel
            samples, rate = read_wav_stream(handle, where=entry, channel=channel)
        return samples[int(start * rate) : None if end is None else int(end * rate)], rate

    def _run(self, entry: str, start: float, end: float | None) -> tuple[np.ndarray, int]:
        if not self.allow_pipes or not entry.endswith("|"):
            raise InputError("the entry is a command", where=entry, mend="--allow-pipes runs it")
        done = subprocess.run(  # noqa: S602 - the user allowed commands with --allow-pipes
            ["bash", "-o", "pipefail", "-c", entry.rstrip("|")], capture_output=True, check=False
        )
        if done.returncode != 0:
            raise InputError(
                f"the command failed: {done.stderr.decode(errors='replace')[-200:]}", where=entry
            )
        with tempfile.NamedTemporaryFile(suffix=".wav") as file:
            shutil.copyfileobj(io.BytesIO(done.stdout), file)
            file.flush()
            return read_audio(file.name, start=start, end=end, channel=self.options.channel)


class Recordings:
    """Audio by utterance from a table of ``archive:offset`` or files. Use as a context manager."""

    def __init__(self, table: Path) -> None:
        self._table = table
        self._entries = read_table(table)
        self._archive = Archive()

    def __enter__(self) -> Recordings:
        return self

    def __exit__(self, *_: object) -> None:
        self._archive.__exit__()

    def samples(self, utt: str) -> tuple[np.ndarray, int]:
        """Samples [time] (float32 in [-1, 1)) and rate in Hz."""
        entry = self._entries.get(utt)
        if entry is None:
            raise InputError("no such utterance", where=self._table, utt=utt)
        path, offset = split_entry(entry, where=self._table, utt=utt)
        if offset is None:
            return read_audio(path)
        return read_wav_stream(self._archive.at(entry, utt), where=entry, utt=utt)
