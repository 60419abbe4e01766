"""Stage 2, vad: a decision for every feature frame of every recorded utterance."""

from __future__ import annotations

from collections.abc import Callable

from ..formats.drops import conclude_drops
from ..formats.lookup import Lookup
from ..formats.run import Run
from ..formats.shards import Tables
from ..formats.stamps import Unit
from ..formats.tables import read_table
from .options import relevant

NAME = "vad"
VERSION = 1
TABLES = ("vad.scp", "utt2voiced", "utt2num_voiced", "dropped")
ARCHIVES = ("vad.*.ark",)


def units(run: Run) -> list[Unit]:
    """One unit a recorded set (copies inherit the decisions)."""
    return [
        Unit(
            name=name,
            stage=NAME,
            folder=run.of(NAME, name),
            version=VERSION,
            options=relevant(run.deciding(NAME)),
            inputs=(run.audio_scp(name),),
            upstream=(run.of("audio", name) / ".audio.done.json",),
            outputs=tuple(run.of(NAME, name) / table for table in TABLES[:3]),
        )
        for name in run.base_sets
    ]


def items(run: Run, unit: Unit) -> list[str]:
    """What stage audio could read."""
    return sorted(read_table(run.audio_scp(unit.name)))


def shard_size(run: Run) -> int:
    """Utterances a shard."""
    return run.options[NAME]["shard_utterances"]


def worker(run: Run) -> Callable[[Unit, int, list[str]], Tables]:
    """Decide a shard's frames; an utterance without enough voiced frames is dropped."""
    from ..audio.convert import Recordings
    from .decide import decide_set

    tables: dict[str, Lookup] = {}  # of one set, for all its shards

    def do(unit: Unit, number: int, utts: list[str]) -> Tables:
        path = run.audio_scp(unit.name)
        if unit.name not in tables:
            tables.clear()
            tables[unit.name] = Lookup(path)
        with Recordings(path, tables[unit.name]) as recordings:
            return decide_set(unit.folder / f"vad.{number}.ark", utts, recordings.samples, run.options[NAME])

    return do


def conclude(run: Run, unit: Unit) -> None:
    """Count what was dropped; too large a share stops the stage."""
    conclude_drops(run, NAME, unit.name, unit.folder / "dropped")
