"""The lease on a work folder, for other hosts: HOST PID JOB RESTARTS in one line, renewed while PID lives.

    lease.py take FILE HOST PID NOLOCKS    make FILE and print its line, or say who holds it and end with 1
    lease.py keep FILE LINE PID            renew it until PID ends; end PID if the lease has become another's

NOLOCKS is not 0 where flock failed: then processes of the same host are looked for, too. Times are the file
system's own, so hosts may disagree about the time. Called by steps/lock.sh with python3 -IS: standard
library only, 20 ms.
"""

from __future__ import annotations

import os
import select
import signal
import sys
import time
from typing import NamedTuple

SECONDS = float(os.environ.get("TIMBRE_LEASE_SECONDS", "15"))  # between two renewals
STALE = 5 * SECONDS  # what nobody has renewed for so long may be taken over


class Lease(NamedTuple):
    """What a lease says and when it was renewed; two that are equal are one and the same."""

    line: str
    renewed: int

    def holder(self) -> tuple[str, int, str, int] | None:
        """Host, process, Slurm job and how often that was requeued; None for what a full disk left."""
        words = self.line.split()
        if len(words) < 3 or not words[1].isdigit():
            return None
        return words[0], int(words[1]), words[2], int(words[3]) if words[3:] and words[3].isdigit() else 0


class InUse(Exception):
    """Somebody else holds the lease; the message says who."""


def look(path: str) -> Lease | None:
    """The lease as it is now, None if there is none."""
    try:
        with open(path, encoding="utf-8", errors="replace") as handle:
            return Lease(handle.read().strip(), os.fstat(handle.fileno()).st_mtime_ns)
    except FileNotFoundError:
        return None


def create(path: str, line: str) -> bool:
    """Make the file, whole; False if there is one. Of several that try, one does."""
    try:
        handle = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666)
    except FileExistsError:
        return False
    try:
        os.write(handle, f"{line}\n".encode())
        os.fsync(handle)
    except OSError:
        os.unlink(path)
        raise
    finally:
        os.close(handle)
    return True


def alive(pid: int) -> bool:
    """Whether the process runs, whosever it is; a dead one that nobody has collected does not."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as handle:
            return handle.read().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return True


def may_take(seen: Lease, age: float, mine: str, no_locks: bool) -> str:
    """Why this lease may be taken from its holder, perhaps without words; InUse if it may not."""
    now, holder = Lease(mine, 0).holder(), seen.holder()
    if now is None or holder is None:
        return ""
    host, pid, job, restarts = holder
    if host == now[0]:
        if no_locks and alive(pid):
            raise InUse(f"process {pid} on {host} (wait for it, or name another folder with --work)")
        return ""  # where locks work, we hold the one that its process held
    if job != "-" and job == now[2] and now[3] > restarts:
        return f"this job was requeued; it ran on {host} before"
    if age >= STALE:
        return f"taking over from process {pid} on {host}, whose lease was last renewed {age:.0f} s ago"
    where = f"process {pid} on {host}" + (f", Slurm job {job}" if job != "-" else "")
    renewed = f"its lease was renewed {age:.0f} s ago; if that host is gone, wait until"
    raise InUse(f"{where} ({renewed} {STALE:.0f} s have passed, or name another folder with --work)")


def replace(path: str, seen: Lease, part: str) -> bool:
    """Put ``part`` where ``seen`` lies; False if something else lies there by now.

    A claim on this very lease comes first. One process alone can make it, and whoever makes it later finds
    another lease there and goes back: so a lease is never followed by two.
    """
    claim = f"{path}.part.{seen.renewed}"
    try:
        os.close(os.open(claim, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666))
    except FileExistsError:
        if os.stat(part).st_mtime - os.stat(claim).st_mtime > max(STALE, 10):  # its maker died just there
            os.unlink(claim)
        time.sleep(0.5)
        return False
    try:
        if look(path) != seen:
            return False
        os.replace(part, path)
        return True
    finally:
        os.unlink(claim)


def take(path: str, mine: str, no_locks: bool) -> None:
    """Hold the lease; InUse if somebody else does."""
    host, pid, *_ = mine.split()
    part = os.path.join(os.path.dirname(path), f".lease.part.{host}.{pid}.0")
    unsaid = 0
    while not create(path, mine):
        seen = look(path)
        if seen is None:
            continue  # given back just now
        try:
            create(part, mine)
            os.utime(part)  # it is also what tells the file system's time
            age = (os.stat(part).st_mtime_ns - seen.renewed) / 1e9
            if seen.holder() is None and unsaid < 3:  # it is being written, or a full disk left it
                unsaid += 1
                time.sleep(0.5)
                continue
            why = may_take(seen, age, mine, no_locks)
            if replace(path, seen, part):
                if why:
                    print(f"{os.path.dirname(path)}: {why}", file=sys.stderr)
                return
        except FileNotFoundError:
            continue  # the claim went meanwhile
        finally:
            if os.path.exists(part):
                os.unlink(part)


def keep(path: str, mine: str, driver: int) -> None:
    """Renew the lease while the driver lives; end the driver at once if the lease is another's by now.

    By SIGKILL: what it has in a queue belongs to whoever took over, so nothing may be cancelled.
    """
    handle = os.pidfd_open(driver) if hasattr(os, "pidfd_open") else None
    while True:
        if handle is None:
            time.sleep(SECONDS)
        elif select.select([handle], [], [], SECONDS)[0]:
            return
        if handle is None and not alive(driver):
            return
        try:
            seen = look(path)
            if seen is None:
                create(path, mine)  # removed by nobody who may: every other way replaces it
            elif seen.line and seen.line != mine:
                print(f"the lease is lost: {seen.line}", file=sys.stderr, flush=True)
                os.kill(driver, signal.SIGKILL)
                return
            else:
                os.utime(path)
        except OSError:
            continue  # a file system that is away for a moment is no other holder


def main(what: str, path: str, *words: str) -> int:
    if what == "keep":
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)  # the driver may take a while to end
        try:
            keep(path, words[0], int(words[1]))
        except ProcessLookupError:
            pass  # the driver is gone
        return 0
    host, pid, no_locks = words
    job, restarts = os.environ.get("SLURM_JOB_ID") or "-", os.environ.get("SLURM_RESTART_COUNT") or "0"
    mine = f"{host} {pid} {job} {restarts}"
    try:
        take(path, mine, no_locks != "0")
    except InUse as error:
        print(f"error: {os.path.dirname(path)} is in use by {error}", file=sys.stderr)
        return 1
    except OSError as error:
        print(f"error: {path} cannot be written: {error.strerror}", file=sys.stderr)
        return 1
    print(mine)
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
