"""steps/cmd/sge against a stand-in for Grid Engine whose tasks really run."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests import stand_in_grid

SITE = "retries: 1\ngrace: 1\npoll: 0.5\nthreads: -pe smp {threads}\nmem: -l mem_free={job}M,h_vmem={slot}M\n"


class Launcher:
    """steps/cmd/sge in a folder as awkward as a home directory can be, with a queue of its own."""

    def __init__(self, repo: Path, folder: Path) -> None:
        self.grid, self.work = folder / "grid", folder / "mes données 100%"
        self.work.mkdir()
        path = os.pathsep.join([str(stand_in_grid.install(self.grid)), os.environ["PATH"]])
        clean = {name: value for name, value in os.environ.items() if not name.startswith("TIMBRE_")}
        self.environment = {**clean, "PATH": path, "GRID": str(self.grid)}
        self.site = self.work / "site.yaml"
        self.site.write_text(SITE)
        program = str(repo / "steps" / "cmd" / "sge")
        self.line = [sys.executable, "-S", program, "--conf", str(self.site)]

    def start(self, *arguments: object) -> subprocess.Popen[str]:
        line = [*self.line, *map(str, arguments)]
        return subprocess.Popen(line, cwd=self.work, env=self.environment, stderr=subprocess.PIPE, text=True)

    def __call__(self, *arguments: object) -> subprocess.CompletedProcess[str]:
        process = self.start(*arguments)
        said = process.communicate(timeout=60)[1]
        return subprocess.CompletedProcess(arguments, process.returncode, "", said)

    def asked(self) -> list[dict[str, str]]:
        """The options of every qsub so far."""
        return [json.loads(line) for line in (self.grid / "asked").read_text().splitlines()]

    def queue(self) -> list[Path]:
        """The tasks that the queue holds."""
        return list(self.grid.glob("jobs/*/*.state"))


@pytest.fixture
def launch(repo: Path, tmp_path: Path) -> Launcher:
    return Launcher(repo, tmp_path)


def wait_for(condition: Callable[[], object], seconds: float = 20.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.02)


def test_an_array_does_every_job_and_leaves_nothing_behind(launch: Launcher) -> None:
    done = launch("JOB=3:5", "log é/a.JOB.log", "printf", "%s|", "xJOBy", "two  words", "$HOME é")
    assert done.returncode == 0, done.stderr
    for place, job in enumerate((3, 4, 5), 1):
        text = (launch.work / "log é" / f"a.{job}.log").read_text()
        assert f"\nx{job}y|two  words|$HOME é|\n" in text
        where = rf"^# Running on .*, job {job} of 5, Grid Engine job 1\.{place}$"
        assert re.search(where, text, re.MULTILINE)
        assert "# Ended (code 0)" in text
    assert list((launch.work / "log é" / ".sge").iterdir()) == []


def test_memory_threads_throttle_and_the_kinds_settings_become_qsubs_options(launch: Launcher) -> None:
    kinds = "cpu:\n  queue: all.q\n  time: 1:0:0\nio:\n  jobs: egs audio\n  project: disks\n"
    launch.site.write_text(SITE + kinds + "gpu:\n  gpus: -l gpu={gpus}\n  extra: -p -100\n")
    asks = ["--mem", "3", "--num-threads", 2, "--max-jobs-run", 7]
    launches = [
        launch.start(*asks, "JOB=1:2", "log/features.JOB.log", "true"),
        launch.start("--time", "60", "log/egs.log", "true"),
        launch.start("--gpu", 2, "log/train.log", "true"),
    ]
    assert [process.wait(60) for process in launches] == [0, 0, 0]
    io, cpu, gpu = sorted(launch.asked(), key=lambda options: options["-N"])
    assert cpu["-N"].startswith("features.") and cpu["-t"] == "1-2" and cpu["-tc"] == "7"
    assert cpu["-pe"] == "smp 2" and cpu["-q"] == "all.q" and cpu["-l"] == "h_rt=1:0:0"
    assert "-tc" not in io and "-pe" not in io and io["-P"] == "disks" and io["-l"] == "h_rt=60"
    assert gpu["-l"] == "gpu=2" and gpu["-p"] == "-100" and "-q" not in gpu and "-P" not in gpu


@pytest.mark.long
def test_memory_is_asked_for_by_job_and_by_slot(launch: Launcher) -> None:
    assert launch("--mem", "3", "--num-threads", 2, "log/a.log", "true").returncode == 0
    assert launch.asked()[0]["-l"] == "mem_free=3072M,h_vmem=1536M"


def test_a_task_has_the_drivers_environment_but_not_its_lock(launch: Launcher) -> None:
    launch.environment |= {"OMP_NUM_THREADS": "3", "PYTHONPATH": "/a b", "TIMBRE_LOCK_FD": "9"}
    launch.environment |= {"CUDA_VISIBLE_DEVICES": ""}
    show = 'echo "$OMP_NUM_THREADS|$PYTHONPATH|${TIMBRE_LOCK_FD:-none}|${CUDA_VISIBLE_DEVICES-unset}|$PWD"'
    assert launch("log/e.log", "bash", "-c", show).returncode == 0
    assert f"\n3|/a b|none||{launch.work}\n" in (launch.work / "log" / "e.log").read_text()


def test_only_failed_tasks_are_submitted_again(launch: Launcher) -> None:
    script = "echo x >>tries.JOB; [ JOB != 2 ] || [ $(wc -l <tries.JOB) = 2 ]"
    done = launch("JOB=1:3", "log/r.JOB.log", "bash", "-c", script)
    assert done.returncode == 0, done.stderr
    assert "job 2: exit code 1; submitting it again" in done.stderr
    assert [len((launch.work / f"tries.{n}").read_text().split()) for n in (1, 2, 3)] == [1, 2, 1]


@pytest.mark.long
def test_a_task_that_fails_again_deletes_the_others_and_shows_its_log(launch: Launcher) -> None:
    script = "[ JOB = 2 ] || exec sleep 120; seq 101 130; exit 3"
    done = launch("--retries", 0, "JOB=1:4", "log/f.JOB.log", "bash", "-c", script)
    assert done.returncode == 1
    assert "sge: f: job 2 of 4 failed: sge job 1.2: exit code 3" in done.stderr
    assert "log/f.2.log" in done.stderr and "    130\n" in done.stderr and "    101\n" not in done.stderr
    assert not launch.queue()


@pytest.mark.long
def test_a_task_that_vanishes_is_noticed_and_tried_again(launch: Launcher) -> None:
    """As when a node dies or qdel ends it: it writes no exit code."""
    script = "echo x >>tries; [ $(wc -l <tries) = 2 ] || { kill -9 $PPID; sleep 60; }"
    done = launch("log/v.log", "bash", "-c", script)
    assert done.returncode == 0, done.stderr
    assert "it left the queue without an exit code; submitting it again" in done.stderr
    assert (launch.work / "tries").read_text() == "x\nx\n"


def test_a_task_in_state_eqw_is_tried_again_with_the_reason_said(launch: Launcher) -> None:
    (launch.grid / "eqw").write_text("2 1\n")
    done = launch("JOB=1:3", "log/q.JOB.log", "bash", "-c", "echo x >>tries.JOB")
    assert done.returncode == 0, done.stderr
    assert "job 2: the queue will not start it (Grid Engine says: can't chdir to /gone" in done.stderr
    assert [(launch.work / f"tries.{n}").read_text() for n in (1, 2, 3)] == ["x\n"] * 3
    assert not launch.queue()


@pytest.mark.long
def test_a_task_that_stays_in_state_eqw_fails_the_fan_out(launch: Launcher) -> None:
    (launch.grid / "eqw").write_text("1 9\n")
    done = launch("log/q.log", "true")
    assert done.returncode == 1
    assert "No such file or directory) (tried 2 times)" in done.stderr
    assert not launch.queue()


@pytest.mark.parametrize("number", [signal.SIGINT, pytest.param(signal.SIGTERM, marks=pytest.mark.long)])
def test_a_signal_deletes_the_array_and_ends_its_tasks(launch: Launcher, number: int) -> None:
    process = launch.start("JOB=1:3", "log/s.JOB.log", "bash", "-c", "echo $$ >pid.JOB; sleep 120")
    files = [launch.work / f"pid.{n}" for n in (1, 2, 3)]
    wait_for(lambda: all(file.exists() and file.read_text() for file in files))
    process.send_signal(number)
    process.communicate(timeout=30)
    assert process.returncode == 128 + number
    assert not launch.queue()
    pids = [file.read_text().strip() for file in files]
    wait_for(lambda: not [pid for pid in pids if Path(f"/proc/{pid}/cmdline").exists()])


def test_a_restart_deletes_what_a_killed_launcher_left(launch: Launcher) -> None:
    slow = ["JOB=1:2", "log/k.JOB.log", "bash", "-c", "echo x >>tries.JOB; [ -f quick ] || sleep 120"]
    process = launch.start(*slow)
    wait_for(lambda: (launch.work / "tries.1").exists() and (launch.work / "tries.2").exists())
    process.kill()
    process.communicate()
    assert len(launch.queue()) == 2, "the array goes on"
    (launch.work / "quick").touch()
    done = launch(*slow)
    assert done.returncode == 0, done.stderr
    assert "deleting an earlier run's k." in done.stderr
    assert not launch.queue()


@pytest.mark.long
def test_a_master_that_is_away_for_a_while_is_waited_for(launch: Launcher) -> None:
    process = launch.start("log/d.log", "bash", "-c", "touch on; sleep 2")
    wait_for(lambda: (launch.work / "on").exists())
    (launch.grid / "down").touch()
    time.sleep(1.2)  # longer than `poll`, and the task ends while nobody can ask
    (launch.grid / "down").unlink()
    said = process.communicate(timeout=30)[1]
    assert process.returncode == 0, said
    assert "asking again" in said and "submitting" not in said


def test_what_qsub_refuses_is_said_in_its_words(launch: Launcher) -> None:
    (launch.grid / "refuse").write_text('unknown queue "nowhere.q"')
    done = launch("log/p.log", "true")
    assert done.returncode == 1
    assert 'unknown queue "nowhere.q"' in done.stderr and "Traceback" not in done.stderr


def test_without_grid_engine_that_is_said(launch: Launcher) -> None:
    launch.environment["PATH"] = "/usr/bin:/bin"
    done = launch("log/p.log", "true")
    assert done.returncode == 1
    assert "there is no qsub here" in done.stderr and "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("setting", "said"), [("ques: 1", "unknown key ques"), ("poll: no", "cannot be 'no'")]
)
def test_a_setting_that_cannot_be_is_refused(launch: Launcher, setting: str, said: str) -> None:
    launch.site.write_text(setting + "\n")
    done = launch("log/p.log", "true")
    assert done.returncode == 1
    assert said in done.stderr


def test_the_settings_of_this_checkout_are_understood(launch: Launcher, repo: Path) -> None:
    launch.line[-1] = str(repo / "conf" / "cluster" / "sge.yaml")
    assert launch("--mem", "2G", "--num-threads", 2, "log/audio.log", "true").returncode == 0
    assert launch.asked()[0]["-pe"] == "smp 2" and launch.asked()[0]["-l"] == "mem_free=2048M"
