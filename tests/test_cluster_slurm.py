"""steps/cmd/slurm against a real Slurm, which these tests bring up on this machine and take down again."""

from __future__ import annotations

import os
import re
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.slurm import Launcher, slurm_node, wait_for, work_folder

pytestmark = pytest.mark.long


@pytest.fixture(scope="module")
def slurm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    with slurm_node(tmp_path_factory.mktemp("slurm")) as environment:
        yield environment


@pytest.fixture
def work(tmp_path: Path) -> Path:
    return work_folder(tmp_path)


@pytest.fixture
def launch(work: Path, slurm: dict[str, str]) -> Iterator[Launcher]:
    launcher = Launcher(work, slurm)
    yield launcher
    launcher.clear()


def test_an_array_does_every_job_and_leaves_nothing_behind(launch: Launcher, work: Path) -> None:
    done = launch("JOB=3:5", "log é/a.JOB.log", "printf", "%s|", "xJOBy", "two  words", "$HOME é")
    assert done.returncode == 0, done.stderr
    for job in (3, 4, 5):
        text = (work / "log é" / f"a.{job}.log").read_text()
        assert f"\nx{job}y|two  words|$HOME é|\n" in text
        assert re.search(rf"^# Running on .*, job {job} of 5, Slurm job \d+_\d \(\d+\)$", text, re.MULTILINE)
        assert "# Ended (code 0)" in text
    assert list((work / "log é" / ".slurm").iterdir()) == []


def test_a_task_has_the_drivers_environment_but_not_its_lock(launch: Launcher, work: Path) -> None:
    mine = {"OMP_NUM_THREADS": "3", "PYTHONPATH": "/a b", "TIMBRE_LOCK_FD": "9", "SBATCH_EXPORT": "NONE"}
    launch.environment = {**launch.environment, **mine}
    show = 'echo "$OMP_NUM_THREADS|$PYTHONPATH|${TIMBRE_LOCK_FD:-none}|$PWD"'
    done = launch("--mem", "0.5", "--num-threads", 2, "log/e.log", "bash", "-c", show)
    assert done.returncode == 0, done.stderr
    assert f"\n3|/a b|none|{work}\n" in (work / "log" / "e.log").read_text()


def test_no_more_tasks_at_once_than_asked(launch: Launcher, work: Path) -> None:
    script = "touch on.JOB; ls | grep -c ^on; sleep 0.5; rm on.JOB"
    done = launch("--max-jobs-run", 1, "JOB=1:3", "log/n.JOB.log", "bash", "-c", script)
    assert done.returncode == 0, done.stderr
    assert {(work / "log" / f"n.{n}.log").read_text().splitlines()[4] for n in (1, 2, 3)} == {"1"}


def test_only_failed_tasks_are_submitted_again(launch: Launcher, work: Path) -> None:
    script = "echo x >>tries.JOB; [ JOB != 2 ] || [ $(wc -l <tries.JOB) = 2 ]"
    done = launch("JOB=1:3", "log/r.JOB.log", "bash", "-c", script)
    assert done.returncode == 0, done.stderr
    assert "job 2: exit code 1; submitting it again" in done.stderr
    assert [len((work / f"tries.{n}").read_text().split()) for n in (1, 2, 3)] == [1, 2, 1]


def test_a_task_that_fails_again_cancels_the_others_and_shows_its_log(launch: Launcher, work: Path) -> None:
    script = "[ JOB = 2 ] || exec sleep 120; seq 101 130; exit 3"
    began = time.monotonic()
    done = launch("--retries", 0, "JOB=1:4", "log/f.JOB.log", "bash", "-c", script)
    assert done.returncode == 1
    assert time.monotonic() - began < 60
    assert "job 2 of 4 failed: slurm job" in done.stderr and "exit code 3" in done.stderr
    assert "log/f.2.log" in done.stderr and "    130\n" in done.stderr and "    101\n" not in done.stderr
    assert not launch.queue()


def test_a_task_cancelled_from_outside_is_reported_and_not_tried_again(launch: Launcher, work: Path) -> None:
    process = launch.start("JOB=1:2", "log/c.JOB.log", "bash", "-c", "echo x >>tries.JOB; sleep 120")
    wait_for(lambda: (work / "tries.2").exists())
    launch.ask("scancel", next(line.split()[0] for line in launch.queue() if "_1 " in line))
    said = process.communicate(timeout=60)[1]
    assert process.returncode == 1
    assert "job 2 of 2" in said and "was cancelled by somebody" in said and "CANCELLED" in said
    assert (work / "tries.2").read_text() == "x\n"
    assert not launch.queue()


def test_a_task_that_vanishes_is_noticed_and_tried_again(launch: Launcher, work: Path) -> None:
    """As when a node dies: the wrapper is killed and can write no exit code."""
    script = "echo x >>tries; [ $(wc -l <tries) = 2 ] || { kill -9 $PPID; sleep 60; }"
    done = launch("log/v.log", "bash", "-c", script)
    assert done.returncode == 0, done.stderr
    assert "left the queue" in done.stderr and (work / "tries").read_text() == "x\nx\n"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_cancels_the_array(launch: Launcher, work: Path, number: int) -> None:
    process = launch.start("JOB=1:3", "log/s.JOB.log", "bash", "-c", "touch on.JOB; sleep 120")
    wait_for(lambda: (work / "on.1").exists())
    process.send_signal(number)
    process.communicate(timeout=60)
    assert process.returncode == 128 + number
    assert not launch.queue()


SLOW = ["JOB=1:2", "log/k.JOB.log", "bash", "-c", "echo x >>tries.JOB; sleep 4"]


def test_a_restart_waits_for_the_array_of_a_killed_launcher(launch: Launcher, work: Path) -> None:
    process = launch.start(*SLOW)
    wait_for(lambda: (work / "tries.1").exists() and (work / "tries.2").exists())
    process.kill()
    process.communicate()
    assert len(launch.queue()) == 2, "the array goes on"
    done = launch(*SLOW)
    assert done.returncode == 0, done.stderr
    assert "waiting for it" in done.stderr
    assert [(work / f"tries.{n}").read_text() for n in (1, 2)] == ["x\n", "x\n"], "nothing ran twice"


def test_an_array_whose_id_was_never_learned_is_found_again(launch: Launcher, work: Path) -> None:
    (work / "bin").mkdir()
    (work / "bin" / "sbatch").write_text('#!/bin/sh\n/usr/bin/sbatch "$@" && kill -9 $PPID\n')
    (work / "bin" / "sbatch").chmod(0o755)
    launch.environment = {**launch.environment, "PATH": f"{work / 'bin'}:{os.environ['PATH']}"}
    assert launch(*SLOW).returncode == -signal.SIGKILL
    (work / "bin" / "sbatch").unlink()
    done = launch(*SLOW)
    assert done.returncode == 0, done.stderr
    assert "waiting for it" in done.stderr
    assert [(work / f"tries.{n}").read_text() for n in (1, 2)] == ["x\n", "x\n"]


def test_when_the_driver_is_killed_the_array_is_left_to_the_restart(launch: Launcher, work: Path) -> None:
    driver = 'export TIMBRE_DRIVER_PID=$$; bash -c "\\"\\$@\\"; true" step "$@"; true'
    launch.line = ["bash", "-c", driver, "driver", *launch.line]
    process = launch.start(*SLOW)
    wait_for(lambda: (work / "tries.1").exists() and (work / "tries.2").exists())
    process.kill()
    process.communicate(timeout=3)  # the launcher held the pipe: it has ended too
    assert len(launch.queue()) == 2


def test_a_restart_that_does_something_else_cancels_the_old_array(launch: Launcher, work: Path) -> None:
    (work / "run.json").write_text("1")
    script = 'is=$(cat run.json); echo x >>tries; [ "$is" = 2 ] || sleep 120'
    slow = ["log/k.log", "bash", "-c", script, "run.json"]
    process = launch.start(*slow)
    wait_for(lambda: (work / "tries").exists())
    process.kill()
    process.communicate()
    (work / "run.json").write_text("2")
    done = launch(*slow)
    assert done.returncode == 0, done.stderr
    assert "cancelling it" in done.stderr
    assert (work / "tries").read_text() == "x\nx\n"


def test_what_sbatch_refuses_is_said_in_its_words(launch: Launcher, work: Path) -> None:
    (work / "site.yaml").write_text("cpu:\n  partition: nowhere\n")
    done = launch("log/p.log", "true")
    assert done.returncode == 1
    assert "invalid partition" in done.stderr.lower() and "Traceback" not in done.stderr
