"""What --dry-run says: the commands that would run, their disk, and what only doing would find wrong."""

from __future__ import annotations

import shlex
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from ..augment import stage as augment
from ..egs.live import highest_speed
from ..features.contract import FeaturesOptions
from ..formats import shards
from ..formats.atomic import write_text
from ..formats.errors import InputError
from ..formats.names import STAGES
from ..formats.run import Run
from ..formats.stamps import Unit
from .checks import check_speakers
from .clean import cleaned
from .disk import Estimate
from .space import SPARE, free, places, short, size_text, used
from .status import MODULES, fresh_stages, states, units_of

# Bytes that need no estimate: more than any training of these networks keeps (exact numbers load torch).
KNOWN = {"prepare": 0.0, "train": 5e9, "tune": 1e10}


class Row(NamedTuple):
    """A stage that would run: why, its products' bytes, those still to be written, its waiting shards.

    ``again`` are its units that --clean removed and that are made again: STAGE:UNIT.
    """

    stage: str
    why: str
    whole: float | None
    rest: float | None
    shards: int | None
    again: tuple[str, ...] = ()


def rows(run: Run, stages: list[str], force: bool = False) -> list[Row]:
    """A row for each of ``stages``; ``why`` is empty for a fresh one, which writes nothing."""
    estimate, found, units = Estimate(run), [], units_of(run)
    fresh, restored = fresh_stages(run, stages, force)
    again = {stage: tuple(f"{stage}:{of.name}" for of in restored if of.stage == stage) for stage in stages}
    for stage in stages:
        reasons = [state for state in states(run, [stage]) if state.reason is not None]
        whole = estimate.stage(stage)
        if stage in fresh:
            found.append(Row(stage, "", whole, 0.0, 0))
            continue
        if reasons:
            why = f"{reasons[0].unit} {reasons[0].reason}"
        elif again[stage]:
            why = "it was cleaned away and a later stage reads it"
        else:
            why = "--force" if force else "an earlier stage will"
        rest = None if whole is None else max(0.0, whole - used(places(run, stage)))
        # Behind a stage that will run, what is fresh now will not be.
        wait = [unit for unit in units.get(stage, []) if not reasons or unit.stale() or cleaned(unit)]
        count = _waiting(run, stage, wait, estimate, begun=bool(reasons))
        found.append(Row(stage, why, whole, rest, count, again[stage]))
    return found


def _waiting(run: Run, stage: str, units: list[Unit], estimate: Estimate, begun: bool) -> int | None:
    # Shards that are planned and not done, else as many as the sets will make.
    module, total = MODULES[stage], 0
    if stage == "diarize":
        size = run.options[stage]["shard_recordings"]
        try:
            return sum(-(-len(estimate.extent(name).seconds) // size) for name in run.conversation_sets)
        except InputError:
            return None
    if not hasattr(module, "worker"):
        return None
    for unit in units:
        try:
            # Sets of copies are not there before stage augment, though another run's plan may be.
            if begun and all(path.is_file() for path in unit.inputs):
                total += len(shards.pending(unit))
                continue
        except InputError:
            pass  # nothing planned, or for other options
        try:
            if stage == "egs":
                return estimate.egs_archives()
            written = run.options["augment"]["materialise"] != "none"
            if stage == "augment" and not written and not augment.decides(run.copies[unit.name]):
                continue
            total += -(-len(estimate.extent(unit.name).seconds) // module.shard_size(run))
        except InputError:
            return None
    return total


def refuse_unbuildable(run: Run) -> None:
    """InputError for options that the stages themselves would refuse: filter, package, network, training."""
    from ..features.fbank import Fbank
    from ..features.pitch import library
    from ..train.loop import check
    from ..train.options import TrainOptions
    from ..train.watch import refuse_missing
    from .network import build

    features = FeaturesOptions(**run.options["features"])
    Fbank(features.acoustic())
    if features.pitch:
        library()
    build(run, 2)
    train = TrainOptions(**run.options["train"])
    check(train)
    refuse_missing(train)
    highest_speed(run)


def text(run: Run, found: list[Row], how: Mapping[str, str], path: Path) -> str:
    """What --dry-run prints: of each stage its disk, why it would run, and the commands."""
    lines = [f"recipe {run.recipe}, model {run.tag}, in {run.work}"]
    again = [word for row in found for word in row.again]
    if again:
        lines.append(f"{'':27s}$ {python('recipe.clean', str(path), '--restore', *again)}")
    for row in found:
        need = " " * 9 + "?   " if row.whole is None else f"{row.whole / 1e6:10.1f} MB"
        lines.append(f"  {row.stage:9s} {need}  {f'run: {row.why}' if row.why else 'skip: fresh'}")
        if row.why:
            if row.shards is not None:
                jobs = min(row.shards, int(how["nj"]))
                lines.append(f"{'':27s}{row.shards} shards in {jobs} jobs")
            lines += [f"{'':27s}$ {command}" for command in commands(row, how, path)]
    lines += [f"{'':27s}$ {command}" for command in summaries([row.stage for row in found], path)]
    unknown = [row.stage for row in found if row.rest is None]
    rest = sum(row.rest for row in found if row.rest is not None)
    there = free(Path(run.work))
    lines.append(f"  disk: {size_text(rest)} to write in {run.work}, {size_text(there)} free")
    if unknown:
        lines.append(f"  not known yet: {', '.join(unknown)} (a corpus's size is known behind stage prepare)")
    return "\n".join(lines)


def commands(row: Row, how: Mapping[str, str], path: Path) -> list[str]:
    """The step's command and those that it would start, as its script says them."""
    words = _step(row.stage, how, path)
    script = words[0]
    words += ["--force"] if how.get("force") else []
    words += ["--ignore-disk"] if how.get("ignore") else []
    scratch = f"TIMBRE_SCRATCH={shlex.quote(how['scratch'])} " if how.get("scratch") else ""
    if not Path(script).is_file():
        return [scratch + shlex.join(words)]
    waiting = how["nj"] if row.shards is None else str(row.shards)  # as wide as it may be
    said = _said(words, waiting).strip("\0").split("\0\0")
    inner = [shlex.join(command.split("\0")) for command in said if command]
    need = KNOWN.get(row.stage, row.whole)
    if not how.get("ignore") and (need is None or free(path.parent) < 4 * need + SPARE):
        inner.insert(0, python("recipe.plan", str(path), row.stage))  # as steps/step.sh has it
    return [scratch + shlex.join(words), *(f"  {command}" for command in inner)]


def _step(stage: str, how: Mapping[str, str], path: Path) -> list[str]:
    words = [f"steps/{stage}.sh", "--run", str(path)]
    for name in ("cmd", "nj", "ngpu", "nodes"):
        words += [f"--{name}", how[name]]
    return words


def _said(step: list[str], waiting: str) -> str:
    # The commands of a step, each with an empty word before it and NUL behind its words.
    line = ["bash", *step, "--dry-run", waiting]
    asked = subprocess.run(line, capture_output=True, text=True, check=False, encoding="utf-8")
    if asked.returncode != 0:
        raise InputError(asked.stderr.strip(), where=step[0])
    return asked.stdout


def refuse_launcher(stages: list[str], how: Mapping[str, str], path: Path) -> None:
    """InputError where the launcher would refuse the jobs of ``stages``, with its words: before any begins.

    Settings that cannot be, a program that is not there, and what Slurm or Kaldi's programs would not take.
    """
    site = how["cmd"] not in ("local", "slurm", "sge")
    program = ["steps/cmd/foreign", how["cmd"]] if site else [f"steps/cmd/{how['cmd']}"]
    if not Path(program[0]).is_file():
        return
    asked = [] if how["cmd"] in ("local", "sge") else stages  # there the settings alone are looked at
    steps = [_step(stage, how, path) for stage in asked]
    asks = "".join(_said(step, "1") for step in steps if Path(step[0]).is_file())
    line = [*program, "--check"]
    said = subprocess.run(line, input=asks, capture_output=True, text=True, check=False, encoding="utf-8")
    if said.returncode != 0:
        raise InputError(said.stderr.strip())
    sys.stderr.write(said.stderr)


def refuse_speakers(run: Run, stages: list[str]) -> None:
    """InputError where ``stages``, which will run, come to a back end that has too few training speakers.

    Stage prepare writes the sets anew: behind it ``main`` looks.
    """
    if "backend" in stages and "prepare" not in stages:
        check_speakers(run)


def python(module: str, *words: str) -> str:
    """A command of this program as people write it."""
    return shlex.join(["python", "-m", f"pysteps.{module}", *words])


def summaries(stages: list[str], path: Path) -> list[str]:
    """What ./run.sh runs behind its last stage."""
    last = stages[-1] if stages else ""
    said = ["score"] if last == "score" or (last == "diarize" and stages[0] != "diarize") else []
    said += ["diarize"] if last == "diarize" else []
    if last == "tune":
        return [python("recipe.tuned", str(path))]
    return [python(name, "summary", "--run", str(path)) for name in said]


def refuse_full(run: Run, found: list[Row]) -> None:
    """InputError if what ``found`` has still to write does not fit: need and free in one sentence."""
    said = short(sum(row.rest for row in found if row.rest), Path(run.work))
    if said:
        raise InputError(
            f"the disk is too small: {said}",
            mend="--work on another disk, --clean STAGES, or --ignore-disk to try all the same",
        )


def note(run: Run, estimate: Estimate | None) -> None:
    """Write exp/TAG/todo/disk: a stage and its bytes a line, for steps to compare with what is free."""
    known: dict[str, float | None] = dict(KNOWN)
    if estimate is not None:
        known |= {stage: estimate.stage(stage) for stage in STAGES if stage not in KNOWN}
    lines = (f"{stage} {size:.0f}\n" for stage, size in known.items() if size is not None)
    write_text(run.exp / "todo" / "disk", "".join(lines))


def note_ahead(run: Run, stages: list[str]) -> None:
    """Write exp/TAG/todo before ``stages`` run: what ``note`` writes, and their names.

    Where stage prepare is among them no size of a set holds, so that steps ask ``main`` behind it.
    """
    ahead = "prepare" in stages
    note(run, None if ahead else Estimate(run))
    write_text(run.exp / "todo" / "stages", f"{' '.join(stages)}\n")


def main() -> None:
    """``python -m pysteps.recipe.plan RUN STAGE``: refuse to begin a stage that cannot end well.

    Its products do not fit; or it is the first behind stage prepare, and a back end wants more speakers.
    """
    path, stage = sys.argv[1:]
    run = Run.load(path)
    todo = run.exp / "todo" / "stages"
    ahead = todo.read_text("utf-8").split() if todo.is_file() else []
    if stage == "audio" and "prepare" in ahead and "backend" in ahead:
        check_speakers(run)
    estimate = Estimate(run)
    note(run, estimate)
    whole = estimate.stage(stage)
    said = short(max(0.0, (whole or 0.0) - used(places(run, stage))), Path(run.work))
    if said:
        raise InputError(
            f"stage {stage} has not begun: the disk is too small: {said}",
            mend="make room (--clean STAGES) and start again, or --ignore-disk",
        )


if __name__ == "__main__":
    from ..formats.errors import guarded

    guarded(main)
