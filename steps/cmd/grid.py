"""Grid Engine arrays of one fan-out (Univa, Altair, Son of Grid Engine): submitted, looked at, deleted.

Task n of an array does its job n (from 1). An array's name is used once and is on disk before qsub is
called, so that a restart finds what a killed launcher left in the queue. Standard library only.
"""

from __future__ import annotations

import json
import os
import pwd
import re
import shlex
import shutil
import sys
import time
from xml.etree import ElementTree

from arrays import Array, Task
from contract import QueueError, Refused, Request, at_once, kind_of
from follow import States
from jobs import Events, ask, nap
from sbatch import check_names, task_command, task_spec, write_whole

PASSING = ("commlib", "gdi", "qmaster", "timed out", "Connection refused")  # the master is away for a while
OUTAGE = 300.0  # seconds that the master may be away
PATIENCE = 15.0  # seconds that deleted tasks get to leave
KINDS = ("cpu", "io", "gpu")
OF_A_KIND = ("queue", "project", "time", "extra")
NUMBERS = ("retries", "max_jobs_run", "poll", "grace")
GENERAL = (*NUMBERS, "shell", "threads", "mem", "io.jobs", "gpu.gpus")


def check(settings: dict[str, str], name: str = "") -> None:
    """Refused if a key of the settings is unknown or its value cannot be."""
    known = {*GENERAL, *(f"{kind}.{key}" for kind in KINDS for key in OF_A_KIND)}
    for key, value in settings.items():
        if key not in known:
            raise Refused(f"sge.yaml: unknown key {key}; known: {' '.join(sorted(known))}")
        pattern = r"[1-9]\d*" if key == "max_jobs_run" else r"\d+(\.\d+)?"
        if key in NUMBERS and not re.fullmatch(pattern, value):
            raise Refused(f"sge.yaml: {key} cannot be {value!r}")
        check_names("sge.yaml", key, value, name)


class Grid:
    """The arrays of one fan-out; follow.Queue for Grid Engine."""

    launcher = "sge"

    def __init__(self, request: Request, settings: dict[str, str], events: Events | None = None) -> None:
        self._request, self._settings, self._events = request, settings, events
        self._folder = os.path.join(os.path.dirname(os.path.abspath(request.log)), ".sge", request.name)
        self._unheard = False
        self.arrays: list[Array] = []

    def submit(self, jobs: list[int]) -> None:
        """One array for these jobs; QueueError with qsub's words if it is refused."""
        word = re.sub(r"[^\w.-]", "_", self._request.name, flags=re.ASCII)
        name = ("" if word[0].isalpha() else "t") + f"{word}.{os.urandom(4).hex()}"  # no digit comes first
        array = Array(name, os.path.join(self._folder, name), jobs, None)
        os.makedirs(array.folder)
        script = self._write_script(array)
        self.arrays.append(array)
        deadline, attempt = time.monotonic() + OUTAGE, 0
        while True:
            said = ask(self._events, "qsub", *self._options(array), script, grace=10.0)
            if said.returncode == 0:
                numbers = re.findall(r"^(\d+)", said.stdout, re.MULTILINE)  # a site's checker may talk, too
                array.number = numbers[-1] if numbers else None
                about = f"Grid Engine array {array.number or name}, {self._request.in_words(jobs)}"
                sys.stderr.write(f"{self._request.name}: {about}\n")
                return
            if not any(word in said.stderr for word in PASSING):
                self.arrays.remove(array)
                shutil.rmtree(array.folder, ignore_errors=True)
                raise QueueError(f"qsub refused {self._request.name}: {(said.stderr or said.stdout).strip()}")
            attempt += 1
            nap(self._events, min(attempt, 10))
            states = self._heard(deadline, f"qsub cannot reach the queue: {said.stderr.strip()}")
            if states.keys() & array.open or array.exits():
                return  # it was accepted after all; its name is enough

    def _heard(self, deadline: float, otherwise: str) -> States:
        """``states`` as soon as Grid Engine answers; QueueError when it has not by then."""
        while (states := self.states()) is None or time.monotonic() > deadline:
            if time.monotonic() > deadline:
                raise QueueError(otherwise)
            nap(self._events, 2)
        return states

    def delete_left_over(self) -> None:
        """Delete what an earlier launcher of the same fan-out, killed, left in the queue."""
        if not os.path.isdir(self._folder):
            return
        for name in sorted(os.listdir(self._folder)):
            folder = os.path.join(self._folder, name)
            try:
                with open(os.path.join(folder, "spec.json"), encoding="utf-8") as handle:
                    self.arrays.append(Array(name, folder, json.load(handle)["jobs"], None))
            except OSError:
                continue  # killed before it had written this: nothing was submitted
        unknown = f"qstat does not say what became of an earlier run's jobs ({self._folder})"
        states = self._heard(time.monotonic() + OUTAGE, unknown)
        if states:
            names = ", ".join(sorted({task.name for task in states}))
            sys.stderr.write(f"sge: {self._request.name}: deleting an earlier run's {names}\n")
            if not self.cancel(patience=60.0):
                raise QueueError(f"{names} does not leave the queue: see qstat")
        self.forget()

    def states(self) -> States | None:
        """(PENDING, RUNNING or STUCK, Grid Engine's letters); None if it does not answer, which passes."""
        arrays = {array.name: array for array in self.arrays}
        if not arrays:
            return {}
        said = ask(self._events, "qstat", "-xml", "-u", pwd.getpwuid(os.getuid()).pw_name)
        try:
            if said.returncode:
                raise ElementTree.ParseError(said.stderr.strip() or f"exit code {said.returncode}")
            listed = list(ElementTree.fromstring(said.stdout).iter("job_list"))
        except ElementTree.ParseError as error:
            if not self._unheard:
                sys.stderr.write(f"sge: qstat: {error}; asking again\n")
            self._unheard = True
            return None
        self._unheard = False
        found = {}
        for entry in listed:
            array, letters = arrays.get(entry.findtext("JB_name", "")), entry.findtext("state", "")
            if array is None:
                continue
            state = "STUCK" if "E" in letters else "RUNNING" if set("rtR") & set(letters) else "PENDING"
            for index in _indices(entry.findtext("tasks") or "1"):
                array.number = array.number or entry.findtext("JB_job_number")
                found[Task(array.name, index, array.jobs[index])] = (state, letters)
        return found

    def verdict(self, task: Task) -> str:
        """Why a stuck task does not start, or whether somebody deleted it; empty if that is not known."""
        number, _, index = self.number_of(task).partition(".")
        about = ask(self._events, "qstat", "-j", number).stdout
        for of, reason in re.findall(r"^error reason\s+(\d+):\s*(.*)", about, re.MULTILINE):
            if of == index:
                return "Grid Engine says: " + reason.strip()
        if not shutil.which("qacct"):
            return ""
        kept = ask(self._events, "qacct", "-j", number, "-t", index).stdout
        by = re.search(r"^deleted_by\s+(\S+)", kept, re.MULTILINE)  # Univa and Altair have it
        if by and by[1] not in ("NONE", "undefined"):
            return "CANCELLED"
        failed = re.search(r"^failed\s+(.*\S)", kept, re.MULTILINE)
        return f"Grid Engine says: failed {failed[1]}" if failed and failed[1] != "0" else ""

    def cancel(self, task: Task | None = None, patience: float = PATIENCE) -> bool:
        """Delete this task; or all arrays, by name: whether they are gone, so that no restart meets them.

        No signal ends this early.
        """
        if task:
            number, _, index = self.number_of(task).partition(".")
            return ask(self._events, "qdel", number, "-t", index).returncode == 0
        events, self._events = self._events, None
        deadline = time.monotonic() + patience
        told: set[str] = set()
        try:
            while (left := self.states()) != {} and time.monotonic() < deadline:
                for name in {array.name for array in self.arrays} - told:
                    if left is not None and not any(task.name == name for task in left):
                        continue  # qdel would complain
                    if ask(None, "qdel", name).returncode == 0:
                        told.add(name)
                time.sleep(0.2)
            return left == {}
        finally:
            self._events = events

    def forget(self) -> None:
        """Remove what was kept about the arrays."""
        self.arrays = []
        shutil.rmtree(self._folder, ignore_errors=True)  # a node may still write there

    def number_of(self, task: Task) -> str:
        """What Grid Engine calls the task: 123.4."""
        number = next((array.number for array in self.arrays if array.name == task.name), None)
        return f"{number or task.name}.{task.index + 1}"

    def output_of(self, task: Task) -> str:
        """What a task said that could not even begin its log."""
        return os.path.join(self._folder, task.name, f"{task.index}.out")

    def _options(self, array: Array) -> list[str]:
        request, settings = self._request, self._settings
        kind, threads = kind_of(request, settings), request.number("num-threads", 1)
        width = at_once(request, settings)
        options = ["-terse", "-N", array.name, "-t", f"1-{len(array.jobs)}"]
        options += ["-tc", str(width)] if width else []
        options += ["-wd", os.getcwd(), "-o", "/dev/null", "-j", "y", "-r", "n"]
        options += ["-S", settings.get("shell", "/bin/bash")]
        asked = shlex.split(settings.get("threads", "")) if threads > 1 else []
        if request.gigabytes:
            asked += shlex.split(settings.get("mem", ""))
        asked += shlex.split(settings.get("gpu.gpus", "")) if kind == "gpu" else []
        amounts = {"threads": str(threads), "gpus": request.options.get("gpu", "0")}
        amounts |= {"job": megabytes(request, 1), "slot": megabytes(request, threads)}
        options += [re.sub(r"{(\w+)}", lambda found: amounts.get(found[1], found[0]), word) for word in asked]
        for key, option in (("queue", "-q"), ("project", "-P")):
            value = settings.get(f"{kind}.{key}")
            options += [option, value] if value else []
        limit = request.options.get("time") or settings.get(f"{kind}.time")
        options += ["-l", f"h_rt={limit}"] if limit else []
        return options + shlex.split(settings.get(f"{kind}.extra", ""))

    def _write_script(self, array: Array) -> str:
        spec = task_spec(self._request, array.jobs, self._request.number("num-threads", 1))
        if os.environ.get("CUDA_VISIBLE_DEVICES") == "":  # no GPU was asked for, so none is used
            spec["environment"]["CUDA_VISIBLE_DEVICES"] = ""
        command = task_command(array.folder, spec)
        index = f'index=$((SGE_TASK_ID - 1))\nexec >>{shlex.quote(array.folder)}/"$index.out" 2>&1\n'
        script = os.path.join(array.folder, "task.sh")
        write_whole(script, f'#!/bin/bash\n{index}exec {command} "$index"\n')
        return script


def megabytes(request: Request, parts: int) -> str:
    """The memory asked for one job, in ``parts`` equal parts."""
    return str(max(1, round((request.gigabytes or 0) * 1024 / parts)))


def _indices(text: str) -> list[int]:
    """`1-5:2,7` to places in the array, from 0."""
    found: list[int] = []
    for part in text.split(","):
        span, _, step = part.partition(":")
        first, _, last = span.partition("-")
        found += range(int(first) - 1, int(last or first), int(step or 1))
    return found
