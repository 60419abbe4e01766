"""Work in shards: planned from the sorted list alone, done by any number of jobs, gathered in order.

A shard is a run of consecutive items. Its tables lie in ``FOLDER/shards/KEY/N/``, its archives beside
``shards``. KEY is the plan's: a hash of options and inputs. The folder N appears by one rename when the
shard is whole and is its done mark, so what a job of an older plan still finishes is no part of a newer
one; nor does such a job put an archive in place, for it looks at the plan again just before. Between that
look and the rename lie milliseconds (on a network file system also the time for which a node may see the
old plan): a job that is suspended just there and goes on later can do harm.

The plan is ``shards/plan.json`` (KEY, and where each shard's items begin) and ``shards/KEY.items`` (one a
line), so that a job reads its own items and not the others' million. Which job does a shard changes nothing
in it: --nj 1 and --nj 64 give the same bytes.
"""

from __future__ import annotations

import json
import os
import shutil
import socket
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from itertools import accumulate
from pathlib import Path
from typing import Any

from .atomic import asking, replacing, sync_folder, write_text
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
    if not path.is_file() or not _continues(_read(path), key):
        forget(unit)
        for old in [*unit.outputs, *(found for pattern in archives for found in folder.glob(pattern))]:
            old.unlink(missing_ok=True)
        if (path.parent / key).exists():  # its marks would stand for archives that are gone
            raise InputError("old shards cannot be removed", where=path.parent, mend="remove the folder")
        lines = ["".join(f"{one}\n" for one in items[at : at + size]) for at in range(0, len(items), size)]
        places = list(accumulate((len(part.encode()) for part in lines), initial=0))
        with replacing(_items_path(path, key)) as handle:
            handle.writelines(lines)
        write_text(path, json.dumps({"key": key, "places": places}))
    return pending(unit)


def _continues(planned: Any, key: str) -> bool:
    return planned.get("key") == key and "places" in planned  # else a plan of an older version


def planned_at(unit: Unit) -> int:
    """When the unit's plan was made (nanoseconds; 0 without): tells it from the same plan made anew."""
    path = _plan_path(unit)
    return path.stat().st_mtime_ns if path.is_file() else 0


def forget(unit: Unit) -> None:
    """Make a unit's finished shards count for nothing."""
    unit.forget()
    _plan_path(unit).unlink(missing_ok=True)  # first: marks without a plan are no marks
    shutil.rmtree(unit.folder / "shards", ignore_errors=True)


def _plan_path(unit: Unit) -> Path:
    return unit.folder / "shards" / "plan.json"


def _read(path: Path) -> dict:
    return read_json(path, "the plan of the shards", mend="remove it and start again")


class _Shards(Sequence[list[str]]):
    # The items of each shard, read from the plan's list when they are asked for.

    def __init__(self, path: Path, places: list[int]) -> None:
        self._path, self._places = path, places

    def __len__(self) -> int:
        return len(self._places) - 1

    def __getitem__(self, index: Any) -> Any:
        if not 0 <= index < len(self):
            raise IndexError(index)
        begin, end = self._places[index : index + 2]
        try:
            with open(self._path, "rb") as handle:
                handle.seek(begin)
                data = handle.read(end - begin)
        except OSError as error:
            said = f"the planned items cannot be read: {error.strerror}"
            raise InputError(said, where=self._path, mend="remove the folder and start again") from error
        if len(data) != end - begin or not data.endswith(b"\n"):
            raise InputError("a cut list", where=self._path, mend="remove the folder and start again")
        return data.decode()[:-1].split("\n")


def _items_path(plan_path: Path, key: str) -> Path:
    return plan_path.with_name(f"{key}.items")


def _planned(unit: Unit) -> tuple[Path, _Shards]:
    """The folder of the plan's done marks, and its shards. InputError if it is a plan for other options."""
    path = _plan_path(unit)
    if not path.is_file():
        raise InputError("nothing is planned here", where=unit.folder, mend="run the stage's plan first")
    planned = _read(path)
    if not _continues(planned, unit.key()):
        raise InputError("planned for other options or inputs", where=unit.folder, mend="start again")
    return path.parent / planned["key"], _Shards(_items_path(path, planned["key"]), planned["places"])


def pending(unit: Unit) -> list[int]:
    """Numbers (from 1) of the shards that are not done."""
    marks, shards = _planned(unit)
    done = _done(marks)
    return [number for number in range(1, len(shards) + 1) if str(number) not in done]


def _done(marks: Path) -> set[str]:
    # One look at the folder, not one at each of thousands of marks.
    return {entry.name for entry in os.scandir(marks) if entry.is_dir()} if marks.is_dir() else set()


def run(todo: Sequence[tuple[Unit, int]], work: Callable[[Unit, int, list[str]], Tables], label: str) -> None:
    """Do the shards ``todo`` that are not done.

    ``work(unit, number, items)`` writes archives itself and returns the shard's tables. InputError as soon
    as the plan is no longer the one that was there in the beginning: somebody has started this work anew.
    """
    plans = {unit.name: _planned(unit) for unit in {unit.name: unit for unit, _ in todo}.values()}
    left = []
    for unit, number in todo:
        marks, planned = plans[unit.name]
        if not (marks / str(number)).is_dir():
            left.append((unit, number, marks / str(number), planned[number - 1]))
    progress = Progress(sum(len(items) for *_, items in left), "utt", label)
    for unit, number, mark, items in left:
        still = partial(_refuse_replanned, unit, mark.parent.name)
        with asking(still):
            tables = work(unit, number, items)
        still()
        _finish(mark, tables)
        progress.update(len(items))
    progress.close()


def _refuse_replanned(unit: Unit, key: str) -> None:
    path = _plan_path(unit)
    try:
        there = json.loads(path.read_text("utf-8")).get("key")
    except (OSError, ValueError, AttributeError):
        there = None
    if there != key:
        said = "the work was planned anew while this job did it: the job is left over from an earlier run"
        raise InputError(said, where=path, mend="nothing to mend: the newer run does it again")


def _finish(mark: Path, tables: Tables) -> None:
    part = mark.with_name(f".{mark.name}.part.{socket.gethostname()}.{os.getpid()}.0")
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir(parents=True)
    for name, table in tables.items():
        write_table(part / name, table)
    try:
        os.rename(part, mark)
    except OSError as error:
        shutil.rmtree(part, ignore_errors=True)
        if not mark.is_dir():  # else another attempt at the same shard was first; its tables say the same
            said = f"cannot be made: {error.strerror} (start again)"
            raise OSError(error.errno, said, str(mark)) from error
    sync_folder(mark.parent)


def reopen(unit: Unit, table: str) -> None:
    """Take back the done marks of the shards whose ``table`` is not empty: a restart does them again."""
    marks, shards = _planned(unit)
    for mark in (marks / str(number) for number in range(1, len(shards) + 1)):
        if mark.is_dir() and (mark / table).is_file() and (mark / table).stat().st_size:
            away = mark.with_name(f".{mark.name}.part.{socket.gethostname()}.{os.getpid()}.0")
            os.rename(mark, away)  # at once: half a mark would be taken for a whole one
            shutil.rmtree(away, ignore_errors=True)


def gather(unit: Unit, names: Sequence[str], patience: float = 0.0) -> dict[str, int]:
    """Join the shards' tables into ``FOLDER/NAME`` and return each one's number of lines.

    The caller writes the stamp when it has looked at the result. InputError when a shard is still missing
    after ``patience`` seconds: what another host wrote may appear late on a network file system.
    """
    marks, shards = _planned(unit)
    numbers = range(1, len(shards) + 1)
    end = time.monotonic() + patience
    while (left := len(numbers) - len(_done(marks) & {str(number) for number in numbers})) and (
        time.monotonic() < end
    ):
        time.sleep(0.5)
    if left:
        raise InputError(f"{left} shards are not done", where=unit.folder, mend="run the stage again")
    counts = {}
    for name in names:
        counts[name] = 0
        with replacing(unit.folder / name) as handle:
            for number in numbers:
                table = read_table(marks / str(number) / name, values=False)
                counts[name] += len(table)
                handle.writelines(f"{key} {value}\n" if value else f"{key}\n" for key, value in table.items())
    return counts
