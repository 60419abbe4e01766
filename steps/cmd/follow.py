"""What every launcher with a queue behind it does: wait, try failed tasks again, give up and say why.

The queue (grid.Grid) knows its tasks' exit codes and states; how often a job failed is counted here.
Standard library only.
"""

from __future__ import annotations

import signal
import sys
import time
from collections.abc import Callable
from typing import Protocol

from arrays import Array, Task
from contract import Progress, QueueError, Request, meaning, report_failure, tail
from jobs import Events, Stopped

LOST = -1  # a task that left the queue without an exit code
STUCK = -2  # a task that the queue holds and will never start
ENDED_BY_QUEUE = (LOST, STUCK, 128 + signal.SIGTERM, 128 + signal.SIGKILL)  # perhaps: worth asking

States = dict[Task, tuple[str, str]]


class Queue(Protocol):
    """A queue with the arrays of one fan-out in it."""

    launcher: str
    arrays: list[Array]

    def submit(self, jobs: list[int]) -> None:
        """One more array, for these jobs."""

    def states(self) -> States | None:
        """(PENDING, RUNNING or STUCK, the queue's own word) of every task there; None: it does not answer."""

    def verdict(self, task: Task) -> str:
        """The queue's word for how a task ended: CANCELLED if somebody did that, empty if unknown."""

    def cancel(self, task: Task | None = None) -> bool:
        """This task, or all; whether they are gone."""

    def number_of(self, task: Task) -> str:
        """What the queue calls the task."""

    def output_of(self, task: Task) -> str:
        """The file with what a task wrote outside its log."""


class Fan:
    """The tasks of one fan-out: which are done, how often each failed, which the queue no longer knows."""

    def __init__(self, request: Request, queue: Queue, settings: dict[str, str]) -> None:
        self.request, self.queue = request, queue
        self.retries = int(request.options.get("retries", settings.get("retries", "1")))
        self._grace = float(settings.get("grace", "30"))
        self.failures: dict[int, int] = {}
        self.done: set[int] = set()
        self._missed: dict[Task, float] = {}

    def look(self, states: States | None) -> list[tuple[Task, int]]:
        """Take in exit codes; (task, code) of what failed. ``states``: the queue's, None if not asked."""
        failed = []
        for array in self.queue.arrays:
            for task, code in array.exits().items():
                if not self.final(array, task, code, states):
                    continue
                array.open.discard(task)
                if code:
                    failed.append((task, code))
                else:
                    self.done.add(task.job)
            if states is None:
                continue
            for task in sorted(array.open):
                if code := self._without_exit_code(task, states):
                    array.open.discard(task)
                    failed.append((task, code))
            if array.open - states.keys():
                array.refresh()  # a network file system remembers what lay there
        return sorted(failed)

    def _without_exit_code(self, task: Task, states: States) -> int:
        """LOST or STUCK if the task will leave no exit code any more, else 0."""
        if task in states:
            self._missed.pop(task, None)
            return STUCK if states[task][0] == "STUCK" else 0
        # Its exit code may be late: the node's file system and the queue do not wait for each other.
        gone = time.monotonic() - self._missed.setdefault(task, time.monotonic())
        return LOST if gone > self._grace else 0

    def give_up(self, failed: list[tuple[Task, int]]) -> tuple[Task, int, str] | None:
        """The first of ``failed`` that is not to be tried again, with the queue's word; the others are."""
        again = []
        for task, code in failed:
            said = self.queue.verdict(task) if code in ENDED_BY_QUEUE else ""
            if self.counts(task, said):
                self.failures[task.job] = self.failures.get(task.job, 0) + 1
            if self.hopeless(task, said) or self.failures.get(task.job, 0) > self.retries:
                return task, code, said
            if code == STUCK:
                self.queue.cancel(task)
            again.append(task.job)
            why = in_words(code) + (f" ({said})" if said else "")
            sys.stderr.write(f"{self._name}: job {task.job}: {why}; submitting it again\n")
        if again:
            self.queue.submit(again)
        return None

    def final(self, array: Array, task: Task, code: int, states: States | None) -> bool:
        """Whether an exit code is the task's last: it is not where a queue lets a task run again itself."""
        return True

    def counts(self, task: Task, said: str) -> bool:
        """Whether this end is a failure of the job, one of ``retries``."""
        return True

    def hopeless(self, task: Task, said: str) -> bool:
        """Whether another try would end the same, or is not wanted."""
        return said == "CANCELLED"

    def notice(self, states: States) -> list[str]:
        """What somebody should know about tasks that wait, each said once."""
        return []

    def explain(self, task: Task, said: str) -> str:
        """What else to say of a job that is given up."""
        return ""

    @property
    def _name(self) -> str:
        return f"{self.queue.launcher}: {self.request.name}"


def in_words(code: int) -> str:
    """An exit code, or why there is none."""
    known = {LOST: "it left the queue without an exit code", STUCK: "the queue will not start it"}
    return known.get(code) or meaning(code)


def pause(turn: int, longest: float) -> float:
    """Seconds before look number ``turn``: 0.2 at first, longer and longer."""
    return min(0.2 * 1.15 ** min(turn, 100), longest)


def lead(begin: Callable[[], None], fan: Fan, events: Events, longest: float) -> int:
    """Begin and follow; the launcher's exit status. Whatever ends this early, nothing stays in the queue."""
    name = f"{fan.queue.launcher}: {fan.request.name}"
    try:
        begin()
        return follow(fan, events, longest)
    except Stopped:
        give_back(fan.queue)
        sys.stderr.write(f"{name}: cancelled; {len(fan.done)} jobs were done; start again and it goes on\n")
        return 128 + (events.signal or signal.SIGTERM)
    except (QueueError, OSError) as error:
        sys.stderr.write(f"{fan.queue.launcher}: {error}\n")
        give_back(fan.queue)
        return 1


def give_back(queue: Queue) -> None:
    """Cancel everything; say so if the queue does not answer."""
    try:
        gone = not queue.arrays or queue.cancel()
    except (QueueError, OSError):
        gone = False
    if not gone:
        names = ", ".join(array.name for array in queue.arrays)
        sys.stderr.write(f"{queue.launcher}: {names} may still be in the queue; the next start cancels it\n")


def follow(fan: Fan, events: Events, longest: float) -> int:
    """Wait for all tasks; the launcher's exit status. ``longest``: seconds between two looks at the queue."""
    request, queue = fan.request, fan.queue
    progress = Progress(request.name, len(request.jobs))
    states: States | None = None
    turn, next_look = 0, 0.0
    while len(fan.done) < len(request.jobs):
        if events.signal:  # before the parent, which may have heard the same and be gone
            progress.clear()
            raise Stopped
        if events.orphaned():
            return 143  # the array goes on; the restart finds it
        asked = time.monotonic() >= next_look
        if asked:
            states = queue.states()
            turn += 1
            next_look = time.monotonic() + pause(turn, longest)
            for words in fan.notice(states or {}):
                progress.clear()
                sys.stderr.write(words + "\n")
        ended = fan.give_up(fan.look(states if asked else None))
        if ended:
            progress.clear()
            report(fan, *ended)
            give_back(queue)
            return 1
        progress.show(len(fan.done), waiting_words(states), running_logs(request, states))
        events.wait(min(pause(turn, longest), 2.0))  # exit codes are cheap to look for, the queue is not
    progress.clear()
    return 0


def waiting_words(states: States | None) -> str:
    """`, 2 running, 6 pending (hqw)`"""
    if not states:
        return ""
    pending = [word for state, word in states.values() if state != "RUNNING"]
    words = f", {len(states) - len(pending)} running"
    return words + (f", {len(pending)} pending ({pending[0]})" if pending else "")


def running_logs(request: Request, states: States | None) -> list[str]:
    """The logs that are being written."""
    return [request.log_of(task.job) for task, (state, _) in (states or {}).items() if state == "RUNNING"]


def report(fan: Fan, task: Task, code: int, said: str) -> None:
    """Say which job failed and why."""
    launcher = fan.queue.launcher
    if said == "CANCELLED":  # nothing is wrong with the job: the end of its log would look like it
        by = "CANCELLED: qdel" if launcher == "sge" else "CANCELLED: scancel"
        which = f"job {task.job} of {fan.request.jobs[-1]}, {launcher} job {fan.queue.number_of(task)},"
        words = f"{which} was cancelled by somebody ({by}); start again and it goes on"
        sys.stderr.write(f"{launcher}: {fan.request.name}: {words}. Log: {fan.request.log_of(task.job)}\n")
        return
    why = f"{launcher} job {fan.queue.number_of(task)}: {in_words(code)}" + (f" ({said})" if said else "")
    why += fan.explain(task, said)
    tries = fan.failures.get(task.job, 0)
    why += f" (tried {tries} times)" if tries > 1 else ""
    log = fan.request.log_of(task.job)
    report_failure(launcher, fan.request, task.job, log, why, tail(log) + tail(fan.queue.output_of(task)))
