"""One run a work folder: the lock of a host, the lease for the others, and what a killed run leaves."""

from __future__ import annotations

import contextlib
import os
import platform
import signal
import subprocess
import time
from collections.abc import Iterator
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType

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
    assert (work / ".lease").read_text() == f"{platform.node()} {first.pid} 77 0\n"
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
    time.sleep(0.5)  # bash loses a SIGINT that comes while it starts a command
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
    code, said = end(start(work, 0, SLURM_JOB_ID="99", SLURM_RESTART_COUNT="1"))
    assert code == 0 and "requeued" in said


def test_another_node_of_the_same_job_is_refused(work: Path) -> None:
    """As in an salloc of two nodes: nothing was requeued."""
    other_host(work, 2, "99")
    code, said = end(start(work, 0, SLURM_JOB_ID="99"))
    assert code == 1 and "in use by process 4242 on node17, Slurm job 99" in said


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
        sweep = ["bash", "-euo", "pipefail", "-c", '. "$1/steps/lock.sh"; sweep "$2"']
        subprocess.run([*sweep, *words], check=True)
        assert [path.name.split(".")[-2] for path in tmp_path.iterdir()] == [str(alive.pid)]
    finally:
        alive.kill(), alive.wait(), os.waitpid(dead, 0)


@pytest.fixture
def lease() -> ModuleType:
    spec = spec_from_file_location("steps_lease", REPO / "steps" / "lease.py")
    assert spec and spec.loader
    found = module_from_spec(spec)
    spec.loader.exec_module(found)
    return found


def test_whoever_saw_a_stale_lease_does_not_remove_the_one_that_followed(
    work: Path, lease: ModuleType
) -> None:
    path, part = other_host(work, 600), work / ".lease.part.late.1.0"
    seen = lease.look(str(path))
    path.write_text("quick 2 - 0\n")  # another was faster
    part.write_text("late 1 - 0\n")
    assert lease.replace(str(path), seen, str(part)) is False
    assert path.read_text() == "quick 2 - 0\n"
    assert lease.replace(str(path), lease.look(str(path)), str(part)) is True
    assert path.read_text() == "late 1 - 0\n"


def test_while_one_takes_over_no_other_does(work: Path, lease: ModuleType) -> None:
    path, part = other_host(work, 600), work / ".lease.part.late.1.0"
    part.write_text("late 1 - 0\n")
    seen = lease.look(str(path))
    claim = Path(f"{path}.part.{seen.renewed}")
    claim.touch()
    assert lease.replace(str(path), seen, str(part)) is False
    os.utime(claim, (1, 1))  # its maker was killed then and there
    assert lease.replace(str(path), seen, str(part)) is False
    assert lease.replace(str(path), seen, str(part)) is True


def test_of_six_hosts_one_takes_over(work: Path) -> None:
    """flock failing, as on a file system without locks."""
    for _ in range(3):
        other_host(work, 600)
        words = ["python3", "-IS", str(REPO / "steps" / "lease.py"), "take", str(work / ".lease")]
        takers = [
            subprocess.Popen(
                [*words, f"host{n}", "1", "1"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
            )
            for n in range(6)
        ]
        said = [taker.communicate(timeout=60) for taker in takers]
        (won,) = [out for out, _ in said if out]
        assert (work / ".lease").read_text() == won
        refused = [err for out, err in said if not out]
        assert all(f"in use by process 1 on {won.split()[0]}" in err for err in refused), refused
        assert [path.name for path in work.iterdir()] == [".lease"]


def test_a_lease_that_a_failing_disk_refuses_is_not_there(
    tmp_path: Path, lease: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_: int) -> None:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(os, "fsync", refuse)
    with pytest.raises(OSError, match="Input/output error"):
        lease.create(str(tmp_path / ".lease"), "host1 1 - 0")
    assert not list(tmp_path.iterdir())


def test_a_lease_that_cannot_be_seen_for_a_moment_ends_nothing(work: Path, started: list[Start]) -> None:
    first = start(work, 30, started, TIMBRE_LEASE_SECONDS="0.2")
    lease = work / ".lease"
    said = lease.read_text()
    lease.rename(work / "away")
    time.sleep(1)
    assert first.poll() is None
    assert lease.read_text() == said, "it is made again"
    lease.write_text("")  # as NFS may show a file that another host replaces
    time.sleep(0.6)
    assert first.poll() is None


@pytest.mark.skipif(os.geteuid() != 0, reason="needs another user")
def test_another_users_process_is_alive(lease: ModuleType) -> None:
    ask = ['. "$1/steps/lock.sh" && living "$2"', "x", str(REPO), str(os.getpid())]
    assert subprocess.run(["bash", "-c", *ask], user=65534, cwd="/").returncode == 0
    assert subprocess.run(["bash", "-c", *ask[:-1], "999999999"], user=65534, cwd="/").returncode == 1
    load = f"import sys; sys.path.insert(0, {str(REPO / 'steps')!r}); import lease; "
    script = f"{load} print(lease.alive({os.getpid()}))"
    told = subprocess.run(
        ["/usr/bin/env", "python3", "-ISBc", script], user=65534, cwd="/", capture_output=True, text=True
    )
    assert told.stdout == "True\n", told.stderr


def sweep(work: Path, *words: str) -> list[str]:
    """What sweeping leaves."""
    line = [
        "bash",
        "-euo",
        "pipefail",
        "-c",
        '. "$1/steps/lock.sh"; sweep "${@:2}"',
        "driver",
        str(REPO),
        str(work),
    ]
    subprocess.run([*line, *words], check=True)
    return sorted(path.name for path in work.iterdir())


def test_what_other_hosts_left_is_swept_when_it_is_old_and_nothing_is_queued(work: Path) -> None:
    work.mkdir()
    old, new = work / ".a.ark.part.node17.x.y.12.0", work / ".b.ark.part.node17.x.y.12.0"
    (work / "a.part.node17.12.0").touch()  # a file's own name
    for path, age in ((old, 4000), (new, 600), (work / "a.part.node17.12.0", 4000)):
        path.touch()
        os.utime(path, (time.time() - age,) * 2)
    (work / "train.json").touch()
    assert old.name in sweep(work, str(work / "train"))
    assert sweep(work, str(work / "vad")) == [new.name, "a.part.node17.12.0", "train.json"]


SIGNALLED = """. "$1/steps/lock.sh"
main() { patient; lock "$2"; attend --bound bash -c "$3"; echo went on; }
main "$@"
"""
STEP = """
trap 'echo told; sleep 1; ls -A "$PWD"; exit 0' INT TERM HUP
echo step $$
for ((;;)); do sleep 0.05; done
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_to_the_driver_goes_on_to_its_step_which_is_waited_for(work: Path, number: int) -> None:
    """As from scancel or kill, which tell run.sh alone; the lease stays until the end."""
    work.mkdir()
    line = ["bash", "-euo", "pipefail", "-c", SIGNALLED, "driver", str(REPO), str(work), STEP]
    line = ["env", f"--default-signal={signal.Signals(number).name[3:]}", *line]  # nohup ignores SIGHUP
    driver = subprocess.Popen(line, cwd=work, stdout=subprocess.PIPE, text=True, start_new_session=True)
    assert driver.stdout is not None and driver.stdout.readline().startswith("step")
    driver.send_signal(number)
    said = driver.communicate(timeout=30)[0].split()
    assert said[0] == "told" and ".lease" in said and "went" not in said
    assert driver.returncode in (-number, 128 + number)
    assert not (work / ".lease").exists()


def test_a_step_of_a_killed_driver_is_killed(work: Path) -> None:
    work.mkdir()
    line = ["bash", "-euo", "pipefail", "-c", SIGNALLED, "driver", str(REPO), str(work), STEP]
    driver = subprocess.Popen(line, cwd=work, stdout=subprocess.PIPE, text=True, start_new_session=True)
    assert driver.stdout is not None
    step = int(driver.stdout.readline().split()[1])
    driver.kill()
    driver.wait()
    deadline = time.monotonic() + 10
    while Path(f"/proc/{step}").exists() and "\nState:\tZ" not in Path(f"/proc/{step}/status").read_text():
        assert time.monotonic() < deadline
        time.sleep(0.05)
    driver.stdout.close()


def test_a_child_of_a_script_that_ignores_ctrl_c_ignores_it_too(work: Path) -> None:
    show = 'sed -n "s/^SigIgn:.*\\(.\\)$/\\1/p" /proc/$$/status'
    script = '. "$1/steps/lock.sh"; attend bash -c "$2"'
    line = ["bash", "-c", script, "x", str(REPO), show]
    heard = subprocess.run(line, capture_output=True, text=True).stdout
    deaf = subprocess.run(
        ["bash", "-c", 'trap "" INT; "$@"', "x", *line], capture_output=True, text=True
    ).stdout
    assert int(heard, 16) & 2 == 0 and int(deaf, 16) & 2 == 2
