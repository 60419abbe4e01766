"""A folder's copy on a node's own disk: made once a node, whole before it is used, the same bytes.

The rule of what stays: a copy is used again by whoever asks for the same files (same sizes and times). It
goes when the work that asked for it has ended well and nobody else on the node uses it; it stays when the
work was killed or failed, for its restart.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from .atomic import replacing
from .errors import InputError

_PIECE = 1 << 22
_SPARE = 1 << 20  # bytes left free


def chosen() -> Path | None:
    """The folder that ./run.sh --scratch names, or None; ``$TMPDIR`` and the like are this node's."""
    text = os.environ.get("TIMBRE_SCRATCH", "")
    if not text:
        return None
    named = os.path.expandvars(text)
    if "$" in named:
        raise InputError(f"--scratch {text} is not set on this node", where=os.uname().nodename)
    return Path(named)


@contextmanager
def near(folder: Path, names: Sequence[str], scratch: Path | None) -> Iterator[Path]:
    """The place to read the files ``names`` of ``folder`` from: a copy below ``scratch``, or ``folder``.

    All processes of a node share one copy: the first makes it, the others wait. InputError, before
    anything is copied, if the disk is too small.
    """
    if scratch is None:
        yield folder
        return
    name = hashlib.sha256(str(Path(folder).resolve()).encode()).hexdigest()[:16]
    home = _own(scratch / f"timbre-{os.getuid()}")
    place = home / name
    # Whoever uses the copy shares the one lock; whoever makes or removes it holds the other.
    with open(home / f"{name}.used", "a") as used, open(home / f"{name}.made", "a") as made:
        fcntl.flock(made, fcntl.LOCK_EX)
        fcntl.flock(used, fcntl.LOCK_SH)
        place.mkdir(exist_ok=True)
        _copy(Path(folder), names, place)
        fcntl.flock(made, fcntl.LOCK_UN)
        yield place
        fcntl.flock(made, fcntl.LOCK_EX)
        try:
            fcntl.flock(used, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return  # the last one to go removes it
        shutil.rmtree(place, ignore_errors=True)


def _own(home: Path) -> Path:
    # A disk that all users write to: nobody else may have made the folder for us.
    try:
        home.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError as error:
        mend = "name another folder with --scratch, or none"
        raise InputError(f"cannot be made: {error.strerror}", where=home, mend=mend) from error
    if home.is_symlink() or home.stat().st_uid != os.getuid():
        raise InputError("this folder is another user's", where=home, mend="name another one with --scratch")
    return home


def _missing(folder: Path, names: Sequence[str], place: Path) -> list[str]:
    return [name for name in names if _key(folder / name) != _key(place / name)]


def _key(path: Path) -> tuple[int, int] | None:
    # What a file is known by: whoever writes it anew gives it another time.
    try:
        there = path.stat()
    except FileNotFoundError:
        return None
    return there.st_size, there.st_mtime_ns


def _copy(folder: Path, names: Sequence[str], place: Path) -> None:
    missing = _missing(folder, names, place)
    if not missing:
        return
    lost = [name for name in missing if not (folder / name).is_file()]
    if lost:
        raise InputError("missing", where=folder / lost[0], mend="run the stage that writes it")
    size = sum((folder / name).stat().st_size for name in missing)
    disk = os.statvfs(place)
    if size + _SPARE > disk.f_bavail * disk.f_frsize:
        there = disk.f_bavail * disk.f_frsize
        raise InputError(
            f"{size / 1e6:.1f} MB of {folder} do not fit: {there / 1e6:.1f} MB are free",
            where=place,
            mend="name a larger disk with --scratch, or none",
        )
    print(f"{folder}: {size / 1e6:.1f} MB to {place}", file=sys.stderr)
    for name in missing:
        _copy_file(folder / name, place / name)


def _copy_file(source: Path, target: Path) -> None:
    with open(source, "rb") as read, replacing(target, "wb") as write:
        before = os.fstat(read.fileno())
        shutil.copyfileobj(read, write, _PIECE)
        if write.tell() != before.st_size:
            raise InputError("changed while it was copied", where=source, mend="start again")
    os.utime(target, ns=(before.st_atime_ns, before.st_mtime_ns))
