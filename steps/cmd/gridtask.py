"""One task of a Grid Engine array, on its node: gridtask.py SPEC INDEX.

SPEC (written by grid.py) says command, log, folder and environment of every task. The exit code lands in
INDEX.exit beside it, whole or not at all. Grid Engine ends a task by SIGKILL to all its processes: then
there is no exit code, and the launcher sees the task gone from the queue.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time

from jobs import Events, Job

GRACE = 10.0  # seconds between asking the command to end and ending it


def run(spec: dict, index: int) -> int:
    """The command's exit code; 143 when this task was told to end."""
    os.chdir(spec["cwd"])
    for name in spec["unset"]:
        os.environ.pop(name, None)
    os.environ.update(spec["environment"])
    which = f"{os.environ.get('JOB_ID', '?')}.{os.environ.get('SGE_TASK_ID', '?')}"
    place = f", job {spec['jobs'][index]} of {spec['last']}, Grid Engine job {which}"
    events = Events()
    job = Job(spec["argv"][index], spec["logs"][index], place=place, threads=spec["threads"], extra={})
    while (code := job.poll()) is None and not events.signal and not events.orphaned():
        events.wait(10.0)
    if code is not None:
        return code
    for number in (signal.SIGTERM, signal.SIGKILL):
        job.signal(number)
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
    with open(f"{place}.{os.uname().nodename}.{os.getpid()}", "w", encoding="utf-8") as handle:
        handle.write(f"{code}\n")
        handle.flush()
        os.fsync(handle.fileno())
    os.replace(handle.name, place)
    return code


if __name__ == "__main__":
    sys.exit(min(main(sys.argv[1], int(sys.argv[2])), 1))  # 99 and 100 mean something to Grid Engine
