"""--force is one order, given once by the driver: what is started again goes on with what was done since."""

from __future__ import annotations

import os
import subprocess
import threading
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from pysteps.formats import command, shards
from pysteps.formats.atomic import write_text
from pysteps.formats.errors import InputError
from pysteps.formats.names import MORE, STAGES
from pysteps.formats.stamps import Unit
from pysteps.recipe.options import parse
from pysteps.recipe.resolve import resolve
from pysteps.train import stage as train
from pysteps.train.owner import take_up
from tests.pipeline import REPO


@pytest.mark.parametrize("stage", [*STAGES, *MORE])
def test_a_forced_step_forgets_once_and_no_job_hears_of_it(stage: str) -> None:
    words = ["bash", f"steps/{stage}.sh", "--run", "exp/t/run.json", "--nj", "2", "--dry-run", "3"]
    plain, forced = (
        subprocess.run([*words, *more], cwd=REPO, capture_output=True, text=True, check=True).stdout
        for more in ([], ["--force"])
    )
    commands = [said.strip("\0").split("\0") for said in forced.split("\0\0") if said.strip("\0")]
    assert commands[0] == ["python", "-m", f"pysteps.{stage}", "forget", "--run", "exp/t/run.json"]
    others = [said.strip("\0").split("\0") for said in plain.split("\0\0") if said.strip("\0")]
    assert commands[1:] == others


def stage_of(folder: Path) -> Any:
    """A stage of three shards, one of which can fail."""
    unit = Unit(name="set", stage="toy", folder=folder / "set", version=1, options={})

    def worker(run: object) -> Any:
        return lambda unit, number, items: {"table": {items[0]: str(number)}}

    return SimpleNamespace(
        NAME="toy",
        TABLES=("table",),
        ARCHIVES=(),
        units=lambda run: [unit],
        items=lambda run, unit: ["a", "b", "c"],
        shard_size=lambda run: 1,
        worker=worker,
        conclude=lambda run, unit: None,
    )


def lists(run: Any) -> list[str]:
    return sorted(path.name for path in (run.exp / "todo").glob("*.json"))


def test_the_list_of_a_plan_made_anew_has_another_name(tmp_path: Path) -> None:
    stage, run = stage_of(tmp_path), SimpleNamespace(exp=tmp_path)
    first = command.plan(stage, run)  # type: ignore[arg-type]
    assert command.plan(stage, run) == first  # type: ignore[arg-type]  # a restart adopts its jobs
    unit = stage.units(run)[0]
    os.utime(tmp_path / "set/shards/plan.json", ns=(1, 1))  # clocks may be coarse
    first = command.plan(stage, run)  # type: ignore[arg-type]
    command.forget(stage, run)  # type: ignore[arg-type]
    again = command.plan(stage, run)  # type: ignore[arg-type]
    assert again[0] == first[0] == 3 and again[1] != first[1]  # a launcher cancels them: their marks are gone
    assert shards.pending(unit) == [1, 2, 3]


def test_of_lists_only_the_current_one_is_there_and_none_behind_the_fan_out(tmp_path: Path) -> None:
    stage, run = stage_of(tmp_path), SimpleNamespace(exp=tmp_path)
    (tmp_path / "todo").mkdir()
    (tmp_path / "todo" / "other.x.json").write_text("")
    _, first = command.plan(stage, run)  # type: ignore[arg-type]
    command.job(stage, run, first, 1, 3)  # type: ignore[arg-type]
    count, second = command.plan(stage, run)  # type: ignore[arg-type]
    assert count == 2 and lists(run) == ["other.x.json", f"toy.{second}.json"]
    with pytest.raises(InputError, match="the list of shards to do is missing"):
        command.job(stage, run, first, 2, 3)  # type: ignore[arg-type]  # of the killed run, begun only now
    command.job(stage, run, second, 1, 1)  # type: ignore[arg-type]
    command.gather(stage, run)  # type: ignore[arg-type]
    assert lists(run) == ["other.x.json"]


def test_a_worker_may_be_entered_for_as_long_as_its_job_lasts(tmp_path: Path) -> None:
    stage, run, seen = stage_of(tmp_path), SimpleNamespace(exp=tmp_path), []

    class Worker:
        def __enter__(self) -> None:
            seen.append("in")

        def __exit__(self, *_: object) -> None:
            seen.append("out")

        def __call__(self, unit: Unit, number: int, items: list[str]) -> dict:
            seen.append(number)
            return {}

    stage.worker = lambda run: Worker()
    command.job(stage, run, command.plan(stage, run)[1], 1, 1)  # type: ignore[arg-type]
    assert seen == ["in", 1, 2, 3, "out"]


@pytest.mark.parametrize("begun", ["with other options", "by --force", ""])
def test_a_training_that_outlived_its_driver_writes_nothing_into_the_next_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, begun: str
) -> None:
    run = resolve(REPO, parse(["--recipe", "folder", "--work", str(tmp_path)]))
    unit = Unit(name=run.tag, stage="train", folder=run.exp, version=1, options={"lr": 1})
    checkpoint = run.exp / "checkpoints" / "step-000000002.pt"

    def train_on(*_: object, before: Callable[[], None], **__: object) -> None:
        before()
        if begun == "by --force":
            train.reset(run, unit)
        elif begun:  # another process, which has asked nothing
            anew = threading.Thread(target=take_up, args=(replace(unit, version=2),))
            anew.start()
            anew.join()
        write_text(checkpoint, "old")

    for name, value in (
        ("pysteps.train.loop.run_training", train_on),
        ("pysteps.train.data.on_scratch", lambda source, disk: nullcontext()),
        ("pysteps.egs.source.open_egs", lambda run: None),
        ("pysteps.features.contract.read", lambda folder: {}),
        ("pysteps.train.stage.DevelopmentSet", lambda run: None),
    ):
        monkeypatch.setattr(name, value)
    if begun:
        with pytest.raises(InputError, match="training has begun anew meanwhile"):
            train.do(run, unit)
    else:
        train.do(run, unit)
    assert checkpoint.is_file() is not bool(begun)
