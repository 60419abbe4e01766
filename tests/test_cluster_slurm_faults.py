"""steps/cmd/slurm and what clusters do to jobs, against a real Slurm of two nodes (of this machine)."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.slurm import Launcher, controller, slurm_node, wait_for, work_folder

pytestmark = pytest.mark.long


@pytest.fixture(scope="module")
def slurm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    with slurm_node(tmp_path_factory.mktemp("slurm"), nodes=2) as environment:
        yield environment


@pytest.fixture
def work(tmp_path: Path) -> Path:
    return work_folder(tmp_path)


@pytest.fixture
def launch(work: Path, slurm: dict[str, str]) -> Iterator[Launcher]:
    launcher = Launcher(work, slurm)
    yield launcher
    launcher.clear()


def task_of(launch: Launcher, index: int) -> str:
    """Slurm's name of a running task."""
    wait_for(lambda: any(line.endswith(f"_{index} RUNNING") for line in launch.queue()))
    return next(line.split()[0] for line in launch.queue() if line.endswith(f"_{index} RUNNING"))


def test_a_killed_task_is_done_again_alone(launch: Launcher, work: Path) -> None:
    script = "echo x >>tries.JOB; [ JOB != 2 ] || [ $(wc -l <tries.JOB) = 2 ] || { echo $$ >pid; sleep 120; }"
    process = launch.start("JOB=1:3", "log/k.JOB.log", "bash", "-c", script)
    wait_for(lambda: (work / "pid").exists() and (work / "pid").read_text())
    os.kill(int((work / "pid").read_text()), 9)
    said = process.communicate(timeout=120)[1]
    assert process.returncode == 0, said
    assert "job 2: SIGKILL" in said and "submitting it again" in said
    assert [(work / f"tries.{n}").read_text().split() for n in (1, 2, 3)] == [["x"], ["x", "x"], ["x"]]


def test_a_requeued_task_is_waited_for_and_is_no_failure(launch: Launcher, work: Path) -> None:
    """As when a job with a higher priority takes the node."""
    script = "echo x >>tries.JOB; [ JOB != 2 ] || [ $(wc -l <tries.JOB) = 2 ] || sleep 120"
    process = launch.start("--retries", 0, "JOB=1:2", "log/q.JOB.log", "bash", "-c", script)
    wait_for(lambda: (work / "tries.2").exists())
    task = task_of(launch, 1)
    launch.ask("scontrol", "requeue", task)
    wait_for(lambda: any(line == f"{task} PENDING" for line in launch.queue()))
    launch.ask("scontrol", "update", f"JobId={task}", "StartTime=now")  # else it waits two minutes
    said = process.communicate(timeout=120)[1]
    assert process.returncode == 0, said
    assert [(work / f"tries.{n}").read_text().split() for n in (1, 2)] == [["x"], ["x", "x"]]
    assert "submitting it again" not in said
    assert not launch.queue()


HUNGRY = "open('tries', 'a').write('x'); x = bytearray(300 << 20); import time; time.sleep(60)"


def test_a_task_that_takes_too_much_memory_is_ended_with_the_way_to_mend_it(
    launch: Launcher, work: Path
) -> None:
    (work / "site.yaml").write_text("enforce_mem: yes\npoll: 1\n")
    done = launch("--mem", "200M", "JOB=1:1", "log/m.JOB.log", sys.executable, "-c", HUNGRY)
    assert done.returncode == 1
    assert re.search(r"out of memory: \d+ MB used, asked for: 200 MB", done.stderr), done.stderr
    assert "below 'mem:' a line 'm: GIGABYTES'" in done.stderr
    assert (work / "tries").read_text() == "x", "the same again would end the same"
    assert "# out of memory: " in (work / "log" / "m.1.log").read_text()
    (work / "site.yaml").write_text("enforce_mem: yes\npoll: 1\nmem:\n  m: 0.5\n")
    mended = launch("--mem", "200M", "log/m.log", sys.executable, "-c", HUNGRY.replace("60", "1.5"))
    assert mended.returncode == 0, mended.stderr


def test_memory_of_all_that_a_task_starts_is_counted(launch: Launcher, work: Path) -> None:
    (work / "site.yaml").write_text("enforce_mem: yes\npoll: 1\n")
    script = f'setsid {sys.executable} -c "{HUNGRY}" & wait'
    done = launch("--mem", "200M", "log/m.log", "bash", "-c", script)
    assert done.returncode == 1
    assert "out of memory" in done.stderr


def test_a_controller_that_restarts_costs_nothing(launch: Launcher, work: Path) -> None:
    script = "echo x >>tries.JOB; until [ -e go.JOB ]; do sleep 0.1; done"
    process = launch.start("--max-jobs-run", 2, "JOB=1:4", "log/r.JOB.log", "bash", "-c", script)
    wait_for(lambda: (work / "tries.1").exists() and (work / "tries.2").exists())
    controller(launch.environment, "stop")
    (work / "go.1").touch()  # one ends while nobody controls
    assert process.poll() is None
    wait_for(lambda: "Ended (code 0)" in (work / "log" / "r.1.log").read_text())
    controller(launch.environment, "start")
    for number in (2, 3, 4):
        (work / f"go.{number}").touch()
    said = process.communicate(timeout=150)[1]
    assert process.returncode == 0, said
    assert [(work / f"tries.{n}").read_text() for n in (1, 2, 3, 4)] == ["x\n"] * 4


def test_a_failed_task_is_submitted_when_the_controller_is_back(launch: Launcher, work: Path) -> None:
    script = "echo x >>tries; [ $(wc -l <tries) = 2 ] && exit; until [ -e go ]; do sleep 0.1; done; exit 3"
    process = launch.start("log/s.log", "bash", "-c", script)
    wait_for(lambda: (work / "tries").exists())
    controller(launch.environment, "stop")
    (work / "go").touch()
    wait_for(lambda: "Ended (code 3)" in (work / "log" / "s.log").read_text())
    controller(launch.environment, "start")
    said = process.communicate(timeout=150)[1]
    assert process.returncode == 0, said
    assert (work / "tries").read_text() == "x\nx\n"


def test_ctrl_c_is_heard_while_the_controller_is_away(launch: Launcher, work: Path) -> None:
    script = "echo x >>tries; until [ -e go ]; do sleep 0.1; done; exit 3"
    process = launch.start("log/c.log", "bash", "-c", script)
    wait_for(lambda: (work / "tries").exists())
    controller(launch.environment, "stop")
    try:
        (work / "go").touch()  # now it must be submitted again, which cannot be
        wait_for(lambda: "Ended (code 3)" in (work / "log" / "c.log").read_text())
        time.sleep(5)
        process.send_signal(signal.SIGINT)
        said = process.communicate(timeout=60)[1]
    finally:
        controller(launch.environment, "start")
    assert process.returncode == 130
    assert "may still be in the queue; the next start cancels it" in said


def test_an_exit_code_that_appears_late_is_waited_for(launch: Launcher, work: Path) -> None:
    """As on NFS: the task has left the queue, its files are not yet seen here."""
    (work / "site.yaml").write_text("grace: 60\npoll: 0.5\n")
    process = launch.start("log/l.log", "bash", "-c", "echo x >>tries; kill -9 $PPID; sleep 300")
    wait_for(lambda: (work / "tries").exists() and not launch.queue())
    time.sleep(3)
    assert process.poll() is None
    (folder,) = (work / "log" / ".slurm" / "l").iterdir()
    (folder / "part").write_text("0\n")
    (folder / "part").rename(folder / "0.exit")
    said = process.communicate(timeout=60)[1]
    assert process.returncode == 0, said
    assert (work / "tries").read_text() == "x\n"


def parent(pid: int) -> int:
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])


def test_a_lost_node_costs_its_task_another_try(launch: Launcher, work: Path) -> None:
    """All that ran there for Slurm is gone at once; Slurm gives the task to another node."""
    script = "echo $SLURMD_NODENAME >>tries; [ $(wc -l <tries) = 2 ] || { echo $$ >pid; sleep 300; }"
    process = launch.start("--retries", 0, "log/n.log", "bash", "-c", script)
    wait_for(lambda: (work / "pid").exists() and (work / "pid").read_text())
    node = (work / "tries").read_text().strip()
    conf = Path(launch.environment["SLURM_CONF"])
    job = int((work / "pid").read_text())
    slurmd, task = int((conf.parent / f"slurmd.{node}.pid").read_text()), parent(job)
    for pid in (slurmd, parent(task), task, job):
        os.kill(pid, signal.SIGKILL)
    try:
        launch.ask("scontrol", "update", f"NodeName={node}", "State=DOWN", "Reason=test")  # not after minutes
        wait_for(lambda: any(line.endswith("PENDING") for line in launch.queue()))
        launch.ask("scontrol", "update", f"JobId={launch.queue()[0].split()[0]}", "StartTime=now")
        said = process.communicate(timeout=120)[1]
    finally:
        subprocess.run(["slurmd", "-N", node, "-f", conf], check=True, stdin=subprocess.DEVNULL)
        wait_for(lambda: launch.ask("sinfo", "-h", "-N", "-t", "idle", "-o", "%N").count("node") == 2)
    assert process.returncode == 0, said
    other = {"node1": "node2", "node2": "node1"}[node]
    assert (work / "tries").read_text().split() == [node, other]


def test_each_kind_of_job_asks_for_its_own(launch: Launcher, work: Path) -> None:
    (work / "bin").mkdir()
    (work / "bin" / "sbatch").write_text('#!/bin/sh\nprintf "%s\\n" "$@" >asked; echo refused >&2; exit 1\n')
    (work / "bin" / "sbatch").chmod(0o755)
    launch.environment = {**launch.environment, "PATH": f"{work / 'bin'}:{os.environ['PATH']}"}
    (work / "site.yaml").write_text(
        "cpu:\n  partition: short\n  mem: 3\n"
        "io:\n  jobs: audio egs\n  partition: copy\n  threads: 4\n  constraint: ssd\n"
        "gpu:\n  partition: fast\n  gres: gpu:a100\n  account: lab\nmem:\n  train: 20\n"
    )
    asked = {}
    for name, options in {"vad": [], "egs": ["--mem", 4], "train": ["--gpu", 8, "--nodes", 2]}.items():
        assert launch(*options, f"log/{name}.log", "true").returncode == 1
        asked[name] = set((work / "asked").read_text().splitlines())
    assert {"--partition=short", "--mem=3072M", "--nodes=1", "--cpus-per-task=1"} <= asked["vad"]
    assert {"--partition=copy", "--mem=4096M", "--constraint=ssd", "--cpus-per-task=4"} <= asked["egs"]
    gpu = {"--partition=fast", "--gres=gpu:a100:8", "--nodes=2", "--ntasks-per-node=1", "--mem=20480M"}
    assert {*gpu, "--account=lab"} <= asked["train"]


@pytest.mark.parametrize(
    ("line", "said"),
    [("patition: x", "unknown key patition"), ("grace: soon", "grace cannot be 'soon'")],
)
def test_settings_that_cannot_be_are_refused(launch: Launcher, work: Path, line: str, said: str) -> None:
    (work / "site.yaml").write_text(line + "\n")
    done = launch("log/p.log", "true")
    assert done.returncode == 1 and said in done.stderr
