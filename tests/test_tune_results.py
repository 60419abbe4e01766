"""What a search leaves behind: the best model and its options, the page, what mattered."""

from __future__ import annotations

import os
import re
import signal
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

pytest.importorskip("optuna")

from pysteps.formats.run import Run
from pysteps.recipe.options import parse
from pysteps.recipe.resolve import resolve
from pysteps.recipe.tuned import best_words
from pysteps.train.phases import judged_by
from pysteps.tune import stage
from pysteps.tune import trial as trials
from pysteps.tune.results import importances, results
from tests.tuning import REPO, apart, search, seen, trains_in_memory, two, without_training


def test_only_the_best_model_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    trains_in_memory(monkeypatch)
    run = search(tmp_path, 3)
    run.options["train"]["epochs"] = 1
    stage.job(run, 1, 1)
    folder, best = trials.folder_of(run), results(run)["best"]
    models = sorted(path.parent.parent.name for path in folder.glob("trials/*/model/model.safetensors"))
    assert models == [str(best)] and not list(folder.glob("trials/*/checkpoints"))
    assert len(list(folder.glob("trials/*/curves.jsonl"))) == 3


@pytest.mark.parametrize("model", [False, True])
def test_a_finished_trial_keeps_no_checkpoints_in_any_place(tmp_path: Path, model: bool) -> None:
    for name in ("checkpoints", "checkpoints.before", "checkpoints.moving", "model"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "a").write_text("a")
    for name in (".train.done.json", "curves.jsonl"):
        (tmp_path / name).write_text("{}")
    trials.tidy(tmp_path, model)
    kept = [".train.done.json", "curves.jsonl", "model"] if model else ["curves.jsonl"]
    assert sorted(path.name for path in tmp_path.iterdir()) == kept


def test_the_best_conf_files_train_to_the_trials_bytes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trains_in_memory(monkeypatch)
    monkeypatch.chdir(REPO)
    run = search(tmp_path, 2)
    assert stage.plan(run) == 2
    stage.job(run, 1, 1)
    stage.gather(run)
    found = results(run)
    best = found["best"]
    run.save(tmp_path / "tune.json")
    words = best_words(REPO, Run.load(tmp_path / "tune.json"), found)
    assert not [word for word in words if "." in word and word.startswith("--")]  # nothing more is said
    again = resolve(REPO, parse(words))
    trial = trials.trial_run(run, best, found["trials"][best]["values"])
    assert (
        again.options["train"] == trial.options["train"]
        and again.options["models"] == trial.options["models"]
    )
    assert again.exp == run.exp.parent / f"{run.tag}_space"
    stage.train.do(again, stage.train.units(again)[0])
    for name in ("model.safetensors", "head.safetensors"):
        assert (again.exp / "model" / name).read_bytes() == (trial.exp / "model" / name).read_bytes()
    assert stage.units(run)[0].stale() is None  # and the search is done
    kept = yaml.safe_load((trials.folder_of(run) / "best" / "train.yaml").read_text())
    assert kept["lr"] == found["trials"][best]["values"]["train.lr"]


@pytest.mark.long
def test_killed_in_training_it_goes_on_from_the_checkpoint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trains_in_memory(monkeypatch)
    whole, broken = (search(folder, 2) for folder in two(tmp_path))
    stage.job(whole, 1, 1)

    def told_twice(line: Mapping[str, Any]) -> float | None:
        if line["epoch"] == 2 and (trials.folder_of(broken) / "trials" / "1").is_dir():
            os.kill(os.getpid(), signal.SIGKILL)
        return judged_by(line)

    with monkeypatch.context() as patch:
        patch.setattr(trials, "judged_by", told_twice)
        assert apart(lambda: stage.job(broken, 1, 1)) == -signal.SIGKILL
    assert len(trials.lines_of(trials.folder_of(broken) / "trials" / "1")) == 2
    stage.job(broken, 1, 1)
    assert seen(broken) == seen(whole)
    best = results(whole)["best"]
    name = f"trials/{best}/model/model.safetensors"
    assert (trials.folder_of(broken) / name).read_bytes() == (trials.folder_of(whole) / name).read_bytes()


def test_the_page_has_every_trial_and_picture(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    without_training(monkeypatch)
    run = search(tmp_path, 8, pruner="median", prune_trials=2)
    stage.plan(run)
    stage.job(run, 1, 1)
    stage.gather(run)
    found = results(run)
    states = {row["state"] for row in found["trials"]}
    assert states == {"finished", "ended early"}
    page = (trials.folder_of(run) / "report.html").read_text("utf-8")
    assert page.count("<tr") == 1 + 8
    alts = re.findall(r'alt="([^"]*)"', page)
    assert "the best epoch of each trial, in order" in alts and "parallel coordinates" in alts
    assert "learning rate, a line a trial" in alts and len(set(alts)) == len(alts)


def test_importance_finds_what_matters(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    without_training(monkeypatch)
    run = search(tmp_path, 16, sampler="random")
    stage.job(run, 1, 1)
    shares = importances(run, results(run))
    assert shares["train.lr"] > 0.8 and abs(sum(shares.values()) - 1) < 1e-6
