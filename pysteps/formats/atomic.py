"""Files that appear under their name only when they are whole."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO


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
def replacing(path: str | os.PathLike[str], mode: str = "w") -> Iterator[IO]:
    """Open a temporary neighbour of ``path``; on success fsync it and rename it over ``path``.

    ``mode`` is "w" (UTF-8 text, newline kept) or "wb". On an error the neighbour is removed and
    ``path`` is what it was.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    part = _beside(path)
    text = {} if "b" in mode else {"encoding": "utf-8", "newline": "\n"}
    try:
        with open(part, mode, **text) as handle:  # type: ignore[call-overload]
            yield handle
            handle.flush()
            os.fsync(handle.fileno())
        os.replace(part, path)
    except BaseException:
        part.unlink(missing_ok=True)
        raise
    sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Make a rename in ``folder`` survive a power cut."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def write_text(path: str | os.PathLike[str], text: str) -> None:
    """Write ``text`` to ``path``, whole or not at all."""
    with replacing(path) as handle:
        handle.write(text)
