"""What every launcher shares: Kaldi's command line, its settings file, what it says.

    $cmd [--mem G] [--gpu N] [--num-threads N] [--max-jobs-run N] [JOB=1:N] LOG.JOB.log command ... JOB ...

JOB (any name) is replaced by the job's number wherever it occurs in the log's path and the arguments,
as Kaldi's run.pl does. Unlike there no shell reads the command: an argument stays one argument, whatever
blanks and letters it has. Standard library only: this starts once for every fan-out of every stage.
"""

from __future__ import annotations

import os
import re
import signal
import sys
import time
from collections.abc import Mapping
from typing import IO, NamedTuple

TAIL_LINES = 20
# What a shell would act upon. As an argument of its own it is a leftover of a command meant for run.pl.
SHELL_WORDS = ("|", "||", "&&", ";", ">", ">>", "<", "2>", "2>&1", "&")
# Options with a value, and what a value must look like.
OPTIONS = {
    "mem": r"\d+(\.\d+)?[GgMm]?",
    "gpu": r"\d+",
    "num-threads": r"[1-9]\d*",
    "max-jobs-run": r"[1-9]\d*",
    "retries": r"\d+",
    "time": r"\S+",
    "conf": r".+",
}


class Refused(Exception):
    """The command line or the settings file breaks the contract; the message says how."""


class QueueError(Exception):
    """The queue refused or cannot be reached; the message says what it said."""


class Request(NamedTuple):
    """One fan-out: ``command`` for every number in ``jobs``, each with its own log."""

    options: dict[str, str]
    variable: str | None
    jobs: range
    log: str
    command: list[str]

    def fill(self, text: str, job: int) -> str:
        """``text`` with the job's number in the variable's place."""
        return text.replace(self.variable, str(job)) if self.variable else text

    def argv(self, job: int) -> list[str]:
        return [self.fill(word, job) for word in self.command]

    def log_of(self, job: int) -> str:
        return self.fill(self.log, job)

    @property
    def name(self) -> str:
        """The log's name without number and ending: what people call this fan-out."""
        base = os.path.basename(self.log)
        if self.variable:
            base = re.sub(r"[._-]?" + re.escape(self.variable), "", base)
        return base.removesuffix(".log").strip("._-") or "job"

    def in_words(self, jobs: list[int]) -> str:
        """`64 jobs, log exp/m/log/vad.*.log`"""
        several = self.variable and len(jobs) > 1
        log = self.log.replace(self.variable or "", "*") if several else self.log_of(jobs[0])
        return f"{len(jobs)} job{'s' * (len(jobs) > 1)}, log {log}"

    @property
    def gigabytes(self) -> float | None:
        """Memory asked for one job."""
        text = self.options.get("mem")
        if text is None:
            return None
        return float(text.rstrip("GgMm")) / (1024.0 if text[-1] in "Mm" else 1.0)

    def number(self, option: str, default: int) -> int:
        return int(self.options.get(option, default))


def parse(arguments: list[str], more: Mapping[str, str] | None = None) -> Request:
    """The command line (without the launcher's name); Refused if it breaks the contract.

    ``more``: options that only this launcher knows, with what their values must look like.
    """
    known = {**OPTIONS, **(more or {})}
    words = list(arguments)
    options: dict[str, str] = {}
    while words and words[0].startswith("-"):
        name, equals, value = words.pop(0).lstrip("-").partition("=")
        if name not in known:
            raise Refused(f"unknown option --{name}; known: " + " ".join(f"--{option}" for option in known))
        if not equals:
            if not words:
                raise Refused(f"--{name} needs a value")
            value = words.pop(0)
        if not re.fullmatch(known[name], value):
            raise Refused(f"--{name} cannot be {value!r}")
        options[name] = value
    variable, jobs = None, range(1, 2)
    if words and (match := re.fullmatch(r"([A-Za-z_]\w*)=(\d+)(?::(\d+))?", words[0])):
        variable, first, last = match[1], int(match[2]), int(match[3] or match[2])
        jobs = range(first, last + 1)
        if not jobs:
            raise Refused(f"{words[0]} holds no job")
        words.pop(0)
    if len(words) < 2:
        raise Refused("usage: [options] [JOB=1:N] LOG.JOB.log command [argument ...]")
    log, command = words[0], words[1:]
    if variable and len(jobs) > 1 and variable not in log:
        raise Refused(f"{len(jobs)} jobs would share one log: {log} has no {variable} in its name")
    for word in command:
        if word in SHELL_WORDS:
            raise Refused(f"{word!r}: no shell reads the command; write bash -c '...'")
    return Request(options, variable, jobs, log, command)


def read_settings(path: str) -> dict[str, str]:
    """``key: value`` lines, one level of folders as ``folder.key``: as much YAML as a site's settings need.

    Comments and empty values are left out, quotes around a value are taken off.
    """
    settings: dict[str, str] = {}
    folder = ""
    with open(path, encoding="utf-8") as handle:
        for number, line in enumerate(handle, 1):
            if not line.strip() or line.lstrip().startswith("#"):
                continue
            match = re.fullmatch(r"(\s*)([\w-]+):(?:\s+(.*?))?\s*", line)
            if not match:
                raise Refused(f"{path}:{number}: not 'key: value': {line.strip()}")
            value = re.sub(r"(^|\s)#.*", "", match[3] or "").strip()
            if len(value) > 1 and value[0] == value[-1] and value[0] in "'\"":
                value = value[1:-1]
            if not match[1]:
                folder = "" if value else match[2] + "."
            key = (folder if match[1] else "") + match[2]
            if value:
                settings[key] = value
    return settings


def settings_of(request: Request, kind: str) -> dict[str, str]:
    """What --conf names, else conf/cluster/KIND.yaml of this checkout."""
    root = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    path = request.options.get("conf", os.path.join(root, "conf", "cluster", kind + ".yaml"))
    try:
        return read_settings(path)
    except OSError as error:
        raise Refused(f"{path}: {error.strerror}") from error


def kind_of(request: Request, settings: dict[str, str]) -> str:
    """gpu, io or cpu: whose settings a job gets. io is a fan-out whose name stands in ``io.jobs``."""
    if request.number("gpu", 0):
        return "gpu"
    return "io" if request.name in settings.get("io.jobs", "").split() else "cpu"


def at_once(request: Request, settings: Mapping[str, str]) -> int | None:
    """Jobs that may run at the same time: the smaller of --max-jobs-run and the site's max_jobs_run."""
    said = (request.options.get("max-jobs-run"), settings.get("max_jobs_run"))
    return min((int(text) for text in said if text), default=None)


def tail(path: str, start: int = 0, lines: int = TAIL_LINES) -> list[str]:
    """The last lines of a log from byte ``start`` on; of a progress bar only its last state."""
    try:
        with open(path, "rb") as handle:
            end = handle.seek(0, os.SEEK_END)
            handle.seek(max(start, end - 200 * lines))
            text = handle.read(200 * lines).decode("utf-8", "replace")  # a log may be a device without end
    except OSError:
        return []
    states = (line.rstrip("\r").rpartition("\r")[2] for line in text.rstrip().split("\n"))
    return list(states)[-lines:] if text.strip() else []


def meaning(code: int) -> str:
    """An exit code in words."""
    if code in (126, 127):
        return f"exit code {code}: the command " + ("cannot be run" if code == 126 else "was not found")
    if 128 < code < 160:
        known = {int(number): number.name for number in signal.Signals}
        name = known.get(code - 128, f"signal {code - 128}")
        return name + (" (killed, perhaps for want of memory)" if code == 137 else "")
    return f"exit code {code}"


class Progress:
    """One line that says how far a fan-out is: redrawn on a terminal, every half minute elsewhere."""

    def __init__(self, name: str, total: int, stream: IO[str] | None = None) -> None:
        self._name, self._total = name, total
        self._stream = stream or sys.stderr
        self.live = self._stream.isatty()
        self.period = 0.5 if self.live else 30.0
        self._began = self._last = time.monotonic()

    def show(self, done: int, waiting: str, logs: list[str]) -> None:
        """``logs``: those being written; the newest line among them is shown."""
        now = time.monotonic()
        if now - self._last < self.period:
            return
        self._last = now
        line = f"{self._name}: {done}/{self._total} jobs done, {now - self._began:.0f} s{waiting}"
        words = _last_words(logs)
        line += f" | {words}" if words else ""
        if self.live:
            bar = "#" * (20 * done // self._total)
            text = f"[{bar:<20}] {line}"[: os.get_terminal_size(self._stream.fileno()).columns - 1]
            self._stream.write(f"\r{text}\x1b[K")
        else:
            self._stream.write(line[:200] + "\n")
        self._stream.flush()

    def clear(self) -> None:
        """Take the line away: what follows is said for good."""
        if self.live:
            self._stream.write("\r\x1b[K")
            self._stream.flush()


def _last_words(logs: list[str]) -> str:
    def age(path: str) -> float:
        try:
            return os.stat(path).st_mtime
        except OSError:
            return 0.0

    for path in sorted(logs, key=age, reverse=True):
        lines = tail(path, lines=1)
        if lines and lines[0] and not lines[0].startswith("#"):
            return lines[0]
    return ""


def report_failure(launcher: str, request: Request, job: int, log: str, why: str, lines: list[str]) -> None:
    """Which job failed, how, where its log is, and the log's end: on stderr."""
    which = f"job {job} of {request.jobs[-1]}" if len(request.jobs) > 1 else "the job"
    out = [f"{launcher}: {request.name}: {which} failed: {why}", f"{launcher}: the end of {log}:"]
    out += [f"    {line}" for line in lines] or ["    (it wrote nothing)"]
    sys.stderr.write("\n".join(out).encode("utf-8", "replace").decode("utf-8") + "\n")
    sys.stderr.flush()
