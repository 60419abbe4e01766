"""Which stages are fresh, and what the others would cost."""

from __future__ import annotations

from collections.abc import Iterator
from types import ModuleType
from typing import NamedTuple

from ..audio import stage as audio
from ..augment import stage as augment
from ..backend import stage as backend
from ..egs import stage as egs
from ..extract import stage as extract
from ..features import stage as features
from ..formats.errors import InputError
from ..formats.run import Run
from ..prepare import stage as prepare
from ..score import stage as score
from ..train import stage as train
from ..vad import stage as vad

MODULES: dict[str, ModuleType] = {
    module.NAME: module
    for module in (prepare, audio, vad, augment, features, egs, train, extract, backend, score)
}


class State(NamedTuple):
    """A stage, a unit of it, and why it must be redone (None: it is fresh)."""

    stage: str
    unit: str
    reason: str | None


def states(run: Run, stages: list[str]) -> Iterator[State]:
    """The state of every unit of ``stages``, in order."""
    for stage in stages:
        try:
            for unit in MODULES[stage].units(run):
                yield State(stage, unit.name, unit.stale())
        except InputError as error:
            yield State(stage, "", str(error))


def fresh_stages(run: Run, stages: list[str]) -> list[str]:
    """The leading stages that are fresh: behind the first stale one anything may change."""
    fresh = []
    for stage in stages:
        if any(state.reason is not None for state in states(run, [stage])):
            break
        fresh.append(stage)
    return fresh


def disk_bytes(run: Run) -> dict[str, float]:
    """Bytes that each stage's products need, from stage audio's durations (empty before it is done).

    audio: 2 bytes a sample, as flac about 1.1 (nothing for the corpus's own files that are kept, which
    nobody can tell beforehand); vad: 4 a frame; augment: as audio, for copies that are written; features:
    0, 1, 2 -> bytes a number by compression, for the set and its copies; egs: the training set's share
    times repeats at two bytes a feature, or a sample where they are of audio; extract: two vectors an
    utterance.
    """
    seconds = {name: audio.seconds(run, name) for name in run.base_sets}
    if not all(seconds.values()):
        return {}
    total, training = sum(seconds.values()), seconds[run.train_set]
    frames = 1000.0 / run.options["features"]["frame_shift_ms"]
    dim = run.options["models"]["feature_dim"]
    width = {0: 4, 2: 1, 3: 2}[run.options["features"]["compression"]]
    utterances = sum(len(run.set(name).utt2spk()) for name in run.base_sets)
    vector = 4 * (run.options["models"]["xvector_dim"] + 2 * dim)
    a_sample = 1.1 if run.options["audio"]["materialise"] == "flac" else 2.0
    repeats, of_audio = run.options["egs"]["repeats"], run.options["egs"]["kind"] == "audio"
    everything = total + (0.0 if of_audio else training * len(run.copies))
    a_second = run.options["audio"]["sample_rate"] if of_audio else frames * dim
    written = {"none": 0.0, "ark": 2.0, "flac": 1.1}[run.options["augment"]["materialise"]] * len(run.copies)
    return {
        "audio": total * run.options["audio"]["sample_rate"] * a_sample,
        "vad": total * frames * 4,
        "augment": training * run.options["audio"]["sample_rate"] * written,
        "features": everything * frames * dim * width,
        "egs": training * (1 + len(run.copies)) * a_second * 2 * repeats,
        "extract": utterances * vector,
    }


def table(run: Run, stages: list[str]) -> str:
    """What ./run.sh --status prints."""
    lines = [f"recipe {run.recipe}, model {run.tag}, in {run.work}"]
    for state in states(run, stages):
        said = "done" if state.reason is None else f"to do: {state.reason}"
        lines.append(f"  {state.stage:9s} {state.unit:24s} {said}")
    return "\n".join(lines)


def plan_text(run: Run, stages: list[str]) -> str:
    """What ./run.sh --dry-run prints: the stages that would run, and their disk."""
    lines, disk, stale = [f"recipe {run.recipe}, model {run.tag}, in {run.work}"], disk_bytes(run), False
    for stage in stages:
        reasons = [state for state in states(run, [stage]) if state.reason is not None]
        stale = stale or bool(reasons)
        need = f"{disk[stage] / 1e6:10.1f} MB" if stage in disk else " " * 13
        what = (
            f"run: {reasons[0].unit} {reasons[0].reason}"
            if reasons
            else "run: an earlier stage will"
            if stale
            else "skip: fresh"
        )
        lines.append(f"  {stage:9s} {need}  {what}")
    if not disk:
        lines.append("  disk: known once stage audio has measured the recordings")
    return "\n".join(lines)
