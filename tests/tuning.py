"""A search whose trainings are those of test_train_loop: in memory, of a second."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from pysteps.formats.run import Run
from pysteps.formats.stamps import Unit
from pysteps.models.options import ModelOptions
from pysteps.recipe.options import parse
from pysteps.recipe.resolve import resolve
from pysteps.recipe.tuned import searched
from pysteps.train import stage as train
from pysteps.train.loop import run_training
from pysteps.train.options import TrainOptions
from pysteps.tune import stage
from pysteps.tune import trial as trials
from pysteps.tune.results import results
from tests.test_train_loop import CONTRACT, Dev, Egs

Told = Callable[[int, float, bool], bool]
REPO = Path(__file__).resolve().parent.parent
TINY = {
    "models.network": '{"channels": 16, "frame_channels": 16, "scale": 4, "se_channels": 4}',
    "models.pool": '{"attention_channels": 4}',
    "models.xvector_dim": "8",
    "train.epochs": "3",
    "train.batch_size": "12",
    "train.lr": "0.08",
    "train.warmup_epochs": "0.5",
    "train.margin_start_epoch": "1",
    "train.margin_end_epoch": "2",
    "train.average": "2",
    "train.threads": "1",
    "train.checkpoint_steps": "3",
}
SPACE: dict[str, Any] = {
    "sampler": "tpe",
    "startup": 2,
    "pruner": "none",
    "train.lr": {"float": [0.001, 0.2], "log": True},
    "models.xvector_dim": {"choice": [4, 8]},
}


def search(folder: Path, trials: int, *words: str, **space: Any) -> Run:
    """The search in ``folder``; ``space``: what is other than in SPACE, None for what is not in it."""
    content = {key: value for key, value in {**SPACE, **space}.items() if value is not None}
    path = folder / "space.yaml"
    path.write_text(yaml.safe_dump(content, sort_keys=False))
    line = ["--recipe", "folder", "--work", str(folder / "work"), "--stage", "tune", "--space", str(path)]
    line += ["--trials", str(trials), *words]
    for key, value in TINY.items():
        line += [f"--{key}", value]
    chosen = parse(line)
    return searched(resolve(REPO, chosen), chosen)


def trains_in_memory(monkeypatch: pytest.MonkeyPatch, egs: Egs | None = None) -> None:
    """Stage train without files: the egs and the development set of test_train_loop."""

    def units(run: Run) -> list[Unit]:
        options = {**run.options["train"], "models": run.options["models"]}
        return [Unit(run.tag, "train", run.exp, 1, options)]

    def do(run: Run, unit: Unit, after_epoch: Callable | None = None) -> None:
        options, models = TrainOptions(**run.options["train"]), ModelOptions(**run.options["models"])
        run_training(options, models, egs or Egs(), Dev(), run.exp, CONTRACT, after_epoch=after_epoch)

    monkeypatch.setattr(train, "units", units)
    monkeypatch.setattr(train, "do", do)


def seen(run: Run) -> list[tuple]:
    """What decides of every trial: all but its seconds."""
    kept = ("number", "state", "value", "epochs", "values", "why")
    return [tuple(str(row[key]) for key in kept) for row in results(run)["trials"]]


def surface(lr: float, epoch: int) -> float:
    """An error with its least at a rate of 0.02, that falls with the epochs."""
    return abs(np.log10(lr / 0.02)) + 1.0 / epoch


def without_training(
    monkeypatch: pytest.MonkeyPatch, value: Callable = surface, kill: Any = None
) -> list[tuple]:
    """Trials that say ``value(lr, epoch)`` and keep their epochs in a file as trainings do; (trial, epoch) of
    what they did. ``kill``: (trial, epoch, when) of a SIGKILL, before or after the study has heard."""
    trains_in_memory(monkeypatch)
    done: list[tuple] = []

    def run_trial(run: Run, told: Told) -> float:
        number, lr = int(run.tag.rpartition("/")[2]), run.options["train"]["lr"]
        run.save(run.exp / "run.json")
        path, epochs = run.exp / "curves.jsonl", TrainOptions(**run.options["train"]).epochs
        lines = trials.lines_of(run.exp)
        for line in lines:
            if told(line["epoch"], line["dev_eer"], line["epoch"] == epochs):
                raise trials.Pruned
        for epoch in range(len(lines) + 1, epochs + 1):
            done.append((number, epoch))
            lines.append({"epoch": epoch, "dev_eer": value(lr, epoch), "lr": lr, "seconds": 1.0})
            path.write_text("".join(json.dumps(line) + "\n" for line in lines))
            if kill == (number, epoch, "before"):
                os.kill(os.getpid(), signal.SIGKILL)
            enough = told(epoch, lines[-1]["dev_eer"], epoch == epochs)
            if kill == (number, epoch, "after"):
                os.kill(os.getpid(), signal.SIGKILL)
            if enough:
                raise trials.Pruned
        return trials.value_of(lines)

    monkeypatch.setattr(stage, "run_trial", run_trial)
    return done


def two(folder: Path) -> list[Path]:
    """Two folders in it."""
    found = [folder / "a", folder / "b"]
    for one in found:
        one.mkdir()
    return found


def apart(work: Callable[[], None]) -> int:
    """``work`` in a process of its own; how that ended."""
    process = get_context("fork").Process(target=work)
    process.start()
    process.join(120)
    return process.exitcode  # type: ignore[return-value]
