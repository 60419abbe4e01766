"""steps/cmd/task.py, which runs one task of an array on its node."""

from __future__ import annotations

import importlib
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

QUEUES = ("SLURM_JOB_ID", "SLURM_ARRAY_JOB_ID", "SLURM_ARRAY_TASK_ID", "JOB_ID", "SGE_TASK_ID")


def run(repo: Path, folder: Path, *command: str, **queue: str) -> int:
    """The exit status of a task that is job 5 of 7; its log is ``folder``/5.log."""
    spec = {"argv": [command], "logs": [str(folder / "5.log")], "jobs": [5], "last": 7, "threads": 1}
    spec |= {"cwd": str(folder), "environment": {}, "unset": []}
    (folder / "spec.json").write_text(json.dumps(spec))
    line = [sys.executable, "-S", str(repo / "steps" / "cmd" / "task.py"), str(folder / "spec.json"), "0"]
    clean = {name: value for name, value in os.environ.items() if name not in QUEUES}
    return subprocess.run(line, env={**clean, **queue}, timeout=60).returncode


@pytest.mark.parametrize("code", [0, 3, 99, 100])
def test_an_exit_code_is_written_and_means_nothing_else_to_grid_engine(
    repo: Path, tmp_path: Path, code: int
) -> None:
    """Which would put a task back that ends with 99, and hold one that ends with 100."""
    assert run(repo, tmp_path, "bash", "-c", f"exit {code}") == (1 if code else 0)
    assert (tmp_path / "0.exit").read_text() == f"{code}\n"


@pytest.mark.parametrize(
    ("queue", "name"),
    [
        (
            {"SLURM_JOB_ID": "9", "SLURM_ARRAY_JOB_ID": "8", "SLURM_ARRAY_TASK_ID": "2"},
            "Slurm job 8_2 (9)",
        ),
        ({"SLURM_JOB_ID": "9"}, "Slurm job 9"),
        ({"JOB_ID": "4", "SGE_TASK_ID": "3"}, "Grid Engine job 4.3"),
    ],
)
def test_the_log_says_what_the_scheduler_calls_the_task(
    repo: Path, tmp_path: Path, queue: dict[str, str], name: str
) -> None:
    assert run(repo, tmp_path, "true", **queue) == 0
    assert (tmp_path / "5.log").read_text().splitlines()[1].endswith(f", job 5 of 7, {name}")


def refuse(*_: object) -> None:
    """In the place of os.fsync: a disk that lost what was written."""
    raise OSError(5, "Input/output error")


@pytest.mark.parametrize("name", ["spec.json", "0.exit"])
def test_what_a_failing_disk_refuses_has_no_final_name(
    repo: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.syspath_prepend(str(repo / "steps" / "cmd"))
    task, sbatch = importlib.import_module("task"), importlib.import_module("sbatch")
    write: dict[str, Callable[[], object]] = {
        "spec.json": lambda: sbatch.task_command(str(tmp_path), {}),
        "0.exit": lambda: task.main(str(tmp_path / "given.json"), 0),
    }
    (tmp_path / "given.json").write_text("{}")
    monkeypatch.setattr(task, "run", lambda *_: (0, ""))
    monkeypatch.setattr(os, "fsync", refuse)
    with pytest.raises(OSError, match="Input/output error"):
        write[name]()
    assert not (tmp_path / name).exists()
