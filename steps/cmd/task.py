"""One task of a Slurm array, on its node: task.py SPEC INDEX.

SPEC (written by steps/cmd/slurm) says command, log, folder and environment of every task. The exit code
lands in INDEX.exit beside it, whole or not at all: without a database Slurm itself cannot tell it later.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time

from jobs import Events, Job

GRACE = 10.0  # Slurm gives 30 s (KillWait) between SIGTERM and SIGKILL


def run(spec: dict, index: int) -> int:
    """The command's exit code; 143 when Slurm ended it."""
    os.chdir(spec["cwd"])
    for name in spec["unset"]:
        os.environ.pop(name, None)
    os.environ.update(spec["environment"])
    number = spec["jobs"][index]
    place = f", job {number} of {spec['last']}, Slurm job {os.environ.get('SLURM_JOB_ID', '?')}"
    events = Events()
    job = Job(spec["argv"][index], spec["logs"][index], place=place, threads=spec["threads"], extra={})
    while (code := job.poll()) is None and not events.signal and not events.orphaned():
        events.wait(10.0)
    if code is not None:
        return code
    for last in (signal.SIGTERM, signal.SIGKILL):
        job.signal(last)
        deadline = time.monotonic() + GRACE
        while time.monotonic() < deadline:
            if job.poll() is not None:
                return 128 + signal.SIGTERM
            time.sleep(0.05)
    return 128 + signal.SIGKILL


def main(path: str, index: int) -> int:
    with open(path, encoding="utf-8", errors="surrogateescape") as handle:
        spec = json.load(handle)
    try:
        code = run(spec, index)
    except OSError as error:
        print(f"{os.uname().nodename}: {error}", file=sys.stderr)
        code = 126
    place = os.path.join(os.path.dirname(path), f"{index}.exit")
    with open(f"{place}.{os.getpid()}", "w", encoding="utf-8") as handle:
        handle.write(f"{code}\n")
        handle.flush()
        os.fsync(handle.fileno())
    os.replace(handle.name, place)
    return code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], int(sys.argv[2])))
