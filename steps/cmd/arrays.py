"""Slurm job arrays of one fan-out: submitted, found again, looked at, cancelled. Standard library only.

Everything is asked of squeue by job name, and a name is used once: it is on disk before sbatch is called,
so an array is found again even if this process was killed before it learned the array's id.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import subprocess
import sys
import time
from typing import Any, NamedTuple

from contract import QueueError, Request
from jobs import Events, ask, nap
from sbatch import MEANINGFUL, in_words, options_of, write_script, write_whole
from sbatch import PRIVATE as PRIVATE
from sbatch import SHARED as SHARED

# A controller that restarts or hands over to another: worth waiting for.
PASSING = ("timed out", "temporarily", "Unable to contact", "try again", "Connection refused", "backup")
HELD = "launch_failed_requeued_held"
OUTAGE = 300.0  # seconds that a controller may be away
PATIENCE = 15.0  # seconds that cancelled tasks get to leave


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
            if f"{task.index}.exit" in here and (lines := self._exit_file(task)):
                ended[task] = int(lines[0])
        return ended

    def words(self, task: Task) -> str:
        """What the task itself says about its end, beside the code."""
        return "".join(self._exit_file(task)[1:])

    def not_ended(self, task: Task) -> None:
        """The task will run again as the same task: its exit code is void."""
        _unlink(os.path.join(self.folder, f"{task.index}.exit"))

    def refresh(self) -> None:
        """Make a network file system look again: a change of one's own voids what it remembers."""
        path = os.path.join(self.folder, f".look.{os.getpid()}")
        with open(path, "w"):
            pass
        _unlink(path)

    def _exit_file(self, task: Task) -> list[str]:
        try:
            with open(os.path.join(self.folder, f"{task.index}.exit"), encoding="utf-8") as handle:
                return handle.read().splitlines()
        except FileNotFoundError:  # a requeued task took it back
            return []


def fingerprint(request: Request) -> str:
    """A hash of what the fan-out does: its words, its folder, and the files that its words name."""
    parts: list[object] = [request.command, request.log, list(request.jobs), os.getcwd()]
    for word in request.command:
        if os.path.isfile(word) and os.path.getsize(word) < 2**22:
            with open(word, "rb") as handle:
                parts.append(hashlib.sha256(handle.read()).hexdigest())
    parts.append([(name, os.environ.get(name)) for name in MEANINGFUL])
    return hashlib.sha256(repr(parts).encode("utf-8", "surrogateescape")).hexdigest()


class Queue:
    """The arrays of one fan-out."""

    launcher = "slurm"

    def __init__(self, request: Request, settings: dict[str, str], events: Events | None = None) -> None:
        self._request, self._settings, self._events = request, settings, events
        base = os.path.join(os.path.dirname(os.path.abspath(request.log)), ".slurm", request.name)
        self._folder, self._record = base, base + ".json"
        self._mark = fingerprint(request)
        self._unheard = False
        self.arrays: list[Array] = []

    def submit(self, jobs: list[int]) -> None:
        """One array for these jobs; QueueError with sbatch's words if it is refused."""
        name = re.sub(r"[^\w.-]", "_", self._request.name) + "." + os.urandom(4).hex()
        array = Array(name, os.path.join(self._folder, name), jobs, None)
        os.makedirs(array.folder)
        options = options_of(self._request, self._settings, name, array.folder, len(jobs))
        script = write_script(self._request, self._settings, array.folder, jobs)
        self.arrays.append(array)
        self._save()
        deadline, attempt = time.monotonic() + OUTAGE, 0
        while True:
            said = self._ask("sbatch", *options, script, grace=10.0)
            if said.returncode == 0:
                array.number = said.stdout.strip().partition(";")[0]
                break
            if not any(word in said.stderr for word in PASSING):
                self.arrays.remove(array)
                self._save()
                asked = in_words(self._request, self._settings)
                raise QueueError(f"sbatch refused {self._request.name}: {said.stderr.strip()}; {asked}")
            attempt += 1
            nap(self._events, min(attempt, 10))
            states = self._heard(deadline, f"sbatch cannot be reached: {said.stderr.strip()}")
            if states.keys() & array.open or array.exits():
                break  # it was accepted after all; its name is enough
        self._save()
        said_to_be = f"Slurm array {array.number or name}"
        sys.stderr.write(f"{self._request.name}: {said_to_be}, {self._request.in_words(jobs)}\n")

    def _heard(self, deadline: float, otherwise: str) -> dict[Task, tuple[str, str]]:
        """``states`` as soon as Slurm answers; QueueError when it has not by then."""
        while (states := self.states()) is None or time.monotonic() > deadline:
            if time.monotonic() > deadline:
                raise QueueError(otherwise)
            nap(self._events, 2)
        return states

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
        unknown = f"squeue does not say what became of an earlier run's jobs ({self._record})"
        states = self._heard(time.monotonic() + OUTAGE, unknown)
        ids = ", ".join(sorted({array.number or array.name for array in self.arrays}))
        found = f"slurm: {self._request.name}: an earlier run's array {ids}"
        avoid = "not to wait: scancel it, or ./run.sh --force, which begins anew"
        if states and record["mark"] == self._mark:
            sys.stderr.write(f"{found} is still queued or running: waiting for it ({avoid})\n")
            failures: dict[int, int] = {}
            for place, array in enumerate(self.arrays):  # a failed task counts where it was submitted last
                later = {job for other in self.arrays[place + 1 :] for job in other.jobs}
                for task in [task for task in array.open if task.job in later]:
                    array.open.discard(task)
                    failures[task.job] = failures.get(task.job, 0) + 1
            return failures
        if states:
            sys.stderr.write(f"{found} is still queued or running: cancelling it\n")
            if not self.cancel(patience=60.0):
                raise QueueError(f"array {ids} does not leave the queue: see squeue --me")
        self.forget()
        return None

    def states(self) -> dict[Task, tuple[str, str]] | None:
        """(state, reason) of the tasks in the queue; None if Slurm does not answer, which passes.

        STUCK: a node could not start the task, and Slurm waits for somebody to release it.
        """
        names = {array.name: array for array in self.arrays}
        if not names:
            return {}
        asked = ("-u", str(os.getuid()), "--name", ",".join(names), "-o", "%j %K %T %r")
        said = self._ask("squeue", "-h", "-r", *asked)
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
                word = reason[0] if reason else ""
                found[task] = ("STUCK" if HELD in word.replace(" ", "_") else state, word)
        return found

    def verdict(self, task: Task) -> str:
        """Slurm's word for how a task ended (CANCELLED, TIMEOUT, OUT_OF_MEMORY ...), empty if it forgot."""
        for _ in range(20):
            said = self._ask("scontrol", "show", "job", "-o", self.number_of(task))
            match = re.search(r"\bJobState=(\w+)", said.stdout)
            away = said.returncode and any(word in said.stderr for word in PASSING)
            if not away and (not match or match[1] not in ("RUNNING", "COMPLETING")):
                break
            nap(self._events, 0.5)
        return match[1] if match and match[1] not in ("RUNNING", "COMPLETING", "COMPLETED") else ""

    def words(self, task: Task) -> str:
        """What the task itself says about its end."""
        return next((array.words(task) for array in self.arrays if array.name == task.name), "")

    def cancel(self, task: Task | None = None, patience: float = PATIENCE) -> bool:
        """Cancel a task, or all arrays; whether these are out of the queue, so that no restart meets them.

        By name: an array that sbatch gave up on may be there without a number. No signal ends this early.
        """
        if task is not None:
            return self._ask("scancel", self.number_of(task)).returncode == 0
        events, self._events = self._events, None
        deadline, untold = time.monotonic() + patience, list(self.arrays)
        mine = ("scancel", "-u", str(os.getuid()))
        try:
            while True:
                untold = [array for array in untold if self._ask(*mine, "--name", array.name).returncode]
                if self.states() == {}:
                    return True
                if time.monotonic() > deadline:
                    return False
                time.sleep(0.2)
        finally:
            self._events = events

    def _ask(self, *command: str, grace: float = 2.0) -> subprocess.CompletedProcess[str]:
        return ask(self._events, *command, grace=grace)

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

    def _save(self) -> None:
        entries: list[Any] = [[array.name, array.folder, array.jobs, array.number] for array in self.arrays]
        write_whole(self._record, json.dumps({"mark": self._mark, "arrays": entries}))


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
