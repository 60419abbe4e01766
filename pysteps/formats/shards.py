"""Work in shards: planned from the sorted list alone, done by any number of jobs, gathered in order.

A shard is a run of consecutive items. Its tables lie in ``FOLDER/shards/KEY/N/``, its archives beside
``shards``. KEY is the plan's: a hash of options and inputs. The folder N appears by one rename when the
shard is whole and is its done mark, so what a job of an older plan still finishes is no part of a newer
one. Which job does a shard changes nothing in it: --nj 1 and --nj 64 give the same bytes.
"""

from __future__ import annotations

import json
import os
import shutil
import socket
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from .atomic import replacing, sync_folder, write_text
from .errors import InputError
from .progress import Progress
from .records import read_json
from .stamps import Unit
from .tables import read_table, write_table

Tables = Mapping[str, Mapping[str, str]]  # table name -> key -> value


def plan(unit: Unit, items: Sequence[str], size: int, archives: Sequence[str] = ()) -> list[int]:
    """Cut ``items`` into shards of ``size`` and return the numbers (from 1) of those still to do.

    A plan with the same key is continued. Another one is begun anew: outputs, what matches the patterns
    ``archives`` and the old shards are removed first.
    """
    folder, path, key = unit.folder, _plan_path(unit), unit.key()
    if not path.is_file() or _read(path)["key"] != key:
        forget(unit)
        for old in [*unit.outputs, *(found for pattern in archives for found in folder.glob(pattern))]:
            old.unlink(missing_ok=True)
        shards = [list(items[start : start + size]) for start in range(0, len(items), size)]
        write_text(path, json.dumps({"key": key, "shards": shards}))
    return pending(unit)


def forget(unit: Unit) -> None:
    """Make a unit's finished shards count for nothing."""
    unit.forget()
    _plan_path(unit).unlink(missing_ok=True)  # first: marks without a plan are no marks
    shutil.rmtree(unit.folder / "shards", ignore_errors=True)


def _plan_path(unit: Unit) -> Path:
    return unit.folder / "shards" / "plan.json"


def _read(path: Path) -> dict:
    return read_json(path, "the plan of the shards", mend="remove it and start again")


def _planned(unit: Unit) -> tuple[Path, list[list[str]]]:
    """The folder of the plan's done marks, and its shards. InputError if it is a plan for other options."""
    path = _plan_path(unit)
    if not path.is_file():
        raise InputError("nothing is planned here", where=unit.folder, mend="run the stage's plan first")
    planned = _read(path)
    if planned["key"] != unit.key():
        raise InputError("planned for other options or inputs", where=unit.folder, mend="start again")
    return path.parent / planned["key"], planned["shards"]


def pending(unit: Unit) -> list[int]:
    """Numbers (from 1) of the shards that are not done."""
    marks, shards = _planned(unit)
    return [number for number in range(1, len(shards) + 1) if not (marks / str(number)).is_dir()]


def run(todo: Sequence[tuple[Unit, int]], work: Callable[[Unit, int, list[str]], Tables], label: str) -> None:
    """Do the shards ``todo`` that are not done.

    ``work(unit, number, items)`` writes archives itself and returns the shard's tables.
    """
    plans = {unit.name: _planned(unit) for unit in {unit.name: unit for unit, _ in todo}.values()}
    left = []
    for unit, number in todo:
        marks, planned = plans[unit.name]
        if not (marks / str(number)).is_dir():
            left.append((unit, number, marks / str(number), planned[number - 1]))
    progress = Progress(sum(len(items) for *_, items in left), "utt", label)
    for unit, number, mark, items in left:
        _finish(mark, work(unit, number, items))
        progress.update(len(items))
    progress.close()


def _finish(mark: Path, tables: Tables) -> None:
    part = mark.with_name(f".{mark.name}.part.{socket.gethostname()}.{os.getpid()}.0")
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir(parents=True)
    for name, table in tables.items():
        write_table(part / name, table)
    try:
        os.rename(part, mark)
    except OSError:  # another attempt at the same shard was first; its tables say the same
        shutil.rmtree(part, ignore_errors=True)
    sync_folder(mark.parent)


def gather(unit: Unit, names: Sequence[str]) -> dict[str, int]:
    """Join the shards' tables into ``FOLDER/NAME`` and return each one's number of lines.

    The caller writes the stamp when it has looked at the result. InputError when a shard is missing.
    """
    marks, shards = _planned(unit)
    numbers = range(1, len(shards) + 1)
    left = [number for number in numbers if not (marks / str(number)).is_dir()]
    if left:
        raise InputError(f"{len(left)} shards are not done", where=unit.folder, mend="run the stage again")
    counts = {}
    for name in names:
        counts[name] = 0
        with replacing(unit.folder / name) as handle:
            for number in numbers:
                table = read_table(marks / str(number) / name, values=False)
                counts[name] += len(table)
                handle.writelines(f"{key} {value}\n" if value else f"{key}\n" for key, value in table.items())
    return counts
