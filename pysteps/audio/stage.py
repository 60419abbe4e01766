"""Stage 1, audio: the same set at one sample rate, cut to utterances, as 16-bit audio in archives."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ..formats import arks, tables
from ..formats.datadir import DataSet, check, mend
from ..formats.drops import conclude_drops
from ..formats.errors import InputError
from ..formats.lookup import Lookup
from ..formats.run import Run
from ..formats.shards import Tables
from ..formats.stamps import Unit
from .options import relevant

if TYPE_CHECKING:
    from .convert import Converter

NAME = "audio"
VERSION = 3
TABLES = ("wav.scp", "utt2dur", "clipped", "dropped")
ARCHIVES = ("audio.*.ark",)
MUCH_CLIPPED = 0.01  # share of an utterance's samples that the log speaks of


def units(run: Run) -> list[Unit]:
    """One unit a recorded set."""
    found = []
    for name in run.base_sets:
        source, folder = run.data / name, run.of(NAME, name)
        names = ("segments", "reco2channel")
        optional = tuple(source / table for table in names if (source / table).is_file())
        found.append(
            Unit(
                name=name,
                stage=NAME,
                folder=folder,
                version=VERSION,
                options={**relevant(run.deciding(NAME)), "allow_pipes": _runs(run, source / "wav.scp")},
                inputs=(source / "wav.scp", source / "utt2spk", *optional),
                outputs=(folder / "wav.scp", folder / "utt2dur"),
            )
        )
    return found


def _runs(run: Run, wav_scp: Path) -> bool:
    # Whether commands run. Where there are none, --allow-pipes decides nothing.
    if not run.allow_pipes or not wav_scp.is_file():
        return False
    with open(wav_scp, "rb") as lines:
        return any(line.rstrip().endswith(b"|") for line in lines)


def items(run: Run, unit: Unit) -> list[str]:
    """The set's utterances; what is wrong with the set as a whole is said here."""
    data = run.set(unit.name)
    for sentence in mend(data):
        print(sentence, file=sys.stderr)
    check(data)
    channels(data)
    return sorted(data.utt2spk())


def shard_size(run: Run) -> int:
    """Utterances a shard."""
    return run.options[NAME]["shard_utterances"]


def channels(data: DataSet) -> dict[str, int]:
    """The set's reco2channel: recording to channel number from 0; empty when there is no such table."""
    path = data.folder / "reco2channel"
    if not path.is_file():
        return {}
    known, found = data.table("wav.scp"), {}
    for line, recording, value in tables.read_lines(path):
        if recording not in known:
            raise InputError(f"{recording} is not in wav.scp", where=path, line=line, mend="remove the line")
        if not (value.isascii() and value.isdigit()):
            raise InputError(
                f"no channel number: {value!r}", where=path, line=line, mend="a number; the first is 0"
            )
        if recording in found:
            raise InputError(f"{recording} is there twice", where=path, line=line, mend="keep one of them")
        found[recording] = int(value)
    return found


@dataclass(frozen=True)
class Cuts:
    """What a set's tables say of its recordings: ``wav`` entry, ``segments``, and ``channel`` numbers."""

    wav: Mapping[str, str]
    segments: dict[str, tuple[str, float, float]]
    channel: dict[str, int]

    @staticmethod
    def of(data: DataSet) -> Cuts:
        """Read them."""
        return Cuts(Lookup(data.folder / "wav.scp"), data.segments(), channels(data))


def worker(run: Run) -> Callable[[Unit, int, list[str]], Tables]:
    """Convert a shard's utterances; those that cannot be read are dropped with the reason."""
    from .convert import Converter
    from .options import AudioOptions

    options = AudioOptions(**run.options[NAME])
    cuts: dict[str, Cuts] = {}  # of one set: read once for all its shards

    def do(unit: Unit, number: int, utts: list[str]) -> Tables:
        if unit.name not in cuts:
            cuts.clear()
            cuts[unit.name] = Cuts.of(run.set(unit.name))
        path = unit.folder / f"audio.{number}.ark"
        with Converter(options, run.allow_pipes) as converter, arks.writing(path) as writer:
            found = convert_shard(cuts[unit.name], utts, converter, writer)
        if not writer.scp:
            path.unlink()
        return found

    return do


def convert_shard(
    cuts: Cuts, utts: list[str], converter: Converter, writer: arks.ArchiveWriter
) -> dict[str, Mapping[str, str]]:
    """Write what is to be written of ``utts`` and return the shard's tables.

    The segments of a recording are taken one after the other, so that it is opened once.
    """
    segments, options = cuts.segments, converter.options
    entries, durations, clipped, dropped = {}, {}, {}, {}
    for utt in sorted(utts, key=lambda name: (segments.get(name, (name, 0.0, 0.0)), name)):
        recording, start, end = segments.get(utt, (utt, 0.0, None))
        entry, chosen = cuts.wav[recording], cuts.channel.get(recording)
        try:
            blocks = converter.blocks(entry, start, end, chosen)
            if options.materialise == "changed" and not segments and converter.unchanged(entry, chosen):
                count, entries[utt] = sum(map(len, blocks)), entry  # decoded: later stages shall not fail
            else:
                flac = options.materialise == "flac"
                count = writer.audio(utt, blocks, options.sample_rate, flac=flac)
        except InputError as error:
            dropped[utt] = " ".join(str(error).split())  # a line of a table
            converter.reopen()
            continue
        durations[utt] = f"{count / options.sample_rate:.4f}"
        if blocks.clipped:
            clipped[utt] = str(blocks.clipped)
    entries.update(writer.scp)
    return {"wav.scp": entries, "utt2dur": durations, "clipped": clipped, "dropped": dropped}


def conclude(run: Run, unit: Unit) -> None:
    """Say how much was clipped and dropped; too large a share of dropped utterances stops the stage."""
    said = clipping(unit.folder, run.options[NAME]["sample_rate"])
    if said:
        print(f"{NAME} {unit.name}: {said}", file=sys.stderr)
    conclude_drops(run, NAME, unit.name, unit.folder / "dropped")


def clipping(folder: Path, rate: int) -> str:
    """A sentence on the samples that were cut off at full scale; empty where there are none."""
    clipped = {utt: int(count) for utt, count in tables.read_table(folder / "clipped").items()}
    if not clipped:
        return ""
    durations = tables.read_table(folder / "utt2dur")
    # One sample at 48 kHz is 0.0000 s.
    share = {utt: count / max(float(durations[utt]) * rate, 1) for utt, count in clipped.items()}
    many = {utt: part for utt, part in share.items() if part > MUCH_CLIPPED}
    said = f"{sum(clipped.values())} samples of {len(clipped)} utterances were clipped"
    if many:
        worst = max(many, key=lambda utt: many[utt])
        said += (
            f"; {len(many)} of them lost more than {MUCH_CLIPPED:.0%} of their samples, most {worst} "
            f"({many[worst]:.1%}): --audio.level peak brings them below full scale"
        )
    return f"{said} (see {folder / 'clipped'})"


def seconds(run: Run, name: str) -> float:
    """Seconds of audio in a set, 0 before the stage is done."""
    path = Path(run.of(NAME, name)) / "utt2dur"
    return sum(map(float, tables.read_table(path).values())) if path.is_file() else 0.0
