"""steps/cmd/local: Kaldi's launcher contract on one machine."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

LINUX = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="prctl and /proc are Linux's")


@pytest.fixture
def launcher(repo: Path) -> str:
    return str(repo / "steps" / "cmd" / "local")


@pytest.fixture
def work(tmp_path: Path) -> Path:
    """A folder as awkward as a home directory can be."""
    folder = tmp_path / "mes données été"
    folder.mkdir()
    return folder


def call(launcher: str, *arguments: object, **environment: str) -> subprocess.CompletedProcess[str]:
    clean = {name: value for name, value in os.environ.items() if not name.startswith("TIMBRE_")}
    line = [launcher, *map(str, arguments)]
    return subprocess.run(line, capture_output=True, text=True, env={**clean, **environment}, timeout=60)


def wait_for(condition: Callable[[], bool], seconds: float = 10.0) -> bool:
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


def running(pid: int) -> bool:
    """Whether a process lives (one that only waits to be collected does not)."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"


def test_every_job_word_becomes_the_number(launcher: str, work: Path) -> None:
    done = call(launcher, "JOB=3:4", work / "a.JOB.log", "printf", "%s|", "xJOBy.JOB", "two words JOB", "é")
    assert done.returncode == 0, done.stderr
    assert "\nx3y.3|two words 3|é|\n" in (work / "a.3.log").read_text()
    assert "\nx4y.4|two words 4|é|\n" in (work / "a.4.log").read_text()


def test_without_a_range_one_job_runs_and_the_word_stays(launcher: str, work: Path) -> None:
    assert call(launcher, work / "one.log", "echo", "JOB").returncode == 0
    assert "\nJOB\n" in (work / "one.log").read_text()


def test_the_log_tells_command_host_times_code_and_memory(launcher: str, work: Path) -> None:
    assert call(launcher, "--num-threads", 2, work / "deep" / "one.log", "echo", "two words").returncode == 0
    lines = (work / "deep" / "one.log").read_text().splitlines()
    assert lines[0] == "# echo 'two words'"
    assert lines[1].startswith(f"# Running on {os.uname().nodename}")
    assert lines[2].startswith("# Started at ")
    assert lines[4] == "two words"
    assert "threads=2" in lines[5] and "peak_memory=" in lines[5]
    assert lines[6].startswith("# Ended (code 0) at ") and lines[6].endswith(" seconds")


def test_the_peak_memory_is_the_largest_of_the_job_and_what_it_started(launcher: str, work: Path) -> None:
    script = '"$0" -Sc "bytearray(90 << 20)"; true'
    assert call(launcher, work / "m.log", "bash", "-c", script, sys.executable).returncode == 0
    found = re.search(r"peak_memory=(\d+)MB", (work / "m.log").read_text())
    assert found and 90 <= int(found[1]) <= 130


def test_no_more_jobs_at_once_than_asked(launcher: str, work: Path) -> None:
    script = 'touch "$0/on.JOB"; ls "$0" | grep -c ^on; sleep 0.2; rm "$0/on.JOB"'
    arguments = ["--max-jobs-run", 3, "JOB=1:9", work / "log" / "n.JOB.log", "bash", "-c", script, work]
    assert call(launcher, *arguments).returncode == 0
    seen = [int((work / "log" / f"n.{n}.log").read_text().splitlines()[4]) for n in range(1, 10)]
    assert max(seen) == 3


def test_threads_asked_for_bound_the_jobs_at_once(launcher: str, work: Path) -> None:
    cores = len(os.sched_getaffinity(0))
    script = 'touch "$0/on.JOB"; ls "$0" | grep -c ^on; sleep 0.1; rm "$0/on.JOB"'
    arguments = ["--num-threads", cores, "JOB=1:3", work / "log" / "n.JOB.log", "bash", "-c", script, work]
    assert call(launcher, *arguments).returncode == 0
    assert {(work / "log" / f"n.{n}.log").read_text().splitlines()[4] for n in (1, 2, 3)} == {"1"}


def test_each_job_sees_its_own_gpus(launcher: str, work: Path) -> None:
    arguments = ["--gpu", 2, "--max-jobs-run", 9, "JOB=1:4", work / "g.JOB.log", "bash", "-c"]
    done = call(launcher, *arguments, "sleep 0.2; echo $CUDA_VISIBLE_DEVICES", CUDA_VISIBLE_DEVICES="4,5,6,7")
    assert done.returncode == 0, done.stderr
    seen = [(work / f"g.{n}.log").read_text().splitlines()[4] for n in range(1, 5)]
    assert sorted(seen[:2]) == ["4,5", "6,7"] and sorted(seen[2:]) == ["4,5", "6,7"]
    assert call(launcher, "--gpu", 2, work / "g.log", "true", CUDA_VISIBLE_DEVICES="0").returncode == 1


def test_a_failing_job_ends_the_others_and_shows_its_log(launcher: str, work: Path) -> None:
    script = '[ JOB = 2 ] && { seq 101 130; exit 3; }; touch "$0/started.JOB"; sleep 60; touch "$0/ended.JOB"'
    began = time.monotonic()
    arguments = ["--max-jobs-run", 2, "JOB=1:5", work / "log" / "f.JOB.log", "bash", "-c", script, work]
    done = call(launcher, *arguments)
    assert done.returncode == 1
    assert time.monotonic() - began < 10
    assert "job 2 of 5 failed: exit code 3" in done.stderr
    assert str(work / "log" / "f.2.log") in done.stderr
    shown = [line.strip() for line in done.stderr.splitlines()[2:]]
    assert shown == [str(n) for n in range(111, 131)], "the last 20 lines"
    assert "# Ended (code 3)" in (work / "log" / "f.2.log").read_text()
    assert "# Ended (code 143)" in (work / "log" / "f.1.log").read_text()
    assert not list(work.glob("ended.*")) and not (work / "log" / "f.4.log").exists()


def test_a_job_killed_from_outside_is_a_failure(launcher: str, work: Path) -> None:
    done = call(launcher, work / "k.log", "bash", "-c", "kill -9 $$")
    assert done.returncode == 1
    assert "SIGKILL" in done.stderr


def test_a_command_that_does_not_exist_is_named(launcher: str, work: Path) -> None:
    done = call(launcher, work / "k.log", "no-such-program", "x")
    assert done.returncode == 1
    assert "cannot run no-such-program: No such file or directory" in done.stderr


@LINUX
def test_a_full_disk_names_the_log(launcher: str, work: Path) -> None:
    done = call(launcher, "/dev/full", "true")
    assert done.returncode == 1
    assert done.stderr == "local: [Errno 28] No space left on device: '/dev/full'\n"


@LINUX
def test_a_log_that_cannot_be_finished_is_named(launcher: str, work: Path) -> None:
    small = ["bash", "-c", 'ulimit -f 1 && exec "$@"', "small"]  # files of 1 KiB at most
    done = call(*small, launcher, work / "one.log", "head", "-c", "5000", "/dev/zero")
    assert done.returncode == 1
    assert done.stderr == f"local: [Errno 27] File too large: '{work / 'one.log'}'\n"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["JOB=1:2", "x.log", "true"], "share one log"),
        (["JOB=2:1", "x.JOB.log", "true"], "holds no job"),
        (["--nmu-threads", "2", "x.log", "true"], "--num-threads"),
        (["--max-jobs-run", "0", "x.log", "true"], "cannot be '0'"),
        (["x.log"], "usage"),
        (["x.log", "cat", "a", "|", "wc"], "no shell"),
    ],
)
def test_what_breaks_the_contract_is_refused(launcher: str, arguments: list[str], said: str) -> None:
    done = call(launcher, *arguments)
    assert done.returncode == 1
    assert said in done.stderr
    assert "Traceback" not in done.stderr


def test_a_single_job_can_be_watched(launcher: str, work: Path) -> None:
    done = call(launcher, work / "t.log", "bash", "-c", "echo one; sleep 0.3; echo two", TIMBRE_SHOW="1")
    assert done.stderr == "one\ntwo\n"


# Each job starts a process in its group and one in a session of its own, as torchrun does, and says all ids.
FAMILY = 'setsid sleep 300 & a=$!; sleep 300 & echo $$ $a $! > "$0/pids.JOB"; wait'
# What may stand between a killed driver and the launcher: nothing, or a step that lives on.
DIRECT = ["bash", "-c", '"$@"; true', "driver"]
WITH_STEP = ["bash", "-c", 'bash -c "\\"\\$@\\"; true" step "$@"; true', "driver"]
Started = tuple[subprocess.Popen[bytes], list[int]]


def start_family(launcher: str, work: Path, prefix: list[str], **more: object) -> Started:
    """A launcher with two such jobs, as the child of ``prefix`` if any; (process, every id below it)."""
    line = [*prefix, launcher, "--max-jobs-run", "2", "JOB=1:2", str(work / "log" / "f.JOB.log")]
    process = subprocess.Popen([*line, "bash", "-c", FAMILY, str(work)], stderr=subprocess.DEVNULL, **more)
    files = [work / "pids.1", work / "pids.2"]
    assert wait_for(lambda: all(f.exists() and len(f.read_text().split()) == 3 for f in files))
    return process, [int(pid) for f in files for pid in f.read_text().split()]


@LINUX
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_the_jobs_and_all_they_started(launcher: str, work: Path, number: int) -> None:
    process, pids = start_family(launcher, work, [])
    process.send_signal(number)
    assert process.wait(20) == 128 + number
    assert not [pid for pid in pids if running(pid)]
    assert "# Ended (code 143)" in (work / "log" / "f.1.log").read_text()


# run.sh with its step, as a terminal's foreground job.
FOREGROUND = """set -euo pipefail
. steps/lock.sh
export TIMBRE_DRIVER_PID=$$ TIMBRE_ROOT
lock "$1" && shift
echo 'set -euo pipefail; . steps/attend.sh; patient; attend "$@"; echo the step went on' >"$1/step.sh"
attend --bound bash "$1/step.sh" "${@:2}"
echo the driver went on
"""


@LINUX
def test_ctrl_c_on_the_terminal_ends_everything_and_frees_the_work_folder(
    launcher: str, work: Path, repo: Path
) -> None:
    job = ["--max-jobs-run", "2", "JOB=1:2", str(work / "log" / "f.JOB.log"), "bash", "-c", FAMILY, str(work)]
    line = ["bash", "-c", FOREGROUND, "driver", str(work / "held"), str(work), launcher, *job]
    pid, terminal = pty.fork()
    if pid == 0:
        os.chdir(repo)
        os.execvp(line[0], line)
    files = [work / "pids.1", work / "pids.2"]
    assert wait_for(lambda: all(f.exists() and len(f.read_text().split()) == 3 for f in files))
    os.write(terminal, b"\x03")
    assert wait_for(lambda: os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None)
    said = os.read(terminal, 65536).decode()
    assert os.waitpid(pid, 0)[1] != 0
    assert "f: stopped; 0 of 2 jobs were done" in said and "went on" not in said
    assert wait_for(lambda: not [p for f in files for p in f.read_text().split() if running(int(p))])
    with open(work / "held" / ".lock") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    os.close(terminal)


@LINUX
def test_jobs_die_with_a_killed_launcher(launcher: str, work: Path) -> None:
    process, pids = start_family(launcher, work, [])
    process.kill()
    process.wait()
    assert wait_for(lambda: not [pid for pid in pids if running(pid)])


@LINUX
def test_jobs_die_with_a_killed_process_group(launcher: str, work: Path) -> None:
    process, pids = start_family(launcher, work, DIRECT, start_new_session=True)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    assert wait_for(lambda: not [pid for pid in pids if running(pid)])


@LINUX
@pytest.mark.parametrize("prefix", [DIRECT, WITH_STEP])
def test_jobs_die_with_a_killed_driver(launcher: str, work: Path, prefix: list[str]) -> None:
    """Also when the driver is the launcher's grandparent and the step between them lives on."""
    wrapped = ["bash", "-c", 'export TIMBRE_DRIVER_PID=$$; exec "$@"', "x", *prefix]
    process, pids = start_family(launcher, work, wrapped)
    process.kill()
    process.wait()
    assert wait_for(lambda: not [pid for pid in pids if running(pid)])


@LINUX
def test_the_inherited_lock_is_free_only_when_the_jobs_are_gone(launcher: str, work: Path) -> None:
    with open(work / "lock", "w") as mine:
        fcntl.flock(mine, fcntl.LOCK_EX)
        process, pids = start_family(launcher, work, [], pass_fds=(mine.fileno(),))
    with open(work / "lock", "w") as other:
        with pytest.raises(BlockingIOError):
            fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)
        process.kill()
        process.wait()
        fcntl.flock(other, fcntl.LOCK_EX)
        assert not [pid for pid in pids if running(pid)]
