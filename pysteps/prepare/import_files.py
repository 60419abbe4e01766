"""The recordings of a corpus that is imported: which folder they count from, and which will not do."""

from __future__ import annotations

import os
import stat
from collections.abc import Sequence
from pathlib import Path

from ..formats.errors import InputError
from .rows import Bad, Row


def audio_root(rows: Sequence[Row], given: Path | None, near: Path) -> Path | None:
    """The folder that relative paths count from: ``given``, or the first of ``near``, what is above it, and
    the current folder, that has the first of them. None where all are absolute.
    """
    relative = next(
        (row.path for row in rows if not row.path.startswith("/") and not row.path.endswith("|")), ""
    )
    if given is not None or not relative:
        return given and given.absolute()
    above = near.absolute()
    tried = [*([above] if above.is_dir() else []), *above.parents, Path.cwd()]
    for folder in tried:
        if folder != Path("/") and there(folder / relative):
            return folder
    said = f"{relative} is neither below {tried[0]}, nor below what is above it, nor below {Path.cwd()}"
    raise InputError(said, mend="--audio-root FOLDER is what paths count from")


def there(path: Path | str) -> bool:
    """Whether a file is there; of archive.ark:OFFSET the archive."""
    return os.path.exists(path) or os.path.exists(_archive(str(path)))


def _archive(path: str) -> str:
    archive, _, offset = path.rpartition(":")
    return archive if archive and offset.isdigit() and not os.path.lexists(path) else path


def amiss(path: str) -> str:
    """What is wrong with a recording before anybody listens to it, in words; "" where nothing is."""
    try:
        found = os.stat(_archive(path))
    except OSError:
        return f"{path} is a link to nothing" if os.path.islink(path) else f"no file {path}"
    if stat.S_ISDIR(found.st_mode):
        return f"{path} is a folder"
    return f"{path} is empty" if stat.S_ISREG(found.st_mode) and not found.st_size else ""


def place(rows: Sequence[Row], root: Path | None, check: bool, bad: Bad) -> list[Row]:
    """Rows whose recordings are there and hold something (``check``: look, but decode nothing), with paths
    below ``root`` made relative."""
    good, known = [], dict[str, str]()
    prefix = f"{root}{os.sep}" if root else ""
    for row in rows:
        if prefix and row.path.startswith(prefix):
            row.path = row.path[len(prefix) :]
        if check and not row.path.endswith("|"):
            if row.path not in known:
                known[row.path] = amiss(os.path.join(prefix, row.path))
            if said := known[row.path]:
                bad(row.error(said, "remove it" if row.where.endswith(row.path) else "mend the path"))
                continue
        good.append(row)
    return good


def once(rows: Sequence[Row], root: Path | None, check: bool, bad: Bad) -> list[Row]:
    """Rows of which each stands for another piece of sound.

    Of one that two rows give to two speakers both rows are bad: who is right is not known here. Of one that
    a speaker has twice the later row is. ``check``: links are followed.
    """
    first: dict[tuple[str, str, float, float | None], Row] = {}
    drop: dict[int, Row] = {}
    folders: dict[str, str] = {}
    for row in rows:
        path = (
            row.path if row.path.endswith("|") else _real(os.path.join(root or "", row.path), check, folders)
        )
        other = first.setdefault((path, row.channel, row.start or 0.0, row.end), row)
        if other is row:
            continue
        if other.speaker == row.speaker:
            bad(row.error(f"{row.path} stands in {_where(other)} already", "remove one of the two"))
        else:
            if id(other) not in drop:
                bad(_contested(other, row))
            bad(_contested(row, other))
            drop[id(other)] = other
        drop[id(row)] = row
    return [row for row in rows if id(row) not in drop]


def _real(path: str, check: bool, folders: dict[str, str]) -> str:
    if not check:
        return os.path.normpath(path)
    # The links of a folder are followed once, not for each of its files.
    folder, name = os.path.split(path)
    if folder not in folders:
        folders[folder] = os.path.realpath(folder)
    whole = os.path.join(folders[folder], name)
    return os.path.realpath(whole) if os.path.islink(whole) else whole


def _contested(row: Row, other: Row) -> InputError:
    said = f"{row.path} is speaker {row.speaker}'s here and speaker {other.speaker}'s in {_where(other)}"
    return row.error(said, "remove the wrong one")


def _where(row: Row) -> str:
    if row.line:
        return f"{row.where}:{row.line}"
    return f"{row.where} ({row.utt})" if row.utt else row.where
