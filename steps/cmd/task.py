"""One task of a Slurm or Grid Engine array, on its node: task.py SPEC INDEX.

SPEC (sbatch.task_spec) says command, log, folder and environment of every task. The exit code lands in
INDEX.exit beside it, whole or not at all: without a database Slurm itself cannot tell it later. A second
line there says what the code cannot: that the job was ended for the memory it used. Grid Engine may end a
task by SIGKILL to all its processes: then there is no exit code, and the launcher sees it gone.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time

from jobs import Events, Job

GRACE = 10.0  # seconds between SIGTERM and SIGKILL; Slurm gives 30 s (KillWait)
PERIOD = 0.5  # seconds between two looks at the memory


def family(root: int) -> list[int]:
    """``root`` and all processes below it, also those in a session of their own (torchrun's workers)."""
    children: dict[int, list[int]] = {}
    for name in os.listdir("/proc"):
        if name.isdigit():
            try:
                with open(f"/proc/{name}/stat", encoding="utf-8", errors="replace") as handle:
                    parent = int(handle.read().rpartition(")")[2].split()[1])
            except OSError:
                continue  # gone in the meantime
            children.setdefault(parent, []).append(int(name))
    found = [root]
    for pid in found:
        found += children.get(pid, [])
    return found


def used_megabytes(root: int, limit: int) -> int:
    """Resident memory of ``root`` and all below it; what they share is counted once where that decides."""
    kilobytes = shared_once = 0
    pids = family(root)
    for pid in pids:
        kilobytes += _field(f"/proc/{pid}/status", "VmRSS:")
    if kilobytes <= 1024 * limit:
        return kilobytes // 1024
    for pid in pids:  # each page divided by how many have it: exact, and a hundred times the work
        shared_once += _field(f"/proc/{pid}/smaps_rollup", "Pss:")
    return (shared_once or kilobytes) // 1024


def _field(path: str, name: str) -> int:
    try:
        with open(path, encoding="utf-8", errors="replace") as handle:
            return next((int(line.split()[1]) for line in handle if line.startswith(name)), 0)
    except OSError:
        return 0


def too_much(job: Job, limit: int | None) -> str:
    """What to say when the job uses more than ``limit`` megabytes; empty as long as it does not."""
    if limit is None or job.process is None:
        return ""
    used = used_megabytes(job.process.pid, limit)
    return f"out of memory: {used} MB used" if used > limit else ""


def name_of_task() -> str:
    """What the scheduler calls this task."""
    here = os.environ
    if "SLURM_JOB_ID" in here:
        number = here["SLURM_JOB_ID"]
        if "SLURM_ARRAY_JOB_ID" not in here:
            return f"Slurm job {number}"
        # What squeue and the launcher say, and what Slurm's own log files say.
        return f"Slurm job {here['SLURM_ARRAY_JOB_ID']}_{here.get('SLURM_ARRAY_TASK_ID', '?')} ({number})"
    return f"Grid Engine job {here.get('JOB_ID', '?')}.{here.get('SGE_TASK_ID', '?')}"


def run(spec: dict, index: int) -> tuple[int, str]:
    """The command's exit code, 143 when the scheduler ended it; and what the code cannot say."""
    os.chdir(spec["cwd"])
    for name in spec["unset"]:
        os.environ.pop(name, None)
    os.environ.update(spec["environment"])
    number = spec["jobs"][index]
    place = f", job {number} of {spec['last']}, {name_of_task()}"
    events = Events()
    job = Job(spec["argv"][index], spec["logs"][index], place=place, threads=spec["threads"], extra={})
    limit, words = spec.get("megabytes"), ""
    while (code := job.poll()) is None and not words and not events.signal and not events.orphaned():
        events.wait(10.0 if limit is None else PERIOD)
        words = too_much(job, limit)
    if code is not None:
        return code, ""
    if words:
        with open(job.log, "a", encoding="utf-8") as log:
            log.write(f"# {words}, {limit} MB asked for\n")
    for last in (signal.SIGKILL,) if words else (signal.SIGTERM, signal.SIGKILL):
        job.signal(last)
        deadline = time.monotonic() + GRACE
        while time.monotonic() < deadline:
            if job.poll() is not None:
                return 128 + (signal.SIGKILL if words else signal.SIGTERM), words
            time.sleep(0.05)
    return 128 + signal.SIGKILL, words


def main(path: str, index: int) -> int:
    with open(path, encoding="utf-8", errors="surrogateescape") as handle:
        spec = json.load(handle)
    place = os.path.join(os.path.dirname(path), f"{index}.exit")
    if os.path.exists(place):
        os.unlink(place)  # of an earlier attempt: the scheduler has put this task back
    try:
        code, words = run(spec, index)
    except OSError as error:
        print(f"{os.uname().nodename}: {error}", file=sys.stderr)
        code, words = 126, ""
    with open(f"{place}.{os.uname().nodename}.{os.getpid()}", "w", encoding="utf-8") as handle:
        handle.write(f"{code}\n{words}\n" if words else f"{code}\n")
        handle.flush()
        os.fsync(handle.fileno())
    os.replace(handle.name, place)
    return code


if __name__ == "__main__":
    # The code is in the file; as an exit status 99 and 100 would mean something to Grid Engine.
    sys.exit(min(main(sys.argv[1], int(sys.argv[2])), 1))
