"""Shards that other hosts have done and that are seen late."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from pysteps.formats import shards
from pysteps.formats.atomic import write_text
from pysteps.formats.errors import InputError
from pysteps.formats.stamps import Unit


def test_a_shard_that_appears_late_is_waited_for(tmp_path: Path) -> None:
    unit = Unit(name="set", stage="stage", folder=tmp_path, version=1, options={})
    waiting = shards.plan(unit, ["a", "b"], 1)

    def do(numbers: list[int]) -> None:
        todo = [(unit, number) for number in numbers]
        shards.run(todo, lambda unit, number, utts: {"table": {utts[0]: str(number)}}, "one")

    do(waiting[:1])
    late = threading.Timer(0.7, do, [waiting[1:]])
    late.start()
    assert shards.gather(unit, ["table"], patience=30) == {"table": 2}
    late.join()
    assert (tmp_path / "table").read_text() == "a 1\nb 2\n"


def unit_with(folder: Path, mode: int) -> Unit:
    return Unit(name="set", stage="stage", folder=folder, version=1, options={"mode": mode})


@pytest.mark.parametrize("replanned", [True, False])
def test_a_job_of_a_killed_driver_puts_no_archive_in_place(tmp_path: Path, replanned: bool) -> None:
    old, new = unit_with(tmp_path, 1), unit_with(tmp_path, 2)
    shards.plan(old, ["a"], 1, ["x.*.ark"])

    def restart() -> None:
        if replanned:  # it plans something else, and does it
            shards.plan(new, ["a"], 1, ["x.*.ark"])
            write_text(tmp_path / "x.1.ark", "new")
        else:  # it is about to plan
            shards.forget(old)

    def work(unit: Unit, number: int, utts: list[str]) -> dict[str, dict[str, str]]:
        other = threading.Thread(target=restart)  # in a process of its own, really
        other.start()
        other.join()
        write_text(unit.folder / "x.1.ark", "old")
        return {"table": {"a": "old"}}

    with pytest.raises(InputError, match="planned anew while this job did it"):
        shards.run([(old, 1)], work, "old")
    found = [path.read_text() for path in tmp_path.glob("x.*.ark")]
    assert found == (["new"] if replanned else [])
    assert [path.name for path in tmp_path.rglob(".*.part.*")] == []


def test_files_of_others_are_put_in_place_as_ever(tmp_path: Path) -> None:
    unit = unit_with(tmp_path, 1)
    shards.plan(unit, ["a"], 1)

    def work(unit: Unit, number: int, utts: list[str]) -> dict[str, dict[str, str]]:
        write_text(unit.folder / "x.1.ark", "mine")
        return {"table": {"a": "1"}}

    shards.run([(unit, 1)], work, "all")
    shards.forget(unit)
    write_text(tmp_path / "later", "no job any more")
    assert (tmp_path / "x.1.ark").read_text() == "mine" and (tmp_path / "later").is_file()
