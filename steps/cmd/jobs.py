"""One job with its log, and what a launcher waits for while its jobs run. Standard library only."""

from __future__ import annotations

import ctypes
import os
import select
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from contract import QueueError, tail


class Events:
    """What a launcher waits for: a signal, an ended child, or the end of whoever it works for.

    It works for its parent and for the process that TIMBRE_DRIVER_PID names (run.sh): when run.sh is
    killed, the step between the two lives on and would never tell.
    """

    def __init__(self) -> None:
        self.signal: int | None = None
        self._parent = os.getppid()
        driver = os.environ.get("TIMBRE_DRIVER_PID", "")
        self._masters = {self._parent} | ({int(driver)} if driver.isdigit() else set())
        self._handles = [handle for pid in self._masters if (handle := _process_handle(pid)) is not None]
        self._wake, wake_write = os.pipe()
        os.set_blocking(self._wake, False)
        os.set_blocking(wake_write, False)
        signal.set_wakeup_fd(wake_write, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            if signal.getsignal(number) != signal.SIG_IGN:  # nohup and `&` in a script stay what they are
                signal.signal(number, self._remember)

    def _remember(self, number: int, _frame: object) -> None:
        self.signal = self.signal or number

    def orphaned(self) -> bool:
        """Whether the parent or the driver is gone."""
        if os.getppid() != self._parent or select.select(self._handles, [], [], 0)[0]:
            return True
        return len(self._handles) < len(self._masters) and not all(map(_alive, self._masters))

    def wait(self, seconds: float) -> None:
        """Sleep, but not past anything that happens."""
        if self.signal is None:
            select.select([self._wake, *self._handles], [], [], seconds)
        try:
            while os.read(self._wake, 512):
                pass
        except BlockingIOError:
            pass


class Stopped(Exception):
    """A signal came while a queue was waited for."""


def nap(events: Events | None, seconds: float) -> None:
    """Sleep; Stopped if a signal comes."""
    deadline = time.monotonic() + seconds
    while (left := deadline - time.monotonic()) > 0:
        if events is None:
            time.sleep(left)
        elif events.signal:
            raise Stopped
        else:
            events.wait(left)


def ask(events: Events | None, *command: str, grace: float = 2.0) -> subprocess.CompletedProcess[str]:
    """One program of a queue, out of reach of the terminal's Ctrl-C.

    Stopped if a signal comes and the program does not end within ``grace`` seconds; without ``events`` it is
    waited for, a quarter of a minute.
    """
    environment = {name: value for name, value in os.environ.items() if not name.startswith("SQUEUE_")}
    deadline, heard = time.monotonic() + (60.0 if events else 15.0), False
    try:
        process = subprocess.Popen(  # noqa: S603
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
            env=environment,
        )
    except FileNotFoundError as error:
        raise QueueError(f"there is no {command[0]} here: is this a machine of the cluster?") from error
    while True:
        try:
            out, err = process.communicate(timeout=0.25)
            return subprocess.CompletedProcess(command, process.returncode, out, err)
        except subprocess.TimeoutExpired:
            if events and events.signal and not heard:
                deadline, heard = min(deadline, time.monotonic() + grace), True
            if time.monotonic() < deadline:
                continue
        process.kill()
        process.communicate()
        if events and events.signal:
            raise Stopped
        return subprocess.CompletedProcess(command, 1, "", f"{command[0]} timed out")


def _process_handle(pid: int) -> int | None:
    """A descriptor that becomes readable when the process ends; None where the kernel has none."""
    try:
        return os.pidfd_open(pid)
    except (AttributeError, OSError):
        return None


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return True


def bound_to(parent: int) -> Any:
    """What a child runs between fork and exec, so that it is killed when ``parent`` dies in any way."""
    if not sys.platform.startswith("linux"):
        return None
    libc = ctypes.CDLL(None)

    def bind() -> None:
        libc.prctl(1, signal.SIGKILL, 0, 0, 0)  # PR_SET_PDEATHSIG
        if os.getppid() != parent:  # it died before the line above
            os._exit(137)

    return bind


class Job:
    """One running command with Kaldi's header and footer in its log."""

    def __init__(self, argv: list[str], log: str, *, place: str, threads: int, extra: dict[str, str]) -> None:
        os.makedirs(os.path.dirname(log) or ".", exist_ok=True)
        self.log = log
        self._threads = threads
        self._began = time.monotonic()
        with naming(log), open(log, "wb") as handle:
            where = f"# Running on {os.uname().nodename}{place}\n# Started at {_now()}\n#\n"
            handle.write(os.fsencode(f"# {shlex.join(argv)}\n{where}"))
            self.body = handle.tell()
        handle_fd = os.open(log, os.O_WRONLY | os.O_APPEND)
        try:
            self.process: subprocess.Popen[bytes] | None = subprocess.Popen(  # noqa: S603
                argv,
                stdin=subprocess.DEVNULL,
                stdout=handle_fd,
                stderr=subprocess.STDOUT,
                close_fds=False,  # the work folder's lock goes on to the job
                process_group=0,
                preexec_fn=bound_to(os.getpid()),
                env={**os.environ, **extra},
            )
        except OSError as error:
            os.write(handle_fd, os.fsencode(f"cannot run {argv[0]}: {error.strerror}\n"))
            self.process = None
            self._refused = 127 if isinstance(error, FileNotFoundError) else 126
        finally:
            os.close(handle_fd)

    def signal(self, number: int) -> None:
        """To the job's whole process group."""
        if self.process is not None and self.process.returncode is None:
            try:
                os.killpg(self.process.pid, number)
            except (ProcessLookupError, PermissionError):
                pass

    def poll(self) -> int | None:
        """The exit code (128 + signal for a killed one), or None while it runs; ends what it left behind."""
        if self.process is None:
            return self._close(self._refused, 0.0, 0)
        if os.waitid(os.P_PID, self.process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None:
            return None
        self.signal(signal.SIGKILL)  # its group still has this number: the leader is not yet collected
        _, status, usage = os.wait4(self.process.pid, 0)
        code = os.waitstatus_to_exitcode(status)
        self.process.returncode = code
        kilobytes = usage.ru_maxrss // (1024 if sys.platform == "darwin" else 1)
        return self._close(code if code >= 0 else 128 - code, usage.ru_utime + usage.ru_stime, kilobytes)

    def _close(self, code: int, cpu: float, kilobytes: int) -> int:
        self.seconds = time.monotonic() - self._began
        self.tail = tail(self.log, self.body)
        with naming(self.log), open(self.log, "rb+") as handle:
            if handle.seek(0, os.SEEK_END) > self.body:
                handle.seek(-1, os.SEEK_END)
                if handle.read(1) != b"\n":
                    handle.write(b"\n")
            cost = f"time={self.seconds:.2f} cpu={cpu:.2f} threads={self._threads}"
            ended = f"# Ended (code {code}) at {_now()}, elapsed time {self.seconds:.2f} seconds"
            handle.write(f"# Accounting: {cost} peak_memory={kilobytes // 1024}MB\n{ended}\n".encode())
        return code


@contextmanager
def naming(path: str) -> Iterator[None]:
    """A write that fails for want of space does not say to which file: now it does."""
    try:
        yield
    except OSError as error:
        error.filename = error.filename or path
        raise


def _now() -> str:
    return time.strftime("%a %b %d %H:%M:%S %Z %Y")
