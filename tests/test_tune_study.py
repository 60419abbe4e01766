"""Searches of trainings in memory: killed and continued, ended early, side by side, the best one again."""

from __future__ import annotations

import signal
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("optuna")

import torch

from pysteps.formats.errors import InputError
from pysteps.formats.run import Run
from pysteps.formats.stamps import Unit
from pysteps.train import stage as train
from pysteps.tune import stage, study
from pysteps.tune import trial as trials
from pysteps.tune.results import results, table
from pysteps.tune.values import recipe_values
from tests.tuning import apart, search, seen, trains_in_memory, two, without_training


def test_what_the_space_does_not_hold_is_drawn(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    without_training(monkeypatch)
    run = search(tmp_path, 1, **{"train.lr": {"float": [0.001, 0.01]}})
    stage.job(run, 1, 1)
    assert 0.001 <= results(run)["trials"][0]["values"]["train.lr"] <= 0.01


def test_a_grid_is_gone_through_in_order_and_ends(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    without_training(monkeypatch)
    both = {"train.lr": {"choice": [0.02, 0.01]}, "train.epochs": {"int": [1, 3]}}
    run = search(tmp_path, 99, sampler="grid", **{"models.xvector_dim": None}, **both)
    assert stage.plan(run) == 6
    stage.job(run, 1, 1)
    found = [tuple(row["values"].values()) for row in results(run)["trials"]]
    assert found == [(0.02, 1), (0.02, 2), (0.02, 3), (0.01, 1), (0.01, 2), (0.01, 3)]
    assert results(run)["best"] == 2 and stage.plan(run) == 0


def test_tpe_comes_nearer_than_it_began(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    without_training(monkeypatch)
    run = search(tmp_path, 40, startup=8, first="drawn", **{"train.lr": {"float": [1e-6, 1], "log": True}})
    stage.job(run, 1, 1)
    values = [row["value"] for row in results(run)["trials"]]
    assert np.median(values[-12:]) < 0.6 * np.median(values[:8])


@pytest.mark.parametrize(
    ("pruner", "moment"),
    [
        ("none", (1, 2, "before")),
        ("none", (3, 3, "before")),
        ("none", (0, 3, "after")),
        ("halving", (1, 2, "after")),
        ("halving", (2, 1, "after")),  # it was decided that it ends, and not yet written
        ("halving", (3, 2, "before")),
    ],
)
def test_killed_and_started_again_it_ends_in_the_same_table(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, moment: tuple, pruner: str
) -> None:
    whole, broken = (search(folder, 5, pruner=pruner, factor=2) for folder in two(tmp_path))
    without_training(monkeypatch)
    stage.job(whole, 1, 1)
    expected = seen(whole)
    without_training(monkeypatch, kill=moment)
    assert apart(lambda: stage.job(broken, 1, 1)) == -signal.SIGKILL
    assert stage.plan(broken) == 5 - moment[0]
    done = without_training(monkeypatch)
    stage.job(broken, 1, 1)
    assert seen(broken) == expected
    again = [epoch for number, epoch in done if number == moment[0]]
    assert all(epoch > moment[1] for epoch in again)  # it went on from where it was


def test_more_trials_go_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    without_training(monkeypatch)
    stage.job(search(tmp_path, 3), 1, 1)
    more = search(tmp_path, 6)
    assert stage.plan(more) == 3
    stage.job(more, 1, 1)
    (tmp_path / "whole").mkdir()
    whole = search(tmp_path / "whole", 6)
    stage.job(whole, 1, 1)
    assert seen(more) == seen(whole)


@pytest.mark.parametrize("pruner", ["median", "halving"])
def test_a_terrible_trial_is_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, pruner: str) -> None:
    # One choice is a thousand times worse than the others; the grid comes to it last.
    done = without_training(monkeypatch, lambda lr, epoch: 1000.0 if lr == 0.001 else lr + 1 / epoch)
    space = {"train.lr": {"choice": [0.01, 0.02, 0.03, 0.04, 0.001]}, "models.xvector_dim": None}
    run = search(tmp_path, 5, sampler="grid", pruner=pruner, prune_trials=3, prune_epoch=2, factor=5, **space)
    stage.job(run, 1, 1)
    rows = results(run)["trials"]
    assert (rows[4]["state"], rows[4]["epochs"], rows[4]["value"]) == ("ended early", 2, 1000.0)
    assert [epoch for number, epoch in done if number == 4] == [1, 2]
    assert rows[0]["state"] == "finished" and results(run)["best"] == 0


def test_a_trial_is_not_ended_at_its_last_epoch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    without_training(monkeypatch, lambda lr, epoch: lr)
    space = {"train.lr": {"choice": [0.01, 0.02, 0.03, 0.04]}, "models.xvector_dim": None}
    run = search(tmp_path, 4, sampler="grid", pruner="halving", prune_epoch=3, **space)
    stage.job(run, 1, 1)
    assert {row["state"] for row in results(run)["trials"]} == {"finished"}


def test_what_cannot_be_trained_fails_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def value(lr: float, epoch: int) -> float:
        if lr == 0.02:
            raise InputError("the loss is not finite")
        return lr

    without_training(monkeypatch, value)
    space = {"train.lr": {"choice": [0.01, 0.02, 0.03]}, "models.xvector_dim": None}
    run = search(tmp_path, 3, sampler="grid", **space)
    stage.job(run, 1, 1)
    rows = results(run)["trials"]
    assert [row["state"] for row in rows] == ["finished", "failed", "finished"]
    assert rows[1]["why"] == "the loss is not finite" and rows[1]["value"] is None
    assert "1 failed" in table(results(run))


def test_a_network_too_large_for_the_memory_fails_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def do(run: Run, unit: Unit, after_epoch: object = None) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 9 GiB\nsee the manual")

    trains_in_memory(monkeypatch)
    monkeypatch.setattr(train, "do", do)
    run = search(tmp_path, 2)
    stage.job(run, 1, 1)
    (first, second) = study.open_study(trials.folder_of(run), stage.options_of(run)).trials
    assert first.state.name == second.state.name == "FAIL"
    assert "out of memory: CUDA out of memory. Tried to allocate 9 GiB (" in first.user_attrs["why"]


def test_when_all_fail_it_gives_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def value(lr: float, epoch: int) -> float:
        raise InputError("no egs at all")

    without_training(monkeypatch, value)
    run = search(tmp_path, 50)
    with pytest.raises(InputError, match="the first 3 trials have failed, the last of: no egs at all"):
        stage.job(run, 1, 1)


def test_another_space_is_not_mixed_with_the_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    without_training(monkeypatch)
    stage.plan(search(tmp_path, 2))
    with pytest.raises(InputError, match=r"of another search: space\.train\.lr\.float"):
        stage.plan(search(tmp_path, 2, **{"train.lr": {"float": [0.001, 0.3], "log": True}}))
    other = search(tmp_path, 2)
    other.options["train"]["batch_size"] = 24
    with pytest.raises(InputError, match=r"of another search: batch_size: 12 -> 24"):
        stage.plan(other)
    assert stage.plan(search(tmp_path, 9, pruner="median")) == 9  # how it is searched may change


def test_a_grid_leaves_out_no_point(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    without_training(monkeypatch)
    space = {"train.lr": {"choice": [0.01, 0.02, 0.03]}, "models.xvector_dim": {"choice": [4, 8]}}
    run = search(tmp_path, 2, sampler="grid", **space)
    assert stage.plan(run) == 2
    stage.job(run, 1, 1)
    assert stage.plan(search(tmp_path, 9, sampler="grid", **space)) == 4
    stage.job(search(tmp_path, 3, sampler="random", **space), 1, 1)  # a third one that is not the grid's
    drawn = study.open_study(trials.folder_of(run), stage.options_of(run)).trials[2].params
    assert drawn != {"train.lr": 0.02, "models.xvector_dim": 4}
    with pytest.raises(InputError, match="trial 2 there is not of this grid"):
        stage.plan(search(tmp_path, 9, sampler="grid", **space))


def test_two_workers_share_a_study(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    without_training(monkeypatch)
    run = search(tmp_path, 12)
    stage.plan(run)
    workers = [get_context("fork").Process(target=stage.job, args=(run, n, 2)) for n in (1, 2)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(120)
        assert worker.exitcode == 0
    rows = results(run)["trials"]
    assert [row["number"] for row in rows] == list(range(12))
    assert {row["state"] for row in rows} == {"finished"}
    assert len({row["values"]["train.lr"] for row in rows}) == 12


def test_of_fewer_workers_each_takes_on_what_others_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    without_training(monkeypatch)
    run = search(tmp_path, 3)
    folder, options = trials.folder_of(run), stage.options_of(run)
    found, own = study.open_study(folder, options), recipe_values(run.options, stage.options_of(run).space())
    taken = [study.take(found, folder, options, own, 3, job).number for job in (1, 2, 3)]  # type: ignore[union-attr]
    assert taken == [0, 1, 2]
    study.reclaim(found, folder, 2, 2)  # of two workers now, the second had one of these three
    assert [one.number for one in found.trials if one.state.name == "WAITING"] == [1]
    study.reclaim(found, folder, 1, 2)
    assert [one.number for one in found.trials if one.state.name == "WAITING"] == [0, 1, 2]


def test_a_half_written_last_line_is_cut_off(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    without_training(monkeypatch)
    stage.job(search(tmp_path, 2), 1, 1)
    run = search(tmp_path, 3)
    journal = trials.folder_of(run) / study.JOURNAL
    before = journal.read_bytes()
    journal.write_bytes(before + b'{"op_code":4,"worker')
    assert stage.plan(run) == 1
    assert journal.read_bytes().startswith(before)
    stage.job(run, 1, 1)
    assert len(results(run)["trials"]) == 3


@pytest.mark.parametrize(
    ("raised", "says"),
    [
        ("mat1 and mat2 shapes cannot be multiplied\nand more", "torch says: mat1 and mat2 shapes cannot"),
        ("DefaultCPUAllocator: can't allocate memory: you tried", "out of memory: .*Allocator"),
    ],
)
def test_what_torch_cannot_do_is_a_trial_that_failed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, raised: str, says: str
) -> None:
    trains_in_memory(monkeypatch)
    run = search(tmp_path, 9)

    def do(*_: object, **__: object) -> None:
        raise RuntimeError(raised)

    monkeypatch.setattr(train, "do", do)
    with pytest.raises(InputError, match=f"the first 3 trials have failed, the last of: {says}"):
        stage.job(run, 1, 1)
    found = study.open_study(trials.folder_of(run), stage.options_of(run))
    assert [one.state.name for one in found.trials] == ["FAIL"] * 3
