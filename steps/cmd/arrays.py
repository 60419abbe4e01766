"""Slurm job arrays of one fan-out: submitted, found again, looked at, cancelled. Standard library only.

Everything is asked of squeue by job name, and a name is used once: it is on disk before sbatch is called,
so an array is found again even if this process was killed before it learned the array's id.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shlex
import subprocess
import sys
import time
from typing import Any, NamedTuple

from contract import Request

HERE = os.path.dirname(os.path.abspath(__file__))
# What a task must have as this process has it, whatever the site does with environments.
MEANINGFUL = ("VIRTUAL_ENV", "PYTHON", "OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
SHARED = (*MEANINGFUL, "PATH", "PYTHONPATH", "LD_LIBRARY_PATH", "LC_ALL", "PYTHONUTF8")
# What belongs to this machine alone.
PRIVATE = ("TIMBRE_LOCK_FD", "TIMBRE_DRIVER_PID", "TIMBRE_SHOW", "TIMBRE_LAUNCH")
PASSING = ("timed out", "temporarily", "Unable to contact", "try again", "Connection refused")
PATIENCE = 15.0  # seconds that cancelled tasks get to leave


class SlurmError(Exception):
    """Slurm refused or cannot be reached."""


class Task(NamedTuple):
    """Task ``index`` of the array called ``name``: job number ``job`` of the fan-out."""

    name: str
    index: int
    job: int


class Array:
    """One submission; ``open`` are the tasks whose end is not known yet."""

    def __init__(self, name: str, folder: str, jobs: list[int], number: str | None) -> None:
        self.name, self.folder, self.jobs, self.number = name, folder, jobs, number
        self.open = {Task(name, index, job) for index, job in enumerate(jobs)}

    def exits(self) -> dict[Task, int]:
        """Exit codes of open tasks that have ended."""
        here = {name for name in os.listdir(self.folder) if name.endswith(".exit")}
        ended = {}
        for task in sorted(self.open):
            if f"{task.index}.exit" in here:
                with open(os.path.join(self.folder, f"{task.index}.exit"), encoding="utf-8") as handle:
                    ended[task] = int(handle.read())
        return ended


def fingerprint(request: Request) -> str:
    """A hash of what the fan-out does: its words, its folder, and the files that its words name."""
    parts: list[object] = [request.command, request.log, list(request.jobs), os.getcwd()]
    for word in request.command:
        if os.path.isfile(word) and os.path.getsize(word) < 2**22:
            with open(word, "rb") as handle:
                parts.append(hashlib.sha256(handle.read()).hexdigest())
    parts.append([(name, os.environ.get(name)) for name in MEANINGFUL])
    return hashlib.sha256(repr(parts).encode("utf-8", "surrogateescape")).hexdigest()


def ask(*command: str) -> subprocess.CompletedProcess[str]:
    """One Slurm program, out of reach of the terminal's Ctrl-C."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("SQUEUE_")}
    try:
        return subprocess.run(
            command, capture_output=True, text=True, start_new_session=True, timeout=60, env=environment
        )
    except FileNotFoundError as error:
        raise SlurmError(f"there is no {command[0]} here: is this a machine of the cluster?") from error
    except subprocess.TimeoutExpired:
        return subprocess.CompletedProcess(command, 1, "", f"{command[0]} timed out")


class Queue:
    """The arrays of one fan-out."""

    def __init__(self, request: Request, settings: dict[str, str]) -> None:
        self._request, self._settings = request, settings
        base = os.path.join(os.path.dirname(os.path.abspath(request.log)), ".slurm", request.name)
        self._folder, self._record = base, base + ".json"
        self._mark = fingerprint(request)
        self._unheard = False
        self.arrays: list[Array] = []

    def submit(self, jobs: list[int]) -> None:
        """One array for these jobs; SlurmError with sbatch's words if it is refused."""
        name = re.sub(r"[^\w.-]", "_", self._request.name) + "." + os.urandom(4).hex()
        array = Array(name, os.path.join(self._folder, name), jobs, None)
        os.makedirs(array.folder)
        script = self._write_script(array)
        self.arrays.append(array)
        self._save()
        for attempt in range(5):
            said = ask("sbatch", *self._options(array), script)
            if said.returncode == 0:
                array.number = said.stdout.strip().partition(";")[0]
                break
            if not any(word in said.stderr for word in PASSING):
                self.arrays.remove(array)
                self._save()
                raise SlurmError(f"sbatch refused {self._request.name}: {said.stderr.strip()}")
            time.sleep(1 + attempt)
            if (self.states() or {}).keys() & array.open:
                break  # it was accepted after all; its name is enough
        else:
            raise SlurmError(f"sbatch cannot be reached: {said.stderr.strip()}")
        self._save()

    def adopt(self) -> dict[int, int] | None:
        """Take over what an earlier run left in the queue, if it does the same: failures so far by job.

        What does something else is cancelled; None if nothing is taken over.
        """
        try:
            with open(self._record, encoding="utf-8") as handle:
                record = json.load(handle)
        except FileNotFoundError:
            return None
        self.arrays = [Array(*entry) for entry in record["arrays"] if os.path.isdir(entry[1])]
        for _ in range(60):
            if (states := self.states()) is not None:
                break
            time.sleep(2)
        else:
            raise SlurmError("the queue cannot be asked what became of an earlier run's jobs")
        ids = ", ".join(sorted({array.number or array.name for array in self.arrays}))
        found = f"slurm: {self._request.name}: an earlier run's array {ids}"
        if states and record["mark"] == self._mark:
            sys.stderr.write(f"{found} is queued: waiting for it\n")
            failures: dict[int, int] = {}
            for place, array in enumerate(self.arrays):  # a failed task counts where it was submitted last
                later = {job for other in self.arrays[place + 1 :] for job in other.jobs}
                for task in [task for task in array.open if task.job in later]:
                    array.open.discard(task)
                    failures[task.job] = failures.get(task.job, 0) + 1
            return failures
        if states:
            sys.stderr.write(f"{found} did something else: cancelling it\n")
            self.cancel()
        self.forget()
        return None

    def states(self) -> dict[Task, tuple[str, str]] | None:
        """(state, reason) of the tasks in the queue; None if Slurm does not answer, which passes."""
        names = {array.name: array for array in self.arrays}
        if not names:
            return {}
        asked = ("-u", str(os.getuid()), "--name", ",".join(names), "-o", "%j %K %T %r")
        said = ask("squeue", "-h", "-r", *asked)
        if said.returncode:
            if not self._unheard:
                sys.stderr.write(f"slurm: squeue: {said.stderr.strip()}; asking again\n")
            self._unheard = True
            return None
        self._unheard = False
        found = {}
        for line in said.stdout.splitlines():
            name, index, state, *reason = line.split(None, 3)
            if name in names and index.isdigit():
                task = Task(name, int(index), names[name].jobs[int(index)])
                found[task] = (state, reason[0] if reason else "")
        return found

    def verdict(self, task: Task) -> str:
        """Slurm's word for how a task ended (CANCELLED, TIMEOUT, OUT_OF_MEMORY ...), empty if it forgot."""
        for _ in range(10):
            said = ask("scontrol", "show", "job", "-o", self.number_of(task))
            match = re.search(r"\bJobState=(\w+)", said.stdout)
            if not match or match[1] not in ("RUNNING", "COMPLETING"):
                break
            time.sleep(0.5)
        return match[1] if match and match[1] not in ("RUNNING", "COMPLETING", "COMPLETED") else ""

    def cancel(self) -> None:
        """Cancel all arrays and wait until they are gone, so that no restart meets their tasks."""
        for array in self.arrays:
            if array.number:
                ask("scancel", array.number)
            else:
                ask("scancel", "-u", str(os.getuid()), "--name", array.name)
        deadline = time.monotonic() + PATIENCE
        while self.states() != {} and time.monotonic() < deadline:
            time.sleep(0.2)

    def forget(self) -> None:
        """Remove what was kept about the arrays."""
        for array in self.arrays:
            for name in os.listdir(array.folder):
                _unlink(os.path.join(array.folder, name))
            _rmdir(array.folder)
        self.arrays = []
        _unlink(self._record)
        _rmdir(self._folder)

    def number_of(self, task: Task) -> str:
        """What Slurm calls the task: 123_4."""
        number = next((array.number for array in self.arrays if array.name == task.name), None)
        return f"{number or '?'}_{task.index}"

    def output_of(self, task: Task) -> str:
        """Where Slurm itself wrote, when the task could not even begin its log."""
        return os.path.join(self._folder, task.name, f"{task.index}.out")

    def _options(self, array: Array) -> list[str]:
        request, kind = self._request, "gpu" if self._request.number("gpu", 0) else "cpu"
        width = request.options.get("max-jobs-run") or self._settings.get("max_jobs_run")
        options = ["--parsable", "--no-requeue", f"--job-name={array.name}", f"--chdir={os.getcwd()}"]
        options += [f"--array=0-{len(array.jobs) - 1}" + (f"%{width}" if width else "")]
        options += [f"--output={array.folder.replace('%', '%%')}/%a.out", "--nodes=1", "--ntasks=1"]
        options += [f"--cpus-per-task={request.number('num-threads', 1)}"]
        if request.gigabytes:
            options += [f"--mem={max(1, round(request.gigabytes * 1024))}M"]
        if kind == "gpu":
            options += [f"--gres={self._settings.get('gpu.gres', 'gpu')}:{request.number('gpu', 0)}"]
        for key in ("partition", "account", "qos", "time"):
            value = request.options.get(key) or self._settings.get(f"{kind}.{key}")
            options += [f"--{key}={value}"] if value else []
        return options + shlex.split(self._settings.get(f"{kind}.extra", ""))

    def _write_script(self, array: Array) -> str:
        request = self._request
        environment = {name: os.environ[name] for name in SHARED if name in os.environ}
        environment |= {name: value for name, value in os.environ.items() if name.startswith("TIMBRE_")}
        spec = {
            "argv": [request.argv(job) for job in array.jobs],
            "logs": [os.path.abspath(request.log_of(job)) for job in array.jobs],
            "jobs": array.jobs,
            "last": request.jobs[-1],
            "threads": request.number("num-threads", 1),
            "cwd": os.getcwd(),
            "environment": {name: value for name, value in environment.items() if name not in PRIVATE},
            "unset": list(PRIVATE),
        }
        _write(os.path.join(array.folder, "spec.json"), json.dumps(spec))
        words = [sys.executable, "-S", os.path.join(HERE, "task.py"), os.path.join(array.folder, "spec.json")]
        script = os.path.join(array.folder, "task.sh")
        _write(script, f'#!/bin/bash\nexec {shlex.join(words)} "$SLURM_ARRAY_TASK_ID"\n')
        return script

    def _save(self) -> None:
        entries: list[Any] = [[array.name, array.folder, array.jobs, array.number] for array in self.arrays]
        _write(self._record, json.dumps({"mark": self._mark, "arrays": entries}))


def _write(path: str, text: str) -> None:
    """Whole or not at all."""
    with open(f"{path}.{os.getpid()}", "w", encoding="utf-8", errors="surrogateescape") as handle:
        handle.write(text)
        handle.flush()
        os.fsync(handle.fileno())
    os.replace(handle.name, path)


def _unlink(path: str) -> None:
    try:
        os.unlink(path)
    except FileNotFoundError:
        pass


def _rmdir(path: str) -> None:
    try:
        os.rmdir(path)
    except OSError:
        pass  # a node still writes there
