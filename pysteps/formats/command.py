"""The command lines of the stages: plan, job and gather for sharded ones, run for the others; forget."""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any, Protocol

from . import shards
from .atomic import write_text
from .errors import InputError, guarded
from .records import read_json
from .run import Run
from .stamps import Unit


class Sharded(Protocol):
    """What a sharded stage's module offers."""

    @property
    def NAME(self) -> str:
        """The stage's word."""

    @property
    def TABLES(self) -> Sequence[str]:
        """The tables that shards are gathered into."""

    @property
    def ARCHIVES(self) -> Sequence[str]:
        """Patterns of the archives that shards write."""

    def units(self, run: Run) -> list[Unit]:
        """One unit a data set."""

    def items(self, run: Run, unit: Unit) -> list[str]:
        """The unit's items in order."""

    def shard_size(self, run: Run) -> int:
        """Items a shard."""

    def worker(self, run: Run) -> Callable[[Unit, int, list[str]], shards.Tables]:
        """Load what a job needs once; return the function that does one shard.

        One that is a context manager too is entered for as long as the job lasts.
        """

    def conclude(self, run: Run, unit: Unit) -> None:
        """Look at what was gathered (drop lists, contracts)."""


class Single(Protocol):
    """What a stage that is one piece of work a unit offers."""

    @property
    def NAME(self) -> str:
        """The stage's word."""

    def units(self, run: Run) -> list[Unit]:
        """The pieces."""

    def do(self, run: Run, unit: Unit) -> None:
        """Do one."""


def _stale(units: list[Unit]) -> Iterator[Unit]:
    # Asked one by one: the last unit of a stage may read what the first ones write.
    for unit in units:
        reason = unit.stale()
        if reason is not None:
            for path in unit.inputs:
                if not path.is_file():
                    raise InputError("missing", where=path, mend="run the stage that writes it")
            if _speaks():
                print(f"{unit.stage} {unit.name}: {reason}", file=sys.stderr)
            yield unit


def _speaks() -> bool:
    # Of torchrun's processes the first one, for all of them.
    return os.environ.get("RANK", "0") == "0"


def plan(stage: Sharded, run: Run) -> tuple[int, str]:
    """Plan every stale unit; returns how many shards wait, and the name of the list of them.

    Jobs divide that list, not what is pending when each of them starts. Its name is a hash of it and of when
    its units were planned: a launcher that finds an older run's jobs in a queue can tell whether they do the
    same. Those of work that was forgotten meanwhile do not: their shards' done marks may be gone.
    """
    waiting, plans = [], []
    for unit in _stale(stage.units(run)):
        numbers = shards.plan(unit, stage.items(run, unit), stage.shard_size(run), stage.ARCHIVES)
        waiting += [[unit.name, number] for number in numbers]
        plans.append(shards.planned_at(unit))
    text = json.dumps(waiting)
    name = hashlib.sha256(f"{text} {plans}".encode()).hexdigest()[:12]
    write_text(_todo(stage, run, name), text)
    _remove_lists(stage, run, but=name)
    return len(waiting), name


def _todo(stage: Sharded, run: Run, name: str) -> Path:
    return run.exp / "todo" / f"{stage.NAME}.{name}.json"


def _remove_lists(stage: Sharded, run: Run, but: str = "") -> None:
    # Of a fan-out that is over, and of one that a new one takes the place of: its jobs shall not begin.
    keep = _todo(stage, run, but)
    for path in keep.parent.glob(f"{stage.NAME}.*.json"):
        if path != keep:
            path.unlink(missing_ok=True)


def job(stage: Sharded, run: Run, todo: str, number: int, jobs: int) -> None:
    """Do the share of job ``number`` of ``jobs`` (from 1) in the list ``todo``."""
    units = {unit.name: unit for unit in stage.units(run)}
    waiting = read_json(_todo(stage, run, todo), "the list of shards to do", mend="start the stage again")
    mine = [(units[name], shard) for name, shard in waiting[number - 1 :: jobs]]
    work = stage.worker(run)
    with work if isinstance(work, AbstractContextManager) else nullcontext():
        shards.run(mine, work, f"{stage.NAME} job {number}/{jobs}")


def gather(stage: Sharded, run: Run, patience: float = 0.0) -> None:
    """Join the shards of every unit without a fresh stamp, and stamp it. ``patience``: see shards.gather."""
    for unit in stage.units(run):
        if unit.stale() is not None:
            counts = shards.gather(unit, stage.TABLES, patience)
            try:
                stage.conclude(run, unit)
            except InputError:
                _reopen(stage, run)
                raise
            unit.done()
            said = ", ".join(f"{count} {Path(name).name}" for name, count in counts.items() if count)
            if said:
                print(f"{stage.NAME} {unit.name}: {said}", file=sys.stderr)
    _remove_lists(stage, run)


def _reopen(stage: Sharded, run: Run) -> None:
    # Whoever mends what was dropped, in any set, and starts again shall find it tried again.
    for unit in stage.units(run):
        if unit.stale() is not None:
            for table in stage.TABLES:
                if Path(table).name == "dropped":
                    shards.reopen(unit, table)


def single(stage: Single, run: Run) -> None:
    """Do every stale unit."""
    for unit in _stale(stage.units(run)):
        unit.forget()
        start = time.monotonic()
        stage.do(run, unit)
        unit.done()
        if _speaks():
            print(f"{stage.NAME} {unit.name}: done in {time.monotonic() - start:.1f} s", file=sys.stderr)


def main(stage: Any, also: Mapping[str, str] | None = None) -> None:
    """``python -m pysteps.STAGE VERB --run FILE``: plan, job and gather of sharded work, else run; forget.

    ``forget`` is what ./run.sh --force begins each stage with: one order, given once. The words of jobs know
    nothing of it, so whatever starts them again goes on with what was done since.

    ``also``: the words that the room's ``__main__`` answers itself, each with a line of help.
    """
    words = [f"  {word:10s}  {text}" for word, text in (also or {}).items()]
    parser = argparse.ArgumentParser(
        prog=f"python -m pysteps.{stage.NAME}",
        description=stage.__doc__,
        epilog="\n".join(["also:", *words]) if words else None,
        formatter_class=argparse.RawDescriptionHelpFormatter,  # a word of ``also`` a line
    )
    verbs = parser.add_subparsers(dest="verb", required=True)
    sharded = hasattr(stage, "worker")
    for verb in (*(("plan", "job", "gather") if sharded else ("run",)), "forget"):
        wanted = verbs.add_parser(verb)
        wanted.add_argument("--run", required=True, help="the resolved run: exp/TAG/run.json")
        if verb == "job":
            wanted.add_argument("--todo", required=True, help="the list of shards that plan named")
            wanted.add_argument("--job", type=int, default=1, help="which job this is, from 1")
            wanted.add_argument("--jobs", type=int, default=1, help="how many jobs there are")
        if verb == "gather":
            wanted.add_argument("--patience", type=float, default=0.0, help="seconds to wait for late shards")
    given = sys.argv[1:2]
    if also and given and given[0] not in verbs.choices and not given[0].startswith("-"):
        parser.error(f"no word {given[0]!r}: choose from {', '.join([*verbs.choices, *also])}")
    options = parser.parse_args()

    def work() -> None:
        run = Run.load(options.run)
        if options.verb == "forget":
            forget(stage, run)
        elif options.verb == "plan":
            print(*plan(stage, run))  # the step reads both words
        elif options.verb == "job":
            job(stage, run, options.todo, options.job, options.jobs)
        elif options.verb == "gather":
            gather(stage, run, options.patience)
        else:
            single(stage, run)

    guarded(work)


def forget(stage: Any, run: Run) -> None:
    """Make everything of a stage stale: stamps, finished shards, and what its ``reset`` removes."""
    for unit in stage.units(run):
        shards.forget(unit)
        if hasattr(stage, "reset"):
            stage.reset(run, unit)
