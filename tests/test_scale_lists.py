"""Bookkeeping grows with the list and no faster, and a job reads its share and not everybody's."""

from __future__ import annotations

import importlib
import sys
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

REPO = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(REPO / "tests" / "bench"))

import scale  # noqa: E402
import scale_world  # noqa: E402

from pysteps.formats import command, shards  # noqa: E402
from pysteps.formats.datadir import DataSet, check  # noqa: E402
from pysteps.formats.errors import InputError  # noqa: E402
from pysteps.formats.stamps import Unit  # noqa: E402

SMALL = scale_world.Size(utterances=20_000, speakers=200, dev=200, evaluated=2_000, trials=20_000)
# Each step takes 0.05 to 0.5 s of CPU here; a loop over all pairs of utterances takes 20 s and more.
LIMIT = 4.0
STAGES = ("audio", "vad", "features", "egs")


@pytest.fixture(scope="module")
def seconds(tmp_path_factory: pytest.TempPathFactory) -> dict[str, float]:
    """CPU seconds of each step of 20,000 utterances' bookkeeping."""
    work, found = tmp_path_factory.mktemp("scale"), {}
    scale_world.build(work, SMALL)
    run = scale_world.load(work, "live")

    def timed(name: str, step: Callable[[], object]) -> None:
        began = time.process_time()
        step()
        found[name] = time.process_time() - began

    def module(stage: str) -> Any:
        return importlib.import_module(f"pysteps.{stage}.stage")

    timed("validate", lambda: module("prepare").validate(run))
    for stage in STAGES:
        timed(f"plan {stage}", lambda: command.plan(module(stage), run))  # noqa: B023 - called at once
        for unit in module(stage).units(run):
            scale_world.done_shards(run, stage, unit)
        timed(f"gather {stage}", lambda: command.gather(module(stage), run))  # noqa: B023
    timed("fresh", lambda: [unit.stale() for stage in STAGES for unit in module(stage).units(run)])
    return found


@pytest.mark.parametrize(
    "step",
    ["validate", *(f"{verb} {stage}" for stage in STAGES for verb in ("plan", "gather")), "fresh"],
)
def test_bookkeeping_is_not_quadratic(seconds: dict[str, float], step: str) -> None:
    assert seconds[step] < LIMIT


def test_a_job_reads_the_items_of_its_own_shards(tmp_path: Path) -> None:
    unit = Unit("u", "stage", tmp_path, 1, {})
    shards.plan(unit, [f"utt{n}" for n in range(10)], 4)
    (items,) = (tmp_path / "shards").glob("*.items")
    lines = items.read_text().splitlines(keepends=True)
    items.write_text("".join([*("x" * (len(line) - 1) + "\n" for line in lines[:8]), *lines[8:]]))
    done: list[list[str]] = []
    shards.run([(unit, 3)], lambda _unit, _number, utts: done.append(utts) or {}, "test")  # type: ignore
    assert done == [["utt8", "utt9"]]


def test_a_cut_list_of_items_is_said(tmp_path: Path) -> None:
    unit = Unit("u", "stage", tmp_path, 1, {})
    shards.plan(unit, ["a", "b", "c"], 2)
    (items,) = (tmp_path / "shards").glob("*.items")
    items.write_text("a\nb\n")
    with pytest.raises(InputError, match="a cut list"):
        shards.run([(unit, 2)], lambda *_: {}, "test")


def test_a_plan_of_an_older_version_is_made_anew(tmp_path: Path) -> None:
    unit = Unit("u", "stage", tmp_path, 1, {})
    (tmp_path / "shards" / unit.key() / "1").mkdir(parents=True)
    (tmp_path / "shards" / "plan.json").write_text(f'{{"key": "{unit.key()}", "shards": [["a"], ["b"]]}}')
    assert shards.plan(unit, ["a", "b"], 1) == [1, 2]


@pytest.mark.parametrize("trials", ["a1 a2 target\na1 b1 nontarget\n", "1 a1 a2\n0 a1 b1\n"])
def test_trials_of_both_formats_are_known_at_once(tmp_path: Path, trials: str) -> None:
    _set(tmp_path, trials)
    check(DataSet(tmp_path))


@pytest.mark.parametrize(
    ("trials", "said"),
    [
        ("a1 a2 target\na1 zz nontarget\n", "names zz"),
        ("a1 a2 target\nzz b1 nontarget\n", "names zz"),
        ("a1 a2 target\na1 b1 target\n", "only target"),
        ("1 a1 a2\n2 a1 b1\n", "neither target nor nontarget"),
        ("", "no trials"),
    ],
)
def test_what_is_wrong_with_trials_is_said_all_the_same(tmp_path: Path, trials: str, said: str) -> None:
    _set(tmp_path, trials)
    with pytest.raises(InputError, match=said):
        check(DataSet(tmp_path))


def _set(folder: Path, trials: str) -> None:
    (folder / "wav.scp").write_text("a1 a1.wav\na2 a2.wav\nb1 b1.wav\n")
    (folder / "utt2spk").write_text("a1 a\na2 a\nb1 b\n")
    (folder / "trials").write_text(trials)


@pytest.mark.long
def test_a_million_utterances(tmp_path: Path) -> None:
    figures = scale.simulate(tmp_path / "work", asdict(scale_world.Size()))
    slow = [figure for figure in figures if figure.cpu > 60 or figure.peak > 2000]
    assert not slow
    assert len(figures) == 30
