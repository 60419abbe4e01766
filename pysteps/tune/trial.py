"""One trial: a training of its own folder, whose epochs are told to the study as they end."""

from __future__ import annotations

import json
import math
import shutil
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from ..formats.errors import InputError
from ..formats.run import Run
from ..train import stage as train
from ..train.options import TrainOptions
from ..train.owner import PLACES
from ..train.phases import judged_by, phases_of
from .values import apply

Lines = Sequence[Mapping[str, Any]]


class Pruned(Exception):
    """The trial is not worth going on with."""


def folder_of(run: Run) -> Path:
    """exp/TAG/tune/SPACE/."""
    return run.exp / "tune" / run.options["tune"]["name"]


def trial_run(run: Run, number: int, values: Mapping[str, Any]) -> Run:
    """The run of trial ``number``: that of the search with these ``values``, in trials/NUMBER."""
    name = run.options["tune"]["name"]
    options = apply({key: table for key, table in run.options.items() if key != "tune"}, values)
    return replace(run, tag=f"{run.tag}/tune/{name}/trials/{number}", options=options)


def lines_of(folder: Path) -> list[dict[str, Any]]:
    """A trial's epochs so far."""
    path = folder / "curves.jsonl"
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()] if path.is_file() else []


def value_of(lines: Lines) -> float:
    """What a trial comes to: its best epoch, by what epochs are judged by."""
    return min(_judged(line) for line in lines)


def run_trial(run: Run, told: Callable[[int, float, bool], bool]) -> float:
    """Train trial ``run``, or go on with it; what its best epoch came to.

    ``told`` hears of every epoch (its number, its figure, whether it is the last that there can be), of those
    before an interruption again, and says whether that is enough: then Pruned is raised. InputError for what
    cannot be trained.
    """
    run.save(run.exp / "run.json")
    last = sum(phase.epochs for phase in phases_of(TrainOptions(**run.options["train"])))

    def after_epoch(lines: Lines) -> None:
        for line in lines[heard[0] :]:
            heard[0] += 1
            if told(int(line["epoch"]), _judged(line), int(line["epoch"]) == last):
                raise Pruned

    heard = [0]
    after_epoch(lines_of(run.exp))
    (unit,) = train.units(run)
    with _failing():
        train.do(run, unit, after_epoch=after_epoch)
    unit.done()
    lines = lines_of(run.exp)
    after_epoch(lines)
    return value_of(lines)


@contextmanager
def _failing() -> Iterator[None]:
    # What torch cannot do with these values (a network too large for the memory, shapes that do not fit) is a
    # trial that failed, not the end of its worker, and it is not taken up again for ever.
    import torch

    try:
        yield
    except (MemoryError, RuntimeError) as error:
        first = (str(error).splitlines() or ["no more is to be had"])[0]
        lack = isinstance(error, MemoryError | torch.OutOfMemoryError) or "allocate memory" in str(error)
        if not lack:
            raise InputError(f"torch says: {first}", mend="see the trial's values") from error
        mend = "search smaller networks or batches, or train.accumulate"
        raise InputError(f"out of memory: {first}", mend=mend) from error


def tidy(folder: Path, model: bool) -> None:
    """Remove what a finished trial does not need: its checkpoints; its ``model``, unless that is to stay."""
    gone = PLACES if model else (*PLACES, "model")
    if not model:
        (folder / ".train.done.json").unlink(missing_ok=True)
    for name in gone:
        shutil.rmtree(folder / name, ignore_errors=True)


def say(number: int, what: str) -> None:
    """A line for whoever watches a worker."""
    print(f"trial {number}: {what}", file=sys.stderr, flush=True)


def _judged(line: Mapping[str, Any]) -> float:
    found = judged_by(line)
    if found is not None and not math.isfinite(found):
        raise InputError(f"epoch {line['epoch']} is judged {found}", mend="see its line in curves.jsonl")
    if found is None:
        raise InputError(
            "epochs are not judged: there is neither a development set nor are there held-out chunks",
            mend="--egs.valid_share 0.03",
        )
    return found
