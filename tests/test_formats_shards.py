"""Shards that other hosts have done and that are seen late."""

from __future__ import annotations

import threading
from pathlib import Path

from pysteps.formats import shards
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
