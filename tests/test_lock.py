"""One run a work folder: the lock of a host, the lease for the others, and what a killed run leaves."""

from __future__ import annotations

import contextlib
import os
import platform
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.pipeline import REPO

DRIVER = '. "$1/steps/lock.sh"; main() { lock "$2"; echo "locked $$"; sleep "$3"; }; main "$@"; exit'
Start = subprocess.Popen[str]


@pytest.fixture
def work(tmp_path: Path) -> Path:
    """A work folder with a space and an umlaut."""
    return tmp_path / "a b ö"


@pytest.fixture
def started() -> Iterator[list[Start]]:
    """Processes to end in any case."""
    found: list[Start] = []
    yield found
    for process in found:
        with contextlib.suppress(ProcessLookupError):  # it and what it started: a session of its own
            os.killpg(process.pid, signal.SIGKILL)
        process.wait(timeout=30)


def start(work: Path, seconds: float, started: list[Start] | None = None, **more: str) -> Start:
    """A driver that holds ``work`` for so long."""
    environment = {**os.environ, "TIMBRE_LEASE_SECONDS": "1", **more}
    environment = {key: value for key, value in environment.items() if value}
    process = subprocess.Popen(
        ["bash", "-euo", "pipefail", "-c", DRIVER, "driver", str(REPO), str(work), str(seconds)],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    if started is not None:
        started.append(process)
        assert process.stdout is not None
        assert process.stdout.readline().startswith("locked")
    return process


def end(process: Start) -> tuple[int, str]:
    """Its exit status and all that it said; what it left running is ended."""
    process.wait(timeout=60)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    out, err = process.communicate(timeout=60)
    return process.returncode, out + err


def other_host(work: Path, seconds_ago: float, job: str = "-") -> Path:
    """A lease of process 4242 on node17."""
    work.mkdir(exist_ok=True)
    lease = work / ".lease"
    lease.write_text(f"node17 4242 {job}\n")
    then = time.time() - seconds_ago
    os.utime(lease, (then, then))
    return lease


def test_a_second_run_is_refused_and_told_who_is_at_work(work: Path, started: list[Start]) -> None:
    first = start(work, 30, started, SLURM_JOB_ID="77")
    assert (work / ".lease").read_text() == f"{platform.node()} {first.pid} 77\n"
    code, said = end(start(work, 0))
    assert code == 1 and f"in use by process {first.pid} on {platform.node()}" in said


def test_the_lease_is_renewed_and_goes_with_the_run(work: Path, started: list[Start]) -> None:
    first = start(work, 2.5, started)
    lease = work / ".lease"
    os.utime(lease, (1, 1))
    deadline = time.monotonic() + 20
    while lease.stat().st_mtime < 1000:
        assert time.monotonic() < deadline
        time.sleep(0.1)
    assert end(first)[0] == 0
    assert sorted(path.name for path in work.iterdir()) == [".lock", ".lock.holder"]


@pytest.mark.parametrize("by", [signal.SIGINT, signal.SIGTERM])
def test_a_run_that_is_ended_takes_its_lease_with_it(work: Path, started: list[Start], by: int) -> None:
    first = start(work, 30, started)
    os.killpg(first.pid, by)
    assert end(first)[0] != 0
    assert not (work / ".lease").exists()


def test_a_killed_run_holds_up_nobody_on_its_host(work: Path, started: list[Start]) -> None:
    first = start(work, 30, started)
    os.killpg(first.pid, signal.SIGKILL)
    first.wait()
    assert (work / ".lease").is_file()
    began = time.monotonic()
    code, said = end(start(work, 0))
    assert code == 0 and "locked" in said and time.monotonic() - began < 10


def test_a_live_lease_of_another_host_refuses_and_names_it(work: Path) -> None:
    lease = other_host(work, 2, "99")
    code, said = end(start(work, 0))
    assert code == 1 and "in use by process 4242 on node17, Slurm job 99" in said
    assert lease.read_text().startswith("node17")  # it stays its holder's


def test_a_lease_that_nobody_renewed_is_taken_over(work: Path) -> None:
    other_host(work, 60)
    code, said = end(start(work, 0))
    assert code == 0 and "taking over from process 4242 on node17" in said


def test_a_requeued_job_takes_over_its_own_lease(work: Path) -> None:
    other_host(work, 0, "99")
    code, said = end(start(work, 0, SLURM_JOB_ID="99"))
    assert code == 0 and "requeued" in said


def test_a_run_that_lost_its_lease_ends(work: Path, started: list[Start]) -> None:
    first = start(work, 30, started)
    other_host(work, 0)
    code, said = end(first)
    assert code != 0 and "the lease is lost: node17 4242" in said
    assert (work / ".lease").is_file()


def test_what_dead_writers_left_is_swept_also_where_nobody_collected_them(tmp_path: Path) -> None:
    dead = os.fork()
    if not dead:
        os._exit(0)
    os.waitid(os.P_PID, dead, os.WEXITED | os.WNOWAIT)  # it has ended and stays in the table of processes
    alive = subprocess.Popen(["sleep", "60"])
    try:
        for pid in (dead, alive.pid):
            (tmp_path / f".x.ark.part.{platform.node()}.{pid}.0").touch()
        words = ["driver", str(REPO), str(tmp_path)]
        sweep = ["bash", "-euo", "pipefail", "-c", ". \"$1/steps/lock.sh\"; sweep \"$2\""]
        subprocess.run([*sweep, *words], check=True)
        assert [path.name.split(".")[-2] for path in tmp_path.iterdir()] == [str(alive.pid)]
    finally:
        alive.kill(), alive.wait(), os.waitpid(dead, 0)
