"""Work in shards: planned from the sorted list alone, done by any number of jobs, gathered in order.

A shard is a run of consecutive items. Its results lie in ``FOLDER/shards/N/`` (tables) and beside it
(archives); the directory ``shards/N`` appears by one rename when the shard is whole and is its done mark.
Which job does a shard changes nothing in it: --nj 1 and --nj 64 give the same bytes.
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
from .stamps import Unit
from .tables import read_table, write_table

Tables = Mapping[str, Mapping[str, str]]  # table name -> key -> value


def plan(unit: Unit, items: Sequence[str], size: int) -> int:
    """Cut ``items`` into shards of ``size`` and return how many are still to do.

    A plan with the same key is continued; another one is begun anew, and what it left is removed first.
    """
    folder, path = unit.folder, unit.folder / "shards" / "plan.json"
    key = unit.key()
    if _read(path).get("key") != key:
        unit.forget()
        for output in unit.outputs:
            if output.is_file():
                output.unlink()
        shutil.rmtree(folder / "shards", ignore_errors=True)
        shards = [list(items[start : start + size]) for start in range(0, len(items), size)]
        write_text(path, json.dumps({"key": key, "shards": shards}))
    todo = pending(folder)
    # Jobs divide this list, not what is pending when each of them starts: the first may be done by then.
    write_text(folder / "shards" / "todo.json", json.dumps({"todo": todo}))
    return len(todo)


def _read(path: Path) -> dict:
    return json.loads(path.read_text("utf-8")) if path.is_file() else {}


def shards_of(folder: Path) -> list[list[str]]:
    """The planned shards, each a list of items."""
    planned = _read(folder / "shards" / "plan.json")
    if not planned:
        raise InputError("nothing is planned here", where=folder, mend="run the stage's plan first")
    return planned["shards"]


def pending(folder: Path) -> list[int]:
    """Numbers (from 1) of the shards that are not done."""
    count = len(shards_of(folder))
    return [number for number in range(1, count + 1) if not _mark(folder, number).is_dir()]


def _mark(folder: Path, number: int) -> Path:
    return folder / "shards" / str(number)


def run(
    units: Sequence[Unit],
    job: int,
    jobs: int,
    work: Callable[[Unit, int, list[str]], Tables],
    label: str,
) -> None:
    """Do the waiting shards that fall to ``job`` of ``jobs`` (from 1) in every unit.

    ``work(unit, number, items)`` writes archives itself and returns the shard's tables.
    """
    listed = [
        (unit, number)
        for unit in units
        for number in _read(unit.folder / "shards" / "todo.json").get("todo", [])
    ][job - 1 :: jobs]
    todo = [(unit, number) for unit, number in listed if not _mark(unit.folder, number).is_dir()]
    planned = {unit.folder: shards_of(unit.folder) for unit, _ in todo}
    progress = Progress(sum(len(planned[unit.folder][number - 1]) for unit, number in todo), "utt", label)
    for unit, number in todo:
        items = planned[unit.folder][number - 1]
        _finish(unit.folder, number, work(unit, number, items))
        progress.update(len(items))
    progress.close()


def _finish(folder: Path, number: int, tables: Tables) -> None:
    part = folder / "shards" / f".{number}.part.{socket.gethostname()}.{os.getpid()}.0"
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir()
    for name, table in tables.items():
        write_table(part / name, table)
    try:
        os.rename(part, _mark(folder, number))
    except OSError:  # another attempt at the same shard was first; its tables say the same
        shutil.rmtree(part, ignore_errors=True)
    sync_folder(folder / "shards")


def gather(unit: Unit, names: Sequence[str]) -> dict[str, int]:
    """Join the shards' tables into ``FOLDER/NAME`` and return each one's number of lines.

    The caller writes the stamp when it has looked at the result. InputError when a shard is missing.
    """
    left = pending(unit.folder)
    if left:
        raise InputError(f"{len(left)} shards are not done", where=unit.folder, mend="run the stage again")
    counts = {}
    for name in names:
        counts[name] = 0
        with replacing(unit.folder / name) as handle:
            for number in range(1, len(shards_of(unit.folder)) + 1):
                path = _mark(unit.folder, number) / name
                if path.is_file():
                    table = read_table(path, values=False)
                    counts[name] += len(table)
                    handle.writelines(
                        f"{key} {value}\n" if value else f"{key}\n" for key, value in table.items()
                    )
    return counts
