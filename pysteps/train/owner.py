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
    said = _settle(unit)
    if said:
        print(f"train: {said}", file=sys.stderr)
    folder = unit.folder / "checkpoints"
    if not _is_of(folder, unit.key()):
        _remove(folder)
        write_text(folder / BEGUN, json.dumps(unit.content(), sort_keys=True, indent=1) + "\n")
        write_text(folder / "key", unit.key() + "\n")


def give_up(unit: Unit) -> None:
    """Remove the checkpoints of ``unit``'s training; those of another one are set aside."""
    _settle(unit)
    _remove(unit.folder / "checkpoints")


def refuse_another(unit: Unit, key: str) -> None:
    """InputError if the training ``key`` is no longer the one that ``checkpoints`` is of.

    A training whose driver was killed may outlive it in a queue: no checkpoint and no model of it must get
    among those of the training that took its place.
    """
    folder = unit.folder / "checkpoints"
    if not _is_of(folder, key):
        said = "training has begun anew meanwhile: this job is left over from an earlier run"
        raise InputError(said, where=folder, mend="nothing to mend: the newer one goes on")


def _settle(unit: Unit) -> str | None:
    # Only names change here, in an order in which a kill at any moment loses no set of checkpoints.
    now, before, moving = (unit.folder / place for place in PLACES)
    if moving.exists():  # killed here
        moving.rename(now if before.exists() else before)
    if _is_of(now, unit.key()):
        return None
    said = None
    if any(now.glob("step-*.pt")):
        said = f"these checkpoints are of another training ({_why(now, unit)}): set aside as {before.name}"
        now.rename(moving)
    if _is_of(before, unit.key()):
        _remove(now)
        before.rename(now)
        said = f"going on with {before.name}" + (f"; {said}" if said else "")
    if moving.exists():
        _remove(before)
        moving.rename(before)
    return said


def _is_of(folder: Path, key: str) -> bool:
    path = folder / "key"
    return path.is_file() and path.read_text("utf-8").strip() == key


def _remove(folder: Path) -> None:
    (folder / "key").unlink(missing_ok=True)  # first: half a set is nobody's
    shutil.rmtree(folder, ignore_errors=True)


def _why(folder: Path, unit: Unit) -> str:
    try:
        why = unit.differs(json.loads((folder / BEGUN).read_text("utf-8")))
    except (OSError, ValueError):
        why = None
    return why or "options or egs changed since"
