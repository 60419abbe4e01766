"""Who works in a run's folder, and what it has in a queue, for --status: at no cost, so no queue is asked."""

from __future__ import annotations

import json
import socket
import time
from pathlib import Path
from typing import NamedTuple

from ..formats.run import Run

STALE = 75.0  # seconds without a word from a lease's holder (steps/lease.py)


class Array(NamedTuple):
    """An entry of the record that steps/cmd/arrays.py keeps."""

    name: str
    folder: str
    jobs: list[int]
    number: str | None


def at_work(run: Run) -> list[str]:
    """Lines on the process that holds the work folder, and the arrays of this tag as last heard of."""
    return [*_holder(Path(run.work)), *_slurm(run.exp / "log" / ".slurm"), *_grid(run.exp / "log" / ".sge")]


def _holder(work: Path) -> list[str]:
    lease = work / ".lease"
    try:
        host, pid, job, *_ = lease.read_text("utf-8").split()
        age = time.time() - lease.stat().st_mtime
    except (OSError, ValueError):  # nobody is at work
        return []
    who = f"process {pid} on {host}" + (f", Slurm job {job}" if job != "-" else "")
    here = host == socket.gethostname() and Path("/proc/1").exists()
    gone = not Path(f"/proc/{pid}").exists() if here else age > STALE
    if gone:
        return [f"  {who} was at work here and is gone: start again and it goes on"]
    return [f"  at work here: {who}"]


def _slurm(folder: Path) -> list[str]:
    lines = []
    for record in sorted(folder.glob("*.json")):
        try:
            arrays = [Array(*entry) for entry in json.loads(record.read_text("utf-8"))["arrays"]]
        except (OSError, ValueError, KeyError, TypeError):  # it has just ended, or is damaged
            continue
        for array in arrays:
            count = f"{len(array.jobs)} job{'s' * (len(array.jobs) > 1)}"
            said = f"Slurm array {array.number or array.name}, {count} (see squeue --me)"
            lines.append(f"  {record.stem}: {said}")
    return lines


def _grid(folder: Path) -> list[str]:
    names = sorted(path.name for path in folder.glob("*/*") if path.is_dir())
    return [f"  {name.partition('.')[0]}: Grid Engine array {name} (see qstat)" for name in names]
