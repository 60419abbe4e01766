"""Which stages are fresh, and why the others are not."""

from __future__ import annotations

from collections.abc import Iterator
from types import ModuleType
from typing import NamedTuple

from ..audio import stage as audio
from ..augment import stage as augment
from ..backend import stage as backend
from ..diarize import stage as diarize
from ..egs import stage as egs
from ..extract import stage as extract
from ..features import stage as features
from ..formats.errors import InputError
from ..formats.run import Run
from ..formats.stamps import Unit
from ..prepare import stage as prepare
from ..score import stage as score
from ..train import stage as train
from ..tune import stage as tune
from ..vad import stage as vad
from .clean import cleaned, to_restore
from .space import size_text

MODULES: dict[str, ModuleType] = {
    module.NAME: module
    for module in (prepare, audio, vad, augment, features, egs, train, extract, backend, score, diarize, tune)
}


class State(NamedTuple):
    """A stage, a unit of it, and why it must be redone (None: it is fresh)."""

    stage: str
    unit: str
    reason: str | None
    note: str = ""


def states(run: Run, stages: list[str]) -> Iterator[State]:
    """The state of every unit of ``stages``, in order."""
    for stage in stages:
        try:
            for unit in MODULES[stage].units(run):
                gone = cleaned(unit)
                note = f" ({size_text(gone)} cleaned away, made again when read)" if gone else ""
                yield State(stage, unit.name, unit.stale(), note)
        except InputError as error:
            yield State(stage, "", str(error))


def units_of(run: Run) -> dict[str, list[Unit]]:
    """Every stage's units; none where the lists that say which are not there yet."""
    found: dict[str, list[Unit]] = {}
    for stage, module in MODULES.items():
        if stage in run.options:
            try:
                found[stage] = module.units(run)
            except InputError:
                found[stage] = []
    return found


def _leading(run: Run, stages: list[str]) -> int:
    # How many stages there are before the first stale one: behind it anything may change.
    for number, stage in enumerate(stages):
        if any(state.reason is not None for state in states(run, [stage])):
            return number
    return len(stages)


def fresh_stages(run: Run, stages: list[str], force: bool = False) -> tuple[list[str], list[Unit]]:
    """The leading stages that are fresh, and the units that --clean removed and the others read.

    Such units must be made again, so no stage from the first of them on is fresh; with ``force`` none is.
    InputError if one belongs to a stage before ``stages``.
    """
    leading = 0 if force else _leading(run, stages)
    if leading == len(stages):
        return stages, []
    again = to_restore(run, units_of(run), stages[leading:], stages)
    first = min((stages.index(unit.stage) for unit in again), default=leading)
    return stages[: min(first, leading)], again


def table(run: Run, stages: list[str]) -> str:
    """What ./run.sh --status prints."""
    lines = [f"recipe {run.recipe}, model {run.tag}, in {run.work}"]
    for state in states(run, stages):
        said = f"done{state.note}" if state.reason is None else f"to do: {state.reason}"
        lines.append(f"  {state.stage:9s} {state.unit:24s} {said}")
    return "\n".join(lines)
