"""Launchers whose queue refuses, does not answer or holds tasks back, and what killed ones left in it."""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
from importlib.machinery import SourceFileLoader
from importlib.util import module_from_spec, spec_from_loader
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest

from tests import stand_in_grid, stand_in_slurm
from tests.slurm import Launcher, wait_for, work_folder


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """Where the stand-in keeps its jobs."""
    return tmp_path / "slurm"


@pytest.fixture
def environment(place: Path) -> dict[str, str]:
    path = os.pathsep.join([str(stand_in_slurm.install(place)), os.environ["PATH"]])
    clean = {name: value for name, value in os.environ.items() if not name.startswith("TIMBRE_")}
    return {**clean, "PATH": path, "SLURM_STAND_IN": str(place)}


@pytest.fixture
def launch(tmp_path: Path, environment: dict[str, str]) -> Launcher:
    return Launcher(work_folder(tmp_path), environment)


def end(launch: Launcher, name: str, index: int, code: int) -> None:
    """One task's exit code, as task.py writes it."""
    (folder,) = (launch.work / "log" / ".slurm" / name).iterdir()
    (folder / "part").write_text(f"{code}\n")
    (folder / "part").rename(folder / f"{index}.exit")


def queued(place: Path) -> list[str]:
    """The names of what waits or runs; a job may end while we look."""
    found = []
    for file in place.glob("jobs/*"):
        with contextlib.suppress(FileNotFoundError):
            found.append(json.loads(file.read_text())["name"].partition(".")[0])
    return sorted(found)


def module(repo: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> ModuleType:
    """A launcher's module; ``slurm`` is a program without an ending."""
    monkeypatch.syspath_prepend(str(repo / "steps" / "cmd"))
    if name != "slurm":
        return importlib.import_module(name)
    loader = SourceFileLoader("steps_cmd_slurm", str(repo / "steps" / "cmd" / "slurm"))
    found = module_from_spec(spec_from_loader(loader.name, loader))
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    loader.exec_module(found)
    return found


def test_when_a_second_try_is_refused_the_other_tasks_are_cancelled(launch: Launcher, place: Path) -> None:
    process = launch.start("JOB=1:2", "log/a.JOB.log", "true")
    wait_for(lambda: queued(place) == ["a"])
    (place / "refuse").write_text("QOSMaxSubmitJobPerUserLimit")
    end(launch, "a", 0, 1)
    said = process.communicate(timeout=30)[1]
    assert process.returncode == 1 and "QOSMaxSubmitJobPerUserLimit" in said
    assert queued(place) == []


def test_an_array_whose_answer_was_lost_is_not_submitted_twice(launch: Launcher, place: Path) -> None:
    (place / "swallow").write_text("1")
    (place / "deaf").write_text("1")
    process = launch.start("JOB=1:1", "log/a.JOB.log", "true")
    wait_for(lambda: (place / "deaf").read_text() == "0")
    time.sleep(0.5)
    end(launch, "a", 0, 0)
    said = process.communicate(timeout=30)[1]
    assert process.returncode == 0, said
    assert len(list(place.glob("submitted.*"))) == 1


def test_ctrl_c_cancels_an_array_without_a_number(launch: Launcher, place: Path) -> None:
    (place / "swallow").write_text("1")
    process = launch.start("JOB=1:2", "log/a.JOB.log", "true")
    wait_for(lambda: (place / "swallow").read_text() == "0")
    process.send_signal(signal.SIGINT)
    said = process.communicate(timeout=30)[1]
    assert process.returncode == 130, said
    assert queued(place) == []


def test_a_signal_is_heard_while_the_controller_is_away(
    launch: Launcher, place: Path, repo: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (place / "down").touch()
    for name in ("PATH", "SLURM_STAND_IN"):
        monkeypatch.setenv(name, launch.environment[name])
    arrays = module(repo, monkeypatch, "arrays")
    contract, follow = (importlib.import_module(name) for name in ("contract", "follow"))
    events = SimpleNamespace(signal=None, wait=lambda seconds: time.sleep(min(seconds, 0.05)))
    request = contract.parse([str(launch.work / "log" / "a.log"), "true"])
    queue = arrays.Queue(request, {}, events)
    monkeypatch.setattr(queue, "cancel", lambda: False)
    threading.Timer(1.0, lambda: setattr(events, "signal", 2)).start()
    began = time.monotonic()
    fan = follow.Fan(request, queue, {})
    assert follow.lead(lambda: queue.submit([1]), fan, events, 1.0) == 130
    assert time.monotonic() - began < 4


def test_a_signal_counts_before_a_parent_that_is_gone(
    launch: Launcher, repo: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SIGTERM to the whole group may end the step first."""
    follow = module(repo, monkeypatch, "follow")
    contract = importlib.import_module("contract")
    request = contract.parse([str(launch.work / "a.log"), "true"])
    cancelled = []
    queue = SimpleNamespace(launcher="slurm", arrays=[1], cancel=lambda: cancelled.append(1) or True)
    events = SimpleNamespace(signal=signal.SIGTERM, orphaned=lambda: True)
    assert follow.lead(lambda: None, follow.Fan(request, queue, {}), events, 1.0) == 143
    assert cancelled


def test_the_smaller_of_two_widths_counts(launch: Launcher, place: Path) -> None:
    site = launch.work / "site.yaml"
    widths = {}
    for own, of_site in ((7, 3), (2, 3), (7, None)):
        site.write_text("poll: 1\n" + (f"max_jobs_run: {of_site}\n" if of_site else ""))
        (place / "refuse").unlink(missing_ok=True)
        process = launch.start("--max-jobs-run", own, "JOB=1:9", "log/a.JOB.log", "true")
        wait_for(lambda: queued(place))
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=30)
        newest = max(place.glob("submitted.*"), key=lambda path: int(path.suffix[1:]))
        widths[own, of_site] = stand_in_slurm.value(json.loads(newest.read_text()), "--array")
    assert widths == {(7, 3): "0-8%3", (2, 3): "0-8%2", (7, None): "0-8%7"}


@pytest.mark.parametrize(("line", "said"), [("max_jobs_run: abc", "abc"), ("width: 2", "width")])
def test_a_setting_of_this_machine_that_cannot_be_is_refused(
    repo: Path, tmp_path: Path, line: str, said: str
) -> None:
    (tmp_path / "site.yaml").write_text(line + "\n")
    words = [str(repo / "steps" / "cmd" / "local"), "--conf", str(tmp_path / "site.yaml")]
    done = subprocess.run([*words, str(tmp_path / "a.log"), "true"], capture_output=True, text=True)
    assert done.returncode == 1 and said in done.stderr and "Traceback" not in done.stderr


def test_this_machines_width_holds_for_a_fan_out_too(repo: Path, tmp_path: Path) -> None:
    (tmp_path / "site.yaml").write_text("max_jobs_run: 1\n")
    line = [
        str(repo / "steps" / "cmd" / "local"),
        "--conf",
        str(tmp_path / "site.yaml"),
        "--max-jobs-run",
        "3",
    ]
    script = 'touch "$0/on.JOB"; ls "$0" | grep -c ^on; sleep 0.2; rm "$0/on.JOB"'
    job = ["JOB=1:3", str(tmp_path / "n.JOB.log"), "bash", "-c", script, str(tmp_path)]
    assert subprocess.run([*line, *job]).returncode == 0
    assert {(tmp_path / f"n.{n}.log").read_text().splitlines()[4] for n in (1, 2, 3)} == {"1"}


def leave(launch: Launcher, folder: Path, name: str) -> None:
    """What a killed launcher leaves: an array in the queue and its record below ``folder``."""
    before = len(list(Path(launch.environment["SLURM_STAND_IN"]).glob("jobs/*")))
    process = launch.start("JOB=1:2", folder / f"{name}.JOB.log", "true")
    wait_for(lambda: len(list(Path(launch.environment["SLURM_STAND_IN"]).glob("jobs/*"))) > before)
    wait_for(
        lambda: '"1"' in (text := (folder / ".slurm" / f"{name}.json").read_text()) or ", null]" not in text
    )
    process.kill()
    process.communicate()


def left(repo: Path, launch: Launcher, *words: object) -> subprocess.CompletedProcess[str]:
    line = [sys.executable, "-S", str(repo / "steps" / "cmd" / "left.py"), *map(str, words)]
    return subprocess.run(line, env=launch.environment, capture_output=True, text=True, timeout=60)


def test_what_killed_runs_left_is_cancelled_whatever_its_tag(
    launch: Launcher, place: Path, repo: Path, tmp_path: Path
) -> None:
    work = launch.work
    for tag, name in (("a b", "audio"), ("a b", "train"), ("é", "features")):
        leave(launch, work / "exp" / tag / "log", name)
    assert queued(place) == ["audio", "features", "train"]
    done = left(repo, launch, work, work / "exp" / "a b" / "log" / ".slurm" / "audio")
    assert done.returncode == 0, done.stderr
    assert queued(place) == ["audio"], "it may go on"
    assert left(repo, launch, work, "").returncode == 0
    assert queued(place) == [] and not list(work.glob("exp/*/log/.slurm/*"))


def test_what_a_killed_run_left_on_grid_engine_is_deleted(
    launch: Launcher, repo: Path, tmp_path: Path
) -> None:
    path = stand_in_grid.install(tmp_path / "grid")
    launch.environment |= {"GRID": str(tmp_path / "grid"), "PATH": f"{path}:{launch.environment['PATH']}"}
    launch.line = [str(repo / "steps" / "cmd" / "sge"), "--conf", str(launch.work / "site.yaml")]
    (launch.work / "site.yaml").write_text("poll: 1\n")
    process = launch.start("JOB=1:2", launch.work / "exp/t/log/vad.JOB.log", "sleep", "60")
    wait_for(lambda: len(list(tmp_path.glob("grid/jobs/*/*.pid"))) == 2)
    process.kill()
    process.communicate()
    done = left(repo, launch, launch.work, "")
    assert done.returncode == 0 and "deleting an earlier run's vad." in done.stderr
    assert not list(tmp_path.glob("grid/jobs/*/*.state"))


def test_nothing_begins_where_the_queue_cannot_be_asked(launch: Launcher, place: Path, repo: Path) -> None:
    leave(launch, launch.work / "exp" / "t" / "log", "audio")
    launch.environment["PATH"] = "/usr/bin:/bin" if not Path("/usr/bin/squeue").exists() else "/nowhere"
    done = left(repo, launch, launch.work, "")
    assert done.returncode == 1 and "there is no s" in done.stderr and "audio.json" in done.stderr
    assert queued(place) == ["audio"]


def test_run_sh_cancels_what_a_killed_run_left_before_it_begins(
    launch: Launcher, place: Path, repo: Path
) -> None:
    work = launch.work
    leave(launch, work / "exp" / "old" / "log", "audio")
    words = [
        "--recipe",
        "mini",
        "--work",
        str(work),
        "--stage",
        "score",
        "--stop-stage",
        "score",
        "--ngpu",
        "0",
    ]
    line = [str(repo / "run.sh"), *words]
    environment = {**launch.environment, "PYTHON": sys.executable}
    done = subprocess.run(line, env=environment, capture_output=True, text=True, timeout=120)
    assert done.returncode != 0, "there is nothing to score"
    assert "array 1 is still queued or running: cancelling it" in done.stderr
    assert queued(place) == []


def test_a_count_of_gpus_by_the_login_node_is_said_to_be_one(repo: Path, tmp_path: Path) -> None:
    words = [
        "--recipe",
        "mini",
        "--work",
        str(tmp_path),
        "--stop-stage",
        "prepare",
        "--cmd",
        "slurm",
        "--dry-run",
    ]
    line = [sys.executable, "-m", "pysteps.recipe", *words]
    said = subprocess.run(line, cwd=repo, capture_output=True, text=True, timeout=120).stderr
    assert "--ngpu auto looks at this machine" in said and "--ngpu N" in said


class Stub(SimpleNamespace):
    """A queue with one array, whose words the test sets."""

    launcher = "slurm"

    def verdict(self, task: object) -> str:
        return self.said

    def words(self, task: object) -> str:
        return self.wrote

    def submit(self, jobs: list[int]) -> None:
        self.submitted.append(jobs)

    def cancel(self, task: object = None) -> bool:
        self.cancelled.append(task)
        return True


@pytest.fixture
def fan(repo: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """A fan-out of one job with one retry, its queue and its task."""
    slurm = module(repo, monkeypatch, "slurm")
    request = importlib.import_module("contract").parse(["--mem", "4", str(tmp_path / "train.log"), "true"])
    queue = Stub(said="", wrote="", submitted=[], cancelled=[], arrays=[])
    task = importlib.import_module("arrays").Task("train.1", 0, 1)
    return SimpleNamespace(
        fan=slurm.SlurmFan(request, queue, {"retries": "1"}), queue=queue, task=task, slurm=slurm
    )


def test_a_preempted_task_is_tried_again_twenty_times_and_then_as_often_as_others(
    fan: SimpleNamespace,
) -> None:
    fan.queue.said = "PREEMPTED"
    for _ in range(20):
        assert fan.fan.give_up([(fan.task, 143)]) is None
    assert fan.fan.failures == {}
    assert fan.fan.give_up([(fan.task, 143)]) is None, "the first that counts"
    assert fan.fan.give_up([(fan.task, 143)]) == (fan.task, 143, "PREEMPTED")
    assert len(fan.queue.submitted) == 21


@pytest.mark.parametrize("said", ["NODE_FAIL", "BOOT_FAIL"])
def test_a_lost_node_costs_no_try(fan: SimpleNamespace, said: str) -> None:
    fan.queue.said = said
    assert fan.fan.give_up([(fan.task, 137)]) is None and fan.fan.failures == {}
    fan.queue.said = "TIMEOUT"
    assert fan.fan.give_up([(fan.task, 137)]) is None and fan.fan.failures == {1: 1}


def test_want_of_memory_is_not_tried_again_and_says_what_to_change(fan: SimpleNamespace) -> None:
    fan.queue.said = "OUT_OF_MEMORY"
    assert fan.fan.give_up([(fan.task, 137)]) == (fan.task, 137, "OUT_OF_MEMORY")
    assert fan.queue.submitted == []
    said = fan.fan.explain(fan.task, "OUT_OF_MEMORY")
    assert said.startswith(
        "; out of memory, asked for: 4096 MB. More: in conf/cluster/slurm.yaml below 'mem:'"
    )
    assert said.endswith("a line 'train: GIGABYTES'")
    fan.queue.wrote = "out of memory: 5000 MB used"
    assert "; out of memory: 5000 MB used, asked for: 4096 MB" in fan.fan.explain(fan.task, "")
    fan.queue.wrote = ""
    assert fan.fan.explain(fan.task, "TIMEOUT") == ""


def test_a_held_task_is_cancelled_and_submitted_again(launch: Launcher, place: Path) -> None:
    process = launch.start("JOB=1:2", "log/h.JOB.log", "true")
    wait_for(lambda: queued(place) == ["h"])
    (job,) = place.glob("jobs/*")
    held = json.loads(job.read_text())
    held["tasks"]["1"] = "PENDING launch failed requeued held"
    (place / "new").write_text(json.dumps(held))
    (place / "new").rename(job)
    wait_for(lambda: (place / "submitted.2").exists())
    assert stand_in_slurm.value(json.loads((place / "submitted.2").read_text()), "--array") == "0-0"
    process.kill()
    assert "the queue will not start it" in process.communicate(timeout=30)[1]
