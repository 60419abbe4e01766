"""Whose checkpoints these are: of a training with these options, egs and features, or of another one.

``checkpoints/`` has the key of the training that writes there. Where another begins, they are set aside as
``checkpoints.before/``, one set of them: an option changed by mistake costs nothing when it is changed back,
as the two then change places.
"""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

from ..formats.atomic import write_text
from ..formats.errors import InputError
from ..formats.stamps import Unit

BEGUN = "begun.json"  # what decided the training that the checkpoints are of
PLACES = ("checkpoints", "checkpoints.before", "checkpoints.moving")


def take_up(unit: Unit) -> None:
    """Afterwards ``checkpoints`` is of ``unit``'s training, its own ones or none yet; the log says which."""
    key, folder = unit.key(), unit.folder / PLACES[0]
    _settle(unit, key)
    if not _is_of(folder, key):
        write_text(folder / BEGUN, json.dumps(unit.content(), sort_keys=True, indent=1) + "\n")
        write_text(folder / "key", key + "\n")


def give_up(unit: Unit) -> None:
    """Remove the checkpoints of ``unit``'s training; those of another one are set aside.

    Without the training's inputs nobody can say whose they are: they stay, and the stage says what it misses.
    """
    if all(path.is_file() for path in unit.inputs):
        _settle(unit, unit.key())
        _remove(unit.folder / PLACES[0])


def refuse_another(unit: Unit, key: str) -> None:
    """InputError if the training ``key`` is no longer the one that ``checkpoints`` is of.

    A training whose driver was killed may outlive it in a queue: no checkpoint and no model of it must get
    among those of the training that took its place.
    """
    folder = unit.folder / PLACES[0]
    if not _is_of(folder, key):
        said = "training has begun anew meanwhile: this job is left over from an earlier run"
        raise InputError(said, where=folder, mend="nothing to mend: the newer one goes on")


def written(unit: Unit) -> Path:
    """The set of checkpoints that ``unit``'s training goes on with, or that goes when it begins."""
    known = all(path.is_file() for path in unit.inputs)
    now, before, _ = (unit.folder / place for place in PLACES)
    return now if known and _is_of(now, unit.key()) else before


def _settle(unit: Unit, key: str) -> None:
    # In an order in which a kill at any moment loses no whole set but the one that has to go.
    now, before, moving = (unit.folder / place for place in PLACES)
    if moving.exists():  # killed here
        _move(moving, now if before.exists() else before)
    if _is_of(now, key):
        return
    if (now / "key").is_file() and any(now.glob("step-*.pt")):
        _say(f"these checkpoints are of another training ({_why(now, unit)}): set aside as {before.name}")
        _move(now, moving)
    _remove(now)
    if _is_of(before, key):
        _say(f"going on with {before.name}")
        _move(before, now)
    if moving.exists():
        _remove(before)
        _move(moving, before)


def _is_of(folder: Path, key: str) -> bool:
    path = folder / "key"
    return path.is_file() and path.read_text("utf-8").strip() == key


def _move(folder: Path, name: Path) -> None:
    try:
        folder.rename(name)
    except OSError as error:
        mend = f"remove {name}, or let this user write there"
        raise InputError(f"cannot become {name.name}: {error.strerror}", where=folder, mend=mend) from error


def _remove(folder: Path) -> None:
    (folder / "key").unlink(missing_ok=True)  # first: half a set is nobody's
    shutil.rmtree(folder, ignore_errors=True)


def _say(what: str) -> None:
    print(f"train: {what}", file=sys.stderr)


def _why(folder: Path, unit: Unit) -> str:
    try:
        why = unit.differs(json.loads((folder / BEGUN).read_text("utf-8")))
    except (OSError, ValueError):
        why = None
    return why or "options or egs changed since"
