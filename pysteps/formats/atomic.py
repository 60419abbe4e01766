"""Files that appear under their name only when they are whole."""

from __future__ import annotations

import errno
import gzip
import io
import os
import shutil
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from pathlib import Path
from typing import IO

_FULL = (errno.ENOSPC, errno.EDQUOT)
_BUFFER = 1 << 16  # bytes: a call of _Disk.write each
_CHECK: ContextVar[Callable[[], None]] = ContextVar("asked before a file is put in place")


class _Disk(io.FileIO):
    """The file below the buffers. It remembers a write that failed.

    Libraries that write through a callback (libsndfile, torch's zip writer) lose the error or throw one of
    their own in its place.
    """

    failure: OSError | None = None

    def write(self, data: object) -> int | None:  # type: ignore[override]
        """As io.FileIO, which may write less than all of it; the buffer above goes on with the rest."""
        try:
            return super().write(data)  # type: ignore[arg-type]
        except OSError as error:
            self.failure = self.failure or error
            raise


def _beside(path: Path) -> Path:
    # Host, process and an attempt number: two attempts at one shard never share a temporary name, and
    # steps/lock.sh can tell what a killed process of this host left.
    attempt = 0
    while True:
        part = path.with_name(f".{path.name}.part.{socket.gethostname()}.{os.getpid()}.{attempt}")
        if not part.exists():
            return part
        attempt += 1


@contextmanager
def asking(check: Callable[[], None]) -> Iterator[None]:
    """Within the block (and its thread) no file gets its name before ``check`` was called and did not raise.

    For work that may no longer be wanted when it is done: a job whose driver was killed.
    """
    before = _CHECK.set(check)
    try:
        yield
    finally:
        _CHECK.reset(before)


def ask() -> None:
    """Call the check of ``asking`` that this is within, if any: before a file is removed."""
    _CHECK.get(_nothing)()


@contextmanager
def replacing(path: str | os.PathLike[str], mode: str = "w") -> Iterator[IO]:
    """Open a temporary neighbour of ``path``; on success fsync it and rename it over ``path``.

    ``mode`` is "w" (UTF-8 text, newline kept) or "wb". On an error the neighbour is removed and
    ``path`` is what it was. A disk that refuses is an OSError whose ``filename`` is ``path`` and whose
    sentence names the disk, whatever was raised in the block because of it.
    """
    path = Path(path)
    with _refusing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        part = _beside(path)
        disk = _Disk(part, "w")
    try:
        with io.BufferedWriter(disk, _BUFFER) as binary:
            handle = io.TextIOWrapper(binary, "utf-8", newline="\n") if mode == "w" else binary
            yield handle
            with _refusing(path):
                handle.flush()
                os.fsync(disk.fileno())
                handle.close()
        if disk.failure is not None:
            raise disk.failure
        ask()
        with _refusing(path):
            os.replace(part, path)
    except BaseException as error:
        with suppress(OSError):
            part.unlink(missing_ok=True)
        if disk.failure is not None and isinstance(error, Exception):
            raise _refused(path, disk.failure) from error
        raise
    sync_folder(path.parent)


@contextmanager
def packing(path: str | os.PathLike[str]) -> Iterator[IO[bytes] | gzip.GzipFile]:
    """As ``replacing`` in mode "wb", but what is written is gzipped where the name ends in .gz.

    The same bytes give the same file: no time and no name goes into the gzip header.
    """
    with replacing(path, "wb") as handle:
        if not os.fspath(path).endswith(".gz"):
            yield handle
            return
        with gzip.GzipFile("", "wb", compresslevel=6, fileobj=handle, mtime=0) as packed:
            yield packed


def _nothing() -> None:
    pass


@contextmanager
def _refusing(path: Path) -> Iterator[None]:
    # What fails here is about ``path``, be it the folder, the neighbour or the name.
    try:
        yield
    except OSError as error:
        raise _refused(path, error) from error


def _refused(path: Path, error: OSError) -> OSError:
    folder = Path(os.path.abspath(path)).parent
    while not os.path.ismount(folder) and folder != folder.parent:
        folder = folder.parent
    if error.errno in _FULL:
        with suppress(OSError):
            free = shutil.disk_usage(folder).free / 1e6
            place = f"{free:.1f} MB are free on the disk at {folder}: make space there, or name another disk"
            mend = f"{place} with --work, and start again: what is done is kept"
            return OSError(error.errno, f"cannot be written: {error.strerror} ({mend})", str(path))
    mend = f"on the disk at {folder}; mend that and start again: what is done is kept"
    return OSError(error.errno, f"cannot be written: {error.strerror or error} ({mend})", str(path))


def sync_folder(folder: Path) -> None:
    """Make a rename in ``folder`` survive a power cut."""
    with _refusing(folder):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def write_text(path: str | os.PathLike[str], text: str) -> None:
    """Write ``text`` to ``path``, whole or not at all; gzipped as ``packing`` has it."""
    with packing(path) as handle:
        handle.write(text.encode())
