"""Intermediate products given back on request: archives go, tables and stamps stay.

So a stage whose archives are gone, and every finished stage behind it, is still done. A mark beside the stamp
says what was removed; when a later stage has to read it after all, the stamp goes too (``restore``) and the
stage makes the same bytes again.
"""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from ..egs import live
from ..formats.atomic import write_text
from ..formats.errors import InputError
from ..formats.records import read_json
from ..formats.run import Run
from ..formats.stamps import Unit, digest
from ..train.owner import PLACES
from .space import size_text, used

# What is removed, by stage: patterns below a unit's folder.
BULK = {
    "audio": ("audio.*.ark",),
    "augment": ("audio.*.ark",),
    "features": ("feats.*.ark", "cmvn.*.ark"),
    "egs": ("train.*", "valid.*", "long.*", "plan"),
    "train": PLACES,
}


def parse(text: str) -> list[str]:
    """The stages of ``--clean a,b``; InputError for one that has nothing to clean."""
    names = [name for name in text.replace(",", " ").split() if name]
    for name in names:
        if name not in BULK:
            raise InputError(f"--clean {name}: nothing is cleaned there", mend=f"one of {', '.join(BULK)}")
    return names


def mark_of(unit: Unit) -> Path:
    """Where it is said that a unit was cleaned."""
    return unit.folder / f".{unit.stage}.cleaned.json"


def cleaned(unit: Unit) -> int | None:
    """Bytes that were given back of a unit that was not made again since; None for one that is whole.

    What is missing decides, and no time of a file: folders are copied, and their files touched.
    """
    said = _said(unit)
    return None if said is None else int(said["bytes"])


def _said(unit: Unit) -> dict[str, Any] | None:
    mark = mark_of(unit)
    if not (mark.is_file() and unit.stamp.is_file()):
        return None
    said = read_json(mark, "the mark of a clean-up", mend="remove it and run the stage with --force")
    if said["stamp"] != digest(unit.stamp):  # it was made again, otherwise
        return None
    return said if len(_bulk(unit)) < said["count"] else None


def _bulk(unit: Unit) -> list[Path]:
    # Archives and folders that are there and would be removed.
    return sorted({path for pattern in BULK[unit.stage] for path in unit.folder.glob(pattern)})


def reads(run: Run, stage: str, unit: str) -> set[tuple[str, str]]:
    """The (stage, unit)s whose archives a unit of ``stage`` reads."""
    train = [run.train_set, *run.copies]
    audio = {("audio", run.train_set if unit in run.copies else unit)}
    if stage == "vad":
        return audio
    if stage == "augment":
        return {("audio", run.train_set)}
    if stage == "features":
        return audio | ({("augment", unit)} if unit in run.copies else set())
    if stage == "egs" and run.options["egs"]["kind"] == "audio":
        return {("audio", run.train_set), *(("augment", name) for name in run.copies)}
    if stage == "egs":
        return {("features", name) for name in train}
    if stage in ("train", "tune"):  # babble is made of what others say, while training augments
        babble = {("audio", run.train_set)} if "speech" in live.pool_names(run) else set()
        return {("egs", run.egs_tag), ("features", run.dev_set)} | babble
    if stage == "extract":
        return {("features", unit)}
    if stage == "diarize":
        return {(kind, name) for kind in ("audio", "features") for name in run.conversation_sets}
    return set()


def to_restore(
    run: Run, units: dict[str, list[Unit]], behind: Iterable[str], stages: Iterable[str]
) -> list[Unit]:
    """The cleaned units that the stages ``behind`` the first stale one may read, in order of the stages.

    InputError if one of them belongs to no stage of ``stages``, those that may run.
    """
    all_units = ((stage, unit) for stage in BULK for unit in units.get(stage, []))
    gone = {(stage, unit.name): unit for stage, unit in all_units if cleaned(unit) is not None}
    wanted: dict[tuple[str, str], Unit] = {}
    asking = [(stage, unit.name) for stage in behind for unit in units.get(stage, [])]
    while asking:
        reader = asking.pop()
        for key in reads(run, *reader) & gone.keys() - wanted.keys():
            if key[0] not in stages:
                raise InputError(
                    f"stage {reader[0]} reads what --clean {key[0]} removed",
                    where=gone[key].folder,
                    mend=f"start at --stage {key[0]}",
                )
            wanted[key] = gone[key]
            asking.append(key)
    return [unit for key, unit in gone.items() if key in wanted]


def restore(unit: Unit) -> None:
    """Let a cleaned unit be made again."""
    unit.forget()  # first: without a stamp the mark says nothing
    mark_of(unit).unlink(missing_ok=True)


def clean(run: Run, names: list[str], units: dict[str, list[Unit]], force: bool) -> list[str]:
    """Remove the archives of the stages ``names`` and return sentences on what went.

    InputError, before anything is touched, for what a stage that is not done still reads, but with ``force``.
    """
    said = []
    for name in names:
        if not force:
            _refuse_needed(run, name, units)
    for name in names:
        count, size = 0, 0
        for unit in units.get(name, []):
            found = _bulk(unit)
            if not found:
                continue
            taken = used(found)
            _remove(unit, found, taken)
            count, size = count + len(found), size + taken
        said.append(f"{name}: removed {count} archives and folders, {size_text(size)}")
    return said


def _refuse_needed(run: Run, name: str, units: dict[str, list[Unit]]) -> None:
    for unit in units.get("train", []) if name == "train" else []:
        reason = unit.stale()
        if reason is not None and _bulk(unit):
            raise InputError(
                f"checkpoints are still needed: train {unit.name} is to do ({reason}) and may go on there",
                where=unit.folder,
                mend="run stage train first, or remove them all the same with --force",
            )
    for stage, readers in units.items():
        for reader in readers:
            needed = {key for key in reads(run, stage, reader.name) if key[0] == name}
            reason = reader.stale() if needed else None
            if reason is not None:
                raise InputError(
                    f"{name} is still needed: {stage} {reader.name} is to do ({reason})",
                    mend=f"run stage {stage} first, or remove it all the same with --force",
                )


def _remove(unit: Unit, found: list[Path], taken: int) -> None:
    if unit.stage != "train":  # a finished one needs no checkpoints: nothing to put back
        if unit.stale() is None:
            before = _said(unit) or {"bytes": 0, "count": len(found)}  # else a clean-up that was killed
            mark = {**before, "bytes": taken + before["bytes"], "stamp": digest(unit.stamp)}
            write_text(mark_of(unit), json.dumps(mark) + "\n")
        else:
            unit.forget()
        shutil.rmtree(unit.folder / "shards", ignore_errors=True)  # done marks of archives that go now
    for path in found:
        shutil.rmtree(path) if path.is_dir() else path.unlink()


def main() -> None:
    """``python -m pysteps.recipe.clean RUN STAGES [--force]``, or ``RUN --restore STAGE:UNIT ...``.

    run.sh calls it, under its lock.
    """
    from .status import units_of

    path, what, *more = sys.argv[1:]
    run = Run.load(path)
    units = units_of(run)
    if what == "--restore":
        names = {tuple(word.split(":", 1)) for word in more}
        for unit in (unit for of in units.values() for unit in of if (unit.stage, unit.name) in names):
            print(f"{unit.stage} {unit.name}: was cleaned away and is needed again")
            restore(unit)
        return
    for sentence in clean(run, parse(what), units, "--force" in more):
        print(sentence)


if __name__ == "__main__":
    from ..formats.errors import guarded

    guarded(main)
