"""What watches a training: each service in a process of its own, which cannot stop or slow it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from importlib.util import find_spec
from pathlib import Path

import pytest

from pysteps.formats.errors import InputError
from pysteps.train import watch
from pysteps.train.curves import write_events
from pysteps.train.options import TrainOptions
from pysteps.train.watch import Watchers
from tests.pipeline import REPO

LINE = {"epoch": 1, "phase": "base", "loss": 2.5, "valid_loss": 3.0, "dev_eer": 7.0, "same_cosine": 0.5}
# A wandb that notes what it is asked for; the test says what it does when a run is to begin.
FAKE = """
import json, os, time
class errors:
    class Error(Exception): pass
def teardown(): pass
def Settings(**more): return more
def note(*what):
    with open(os.environ["NOTES"], "a") as notes: notes.write(json.dumps(what) + "\\n")
class Run:
    def log(self, values, step): note("log", values, step)
    def finish(self, exit_code): note("finish", exit_code)
def init(project, name, id, dir, config, settings, resume=None, mode=None):
    note("init", project, name, id, resume, mode, config)
    {begin}
    return Run()
"""


@pytest.fixture
def notes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """What the fake was asked for; ``fake`` writes it."""
    for name in [name for name in os.environ if name.startswith(("WANDB_", "CLEARML_"))]:
        monkeypatch.delenv(name)
    packages = tmp_path / "packages"
    packages.mkdir()
    monkeypatch.syspath_prepend(str(packages))
    monkeypatch.setenv("PYTHONPATH", f"{packages}{os.pathsep}{os.environ.get('PYTHONPATH', '')}")
    monkeypatch.setenv("NOTES", str(tmp_path / "notes"))
    monkeypatch.setattr(watch, "PATIENCE", 10.0)
    return tmp_path / "notes"


def fake(tmp_path: Path, begin: str = "pass") -> None:
    (tmp_path / "packages" / "wandb.py").write_text(FAKE.replace("{begin}", begin))


def told(notes: Path) -> list[list[object]]:
    return [json.loads(line) for line in notes.read_text().splitlines()]


def test_a_run_is_told_of_options_and_epochs_and_goes_on_as_the_same_run(
    tmp_path: Path, notes: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake(tmp_path)
    out = tmp_path / "a tag ö"
    out.mkdir()
    (out / "run.json").write_text(json.dumps({"options": {"train": {"lr": 0.1}}}))
    with Watchers(TrainOptions(wandb=True), out) as watchers:
        watchers.epoch(LINE)
    monkeypatch.setenv("WANDB_PROJECT", "mine")
    again = Watchers(TrainOptions(wandb=True), out)
    again.close(ended=False)
    begun, first, ended, gone_on, stopped = told(notes)
    assert begun[:3] == ["init", "timbre", out.name] and begun[4:] == ["allow", None, {"train": {"lr": 0.1}}]
    assert first == ["log", {f"train/{key}": LINE[key] for key in list(LINE)[2:]}, 1]
    assert (ended, stopped) == (["finish", 0], ["finish", 1])
    assert gone_on[:4] == ["init", "mine", out.name, begun[3]]


def test_a_training_that_is_killed_leaves_no_process_behind(tmp_path: Path, notes: Path) -> None:
    fake(tmp_path)
    script = (
        "import os, sys; from pathlib import Path\n"
        "from pysteps.train.options import TrainOptions; from pysteps.train.watch import Watchers\n"
        f"Watchers(TrainOptions(wandb=True), Path(sys.argv[1])).epoch({LINE})\n"
        "os.kill(os.getpid(), 9)"
    )
    # The service's process has the log open as long as it is there, and run() reads the log to its end.
    command = [sys.executable, "-c", script, tmp_path]
    ended = subprocess.run(command, stderr=subprocess.PIPE, cwd=REPO, timeout=60)
    assert ended.returncode == -signal.SIGKILL
    assert [what for what, *_ in told(notes)] == ["init", "log", "finish"]
    assert told(notes)[-1] == ["finish", 1]


@pytest.mark.parametrize("begin", ["time.sleep(60)", "Run.finish = lambda self, exit_code: time.sleep(60)"])
def test_a_service_that_hangs_holds_nobody_up(
    tmp_path: Path,
    notes: Path,
    begin: str,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    fake(tmp_path, begin)
    monkeypatch.setattr(watch, "PATIENCE", 1.0)
    start = time.monotonic()
    watchers = Watchers(TrainOptions(wandb=True), tmp_path)
    for epoch in range(2000):
        watchers.epoch({**LINE, "epoch": epoch})
    assert time.monotonic() - start < 1
    watchers.close()
    assert time.monotonic() - start < 7
    assert "train: wandb: not done 1 s after training: left" in capfd.readouterr().err


def test_what_a_service_throws_is_a_line_in_the_log(
    tmp_path: Path, notes: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    fake(tmp_path, "raise OSError('no\\n  room')")
    watchers = Watchers(TrainOptions(wandb=True), tmp_path)
    watchers._services[0]._process.wait(10)
    watchers.epoch(LINE)
    watchers.close()
    assert capfd.readouterr().err == "train: wandb: no room; training goes on without it\n"


def test_a_run_that_wandb_cannot_begin_is_kept_on_the_disk(
    tmp_path: Path, notes: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    fake(tmp_path, "if mode is None: raise errors.Error('no API key.')")
    with Watchers(TrainOptions(wandb=True), tmp_path) as watchers:
        watchers.epoch(LINE)
    (_, *_, refused, _), (_, *_, kept, _), log, _ = told(notes)
    assert (refused, kept, log[0]) == (None, "offline", "log")
    assert "wandb: no API key; kept in" in capfd.readouterr().err


@pytest.mark.parametrize("name", ["wandb", "clearml"])
def test_a_missing_package_is_refused_before_training_begins(
    tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / name).mkdir()  # a folder is no package
    monkeypatch.setattr(sys, "path", [str(tmp_path)])
    monkeypatch.delitem(sys.modules, name, raising=False)
    with pytest.raises(InputError, match=f"{name} is not installed.*pip install -r requirements/{name}.txt"):
        Watchers(TrainOptions(**{name: True}), tmp_path)  # type: ignore[arg-type]


def test_a_dry_run_says_so_too(monkeypatch: pytest.MonkeyPatch) -> None:
    from pysteps.recipe import plan
    from pysteps.recipe.options import parse
    from pysteps.recipe.resolve import resolve

    monkeypatch.setitem(sys.modules, "wandb", None)  # not installed
    run = resolve(REPO, parse(["--recipe", "folder", "--train.wandb", "true"]))
    with pytest.raises(InputError, match="requirements/wandb.txt, or --train.wandb false"):
        plan.refuse_unbuildable(run)


def test_nobody_watches_unless_asked(tmp_path: Path) -> None:
    with Watchers(TrainOptions(), tmp_path) as watchers:
        watchers.epoch(LINE)
    assert list(tmp_path.iterdir()) == []


def test_tensorboard_has_the_numbers_of_an_epoch_and_no_words(tmp_path: Path) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    write_events(LINE, tmp_path)
    found = EventAccumulator(str(tmp_path)).Reload().Tags()["scalars"]
    assert sorted(found) == sorted(f"train/{key}" for key in LINE if key not in ("epoch", "phase"))


def test_wandb_keeps_an_offline_run_below_the_model(
    tmp_path: Path, notes: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("wandb", reason="pip install -r requirements/wandb.txt")
    for name, value in {"WANDB_MODE": "offline", "HOME": str(tmp_path / "home")}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(watch, "PATIENCE", 60.0)
    out = tmp_path / "tag"
    with Watchers(TrainOptions(wandb=True), out) as watchers:
        watchers.epoch({**LINE, "epoch": 7})
    kept = (out / "checkpoints" / "wandb.id").read_text().strip()
    (events,) = (out / "wandb").glob(f"offline-run-*-{kept}/run-{kept}.wandb")
    content = events.read_bytes()
    assert b"timbre" in content and b"train/dev_eer" in content and b"train/same_cosine" in content


def test_clearml_keeps_an_offline_task_below_the_model(
    tmp_path: Path, notes: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if find_spec("clearml") is None:
        pytest.skip("pip install -r requirements/clearml.txt")
    quick = "sdk { development { report_use_subprocess: false, worker { report_period_sec: 1 } } }\n"
    (tmp_path / "clearml.conf").write_text(quick)
    more = {"CLEARML_OFFLINE_MODE": "1", "CLEARML_CONFIG_FILE": str(tmp_path / "clearml.conf")}
    for name, value in {**more, "HOME": str(tmp_path / "home")}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(watch, "PATIENCE", 60.0)
    out = tmp_path / "tag"
    with Watchers(TrainOptions(clearml=True), out) as watchers:
        watchers.epoch({**LINE, "epoch": 7})
    (metrics,) = (out / "clearml" / "offline").glob("*/metrics.jsonl")
    found = [event for line in metrics.read_text().splitlines() for event in json.loads(line)]
    values = {(event["metric"], event["variant"]): (event["iter"], event["value"]) for event in found}
    assert values[("loss", "held out")] == (7, 3.0) and values[("dev_eer", "dev_eer")] == (7, 7.0)
    assert len(values) == 4 and json.loads((metrics.parent / "task.json").read_text())["name"] == "tag"
