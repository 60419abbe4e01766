"""Whole commands of diarization over files: what the command line calls and the tests too."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from ..backend.plda import Plda
from ..formats.arks import Archive
from ..formats.errors import InputError
from ..formats.frames import FrameGeometry
from ..formats.tables import read_lines, read_table, write_table
from .options import DiarizeOptions
from .system import assign, compare
from .turns import Turns, join_windows, read_regions, read_rttm, read_uem, stretches
from .vectors import Prepare, load_transform, read_index, read_rows
from .windows import Windows, name_windows, read_windows, sliding_windows, speech_regions

Regions = Mapping[str, Sequence[tuple[float, float]]]


def regions_of_vad(scp: str, geometry: FrameGeometry, rate: int, least_gap: float) -> Regions:
    """Stretches of speech of every recording of a vad.scp."""
    with Archive() as archive:
        return {
            name: speech_regions(archive.array(entry, name) > 0.5, geometry, rate, least_gap)
            for name, entry in read_table(scp).items()
        }


def regions_of_labs(paths: Sequence[str]) -> Regions:
    """Stretches of speech of .lab files; the recording is the file's name up to .lab or .vad.lab."""
    found: dict[str, Sequence[tuple[float, float]]] = {}
    for path in paths:
        name = Path(path).name.removesuffix(".lab").removesuffix(".vad")
        if name in found:
            raise InputError(f"recording {name} is there twice", where=path)
        found[name] = read_regions(path)
    return found


def regions_of_rttm(path: str) -> Regions:
    """Stretches in which anybody speaks, of every recording of an RTTM file."""
    return {name: stretches(turns) for name, turns in read_rttm(path).items()}


def write_windows(out: str, regions: Regions, options: DiarizeOptions) -> dict[str, int]:
    """Write the windows of all recordings as a Kaldi segments file; returns how many there are."""
    table: dict[str, str] = {}
    for recording, spans in regions.items():
        times = sliding_windows(spans, options.window, options.shift, options.least_window)
        for name, (start, end) in zip(name_windows(recording, times), times, strict=True):
            table[name] = f"{recording} {start:.3f} {end:.3f}"
    if not table:
        raise InputError("no speech in any recording", where=out, mend="look at the VAD")
    write_table(out, table)
    return {"windows": len(table), "recordings": len({value.split()[0] for value in table.values()})}


@dataclass(frozen=True)
class Inputs:
    """What clustering reads: x-vectors by window, the windows by recording, the transform and the PLDA."""

    source: str
    index: Mapping[str, str]
    windows: Mapping[str, Windows]
    transform: Prepare
    plda: Plda | None

    @staticmethod
    def load(
        xvectors: str, segments: str, transform: str | None, plda: str | None, options: DiarizeOptions
    ) -> Inputs:
        """Read the tables and models; x-vectors themselves are read a recording at a time."""
        if options.needs_plda and not plda:
            asking = "affinity plda" if options.affinity == "plda" else "resegment vbx"
            raise InputError(f"{asking} needs a PLDA model", mend="--plda FILE, in Kaldi's format")
        found = Inputs(
            xvectors,
            read_index(xvectors),
            read_windows(segments),
            load_transform(transform) if transform else lambda x: x,
            Plda.load(plda) if plda else None,
        )
        found._check_sizes(transform, plda)
        return found

    def _check_sizes(self, transform: str | None, plda: str | None) -> None:
        # The first x-vector stands for all: those of a recording have one size.
        named = (name for windows in self.windows.values() for name in windows.names)
        first = next((name for name in named if name in self.index), None)
        if first is None:
            return  # what is missing is said where it is read
        x = read_rows(self.index, [first], self.source)
        size = x.shape[1]
        try:
            x = self.transform(x)
        except InputError as error:
            said = f"x-vectors of {size} dimensions are not for --transform {transform}: {error}"
            mend = "take x-vectors and transform of one extractor"
            raise InputError(said, where=self.source, mend=mend) from error
        if self.plda is not None and x.shape[1] != len(self.plda.mean):
            behind = f" behind --transform {transform}" if transform else ""
            said = f"x-vectors of {x.shape[1]} dimensions{behind} for a PLDA of {len(self.plda.mean)}: {plda}"
            mend = "--transform: the folder (or VBx's .h5) that belongs to this PLDA"
            raise InputError(said, where=self.source, mend=mend)

    @property
    def unnamed(self) -> list[str]:
        """X-vectors that no line of the windows names: they are left out."""
        named = {name for windows in self.windows.values() for name in windows.names}
        return [key for key in self.index if key not in named]

    def vectors(self, recording: str) -> np.ndarray:
        """Transformed x-vectors [N, D] of a recording's windows."""
        return self.transform(read_rows(self.index, self.windows[recording].names, self.source))


def read_numbers(path: str | None) -> dict[str, int]:
    """Kaldi's reco2num_spk: recording to its number of speakers; empty without a file."""
    if not path:
        return {}
    found = {}
    for line, recording, value in read_lines(path):
        if not value.isdecimal() or int(value) < 1:
            raise InputError(f"{value!r} is no number of speakers", where=path, line=line)
        found[recording] = int(value)
    return found


def diarize(inputs: Inputs, options: DiarizeOptions, numbers: Mapping[str, int] | None = None) -> Turns:
    """Turns of every recording; ``numbers`` (recording to speakers) goes before ``options.speakers``."""
    turns: Turns = {}
    for recording, windows in sorted(inputs.windows.items()):
        now = options
        if numbers:
            if recording not in numbers:
                raise InputError(f"recording {recording} has no number of speakers", mend="add it")
            number = numbers[recording]  # goes before the limit too
            most = max(options.max_speakers, number) if options.max_speakers else 0
            now = replace(options, speakers=number, max_speakers=most)
        compared = compare(recording, inputs.vectors(recording), now, inputs.plda)
        turns[recording] = join_windows(windows.times, assign(compared, now, inputs.plda).tolist())
    return turns


def tune(
    inputs: Inputs,
    options: DiarizeOptions,
    reference: str,
    uem: str | None,
    collar: float,
    skip_overlap: bool,
    count: int,
) -> tuple[float, list[tuple[float, float]]]:
    """The threshold with the lowest DER, and all that were tried (see tune.choose_threshold)."""
    from .judge import judge
    from .tune import choose_threshold

    if options.clustering == "ahc" and not options.has_threshold:
        raise InputError("the number of speakers is given: no threshold decides", mend="speakers 0")
    truth, scored = read_rttm(reference), read_uem(uem) if uem else None

    def error(turns: Turns) -> float:
        result = judge(truth, turns, collar=collar, skip_overlap=skip_overlap, uem=scored)
        if result["all"]["der"] is None:
            raise InputError("no speech to score", where=reference)
        return result["all"]["der"]

    recordings = [
        compare(name, inputs.vectors(name), options, inputs.plda) for name in sorted(inputs.windows)
    ]
    judged: Callable[[Turns], float] = error
    return choose_threshold(recordings, inputs.windows, options, inputs.plda, judged, count)
