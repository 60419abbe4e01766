"""Stage 1, audio: the same set at one sample rate, cut to utterances, as 16-bit audio in archives."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

from ..formats import arks, tables
from ..formats.datadir import DataSet, check, mend
from ..formats.drops import conclude_drops
from ..formats.errors import InputError
from ..formats.run import Run
from ..formats.shards import Tables
from ..formats.stamps import Unit

NAME = "audio"
VERSION = 1
TABLES = ("wav.scp", "utt2dur", "clipped", "dropped")
ARCHIVES = ("audio.*.ark",)


def units(run: Run) -> list[Unit]:
    """One unit a recorded set."""
    found = []
    for name in run.base_sets:
        source, folder = run.data / name, run.of(NAME, name)
        optional = (source / "segments",) if (source / "segments").is_file() else ()
        found.append(
            Unit(
                name=name,
                stage=NAME,
                folder=folder,
                version=VERSION,
                options={**run.deciding(NAME), "allow_pipes": run.allow_pipes},
                inputs=(source / "wav.scp", source / "utt2spk", *optional),
                outputs=(folder / "wav.scp", folder / "utt2dur"),
            )
        )
    return found


def items(run: Run, unit: Unit) -> list[str]:
    """The set's utterances; what is wrong with the set as a whole is said here."""
    data = run.set(unit.name)
    for sentence in mend(data):
        print(sentence, file=sys.stderr)
    check(data)
    return sorted(data.utt2spk())


def shard_size(run: Run) -> int:
    """Utterances a shard."""
    return run.options[NAME]["shard_utterances"]


def worker(run: Run) -> Callable[[Unit, int, list[str]], Tables]:
    """Convert a shard's utterances; those that cannot be read are dropped with the reason."""
    from .convert import Converter
    from .options import AudioOptions

    converter = Converter(AudioOptions(**run.options[NAME]), allow_pipes=run.allow_pipes)
    sources: dict[str, DataSet] = {}

    def do(unit: Unit, number: int, utts: list[str]) -> Tables:
        data = sources.setdefault(unit.name, run.set(unit.name))
        wav, segments = data.table("wav.scp"), data.segments()
        durations, clipped, dropped = {}, {}, {}
        rate = run.options[NAME]["sample_rate"]
        with arks.writing(unit.folder / f"audio.{number}.ark") as writer:
            for utt in utts:
                recording, start, end = segments.get(utt, (utt, 0.0, None))
                try:
                    samples, over = converter.convert(wav[recording], start, end)
                except InputError as error:
                    dropped[utt] = str(error)
                    continue
                writer.audio(utt, samples, rate)
                durations[utt] = f"{len(samples) / rate:.4f}"
                if over:
                    clipped[utt] = str(over)
        return {"wav.scp": writer.scp, "utt2dur": durations, "clipped": clipped, "dropped": dropped}

    return do


def conclude(run: Run, unit: Unit) -> None:
    """Count what was dropped; too large a share stops the stage."""
    conclude_drops(run, NAME, unit.name, unit.folder / "dropped")


def seconds(run: Run, name: str) -> float:
    """Seconds of audio in a set, 0 before the stage is done."""
    path = Path(run.of(NAME, name)) / "utt2dur"
    return sum(map(float, tables.read_table(path).values())) if path.is_file() else 0.0
