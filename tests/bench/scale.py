"""Time and memory of everything that is not work on an utterance, at a million utterances.

Run from the repository: python tests/bench/scale.py [--work FOLDER] [--utterances N] [--speakers N] [--dev N]
[--evaluated N] [--trials N] [--only WORD]. Lists and two real utterances, no audio for the rest. Each step
is a process of its own; seconds are from its start to its end, memory is its peak. Steps, in order:

  validate   stage 0: tables mended and checked, train and eval compared
  plan       a stage cuts its list into shards, all sets
  start      one job: everything read that a shard needs, then two utterances of real audio
  gather     the shards' tables joined, dropped utterances counted, stamped, all sets
  read       what training, stages 8 and 9 read before they work
  driver     ./run.sh's question before the first stage: options resolved, every stage asked if it is fresh

A full run needs 6 GB of disk in a temporary folder and about 15 minutes, most of it to write what jobs
would write.
"""

from __future__ import annotations

import argparse
import importlib
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from typing import Any

REPO = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(REPO), str(REPO / "tests" / "bench")]

from clocked import Figure, clocked  # noqa: E402


def script() -> list[tuple[str, str, str]]:
    """(step, kind of run, stage) in order. ``fake`` writes what jobs would have written: no figure."""
    steps = [("validate", "live", "prepare")]
    for kind, stage in [
        ("live", "audio"), ("live", "vad"), ("live", "features"), ("live", "egs"), ("live", "extract"),
        ("copy", "augment"), ("copy", "features"), ("copy", "egs"),
    ]:  # fmt: skip
        words = ["plan", "start", "fake", "gather"]
        if stage == "extract":
            words.insert(0, "model")
        if stage == "augment":  # tables only: its shards hold nothing
            words.remove("start")
        steps += [(word, kind, stage) for word in words]
    steps += [("read", "live", stage) for stage in ("train", "backend", "score")]
    steps += [("stamps", "live", "score")]
    return steps + [("driver", "live", word) for word in ("start", "status", "dry-run")]


def do(step: str, kind: str, stage: str, work: Path) -> None:
    """One step, in a process of its own."""
    import scale_world as world

    from pysteps.formats import command
    from pysteps.formats.run import Run

    if step == "driver":
        nowhere = os.open(os.devnull, os.O_WRONLY)  # run.sh reads its settings from descriptor 3
        if nowhere != 3:
            os.dup2(nowhere, 3)
        sys.argv = ["run.sh", *world.command_line(work, kind), *([] if stage == "start" else [f"--{stage}"])]
        importlib.import_module("pysteps.recipe.__main__")
        return
    path = work / "exp" / kind / "run.json"
    run = Run.load(path) if path.is_file() else world.load(work, kind)
    module: Any = importlib.import_module(f"pysteps.{stage}.stage")
    if step == "plan":
        command.plan(module, run)
    elif step == "gather":
        command.gather(module, run)
    elif step == "fake":
        for unit in module.units(run):
            if unit.stale() is not None:
                world.done_shards(run, stage, unit)
    else:
        STEPS[step](module, run)


def validate(stage: Any, run: Any) -> None:
    """Stage 0 behind local/NAME.py."""
    stage.validate(run)
    for unit in stage.units(run):
        unit.done()


def start(stage: Any, run: Any) -> None:
    """One job with one shard: two utterances, or an archive of their chunks."""
    import scale_world as world

    unit = next(unit for unit in stage.units(run) if unit.stale() is not None)
    utts = sorted(path.split()[0] for path in _head(run.data / "train" / "utt2spk", 2))
    if stage.NAME == "egs":
        (unit.folder / "plan" / "stub").write_text(
            "".join(f"{n:06d}-{utt}@{n} train {utt} {n} 150\n" for n, utt in enumerate(utts))
        )
        stage.worker(run)(unit, 0, ["stub"])
        return
    if unit.name in run.copies:
        utts = [f"{utt}-{run.copies[unit.name]}" for utt in utts]
    world.keep_real(run, stage.NAME, unit, stage.worker(run)(unit, 1, utts))


def _head(path: Path, count: int) -> list[str]:
    with open(path, encoding="utf-8") as handle:
        return [next(handle) for _ in range(count)]


def model(stage: Any, run: Any) -> None:
    """A network that was never trained."""
    from pysteps.features.contract import contract
    from pysteps.models.model import SpeakerModel, save_model
    from pysteps.models.options import ModelOptions
    from pysteps.train import stage as train

    save_model(SpeakerModel(ModelOptions(**run.options["models"])), run.exp / "model", contract(run))
    for unit in train.units(run):
        for path in unit.outputs:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.exists() or path.touch()
        unit.done()


def read(stage: Any, run: Any) -> None:
    """What a process of the stage reads before it works."""
    if stage.NAME == "train":
        from pysteps.augment.pools import Pools

        pools = Pools(run)
        print(len(pools.names), pools.voices is None)
    elif stage.NAME == "backend":
        from pysteps.backend.vectors import read_vectors

        utts, _ = read_vectors(stage.vectors_of(run, "plda", run.train_set))
        utt2spk = run.set(run.train_set).utt2spk()
        print(len([utt2spk[utt] for utt in utts]))
    else:
        import numpy as np

        from pysteps.backend import Backend, Chain
        from pysteps.backend.stage import backends, folder_of
        from pysteps.score.enrol import Enrolment
        from pysteps.score.trials import read_trials

        (name, _, path), *_ = run.trial_lists()
        for back in backends(run):
            Backend(Chain([])).save(folder_of(run, back))
            enrolment = Enrolment(run, run.set(name), back)
            print(np.isfinite(enrolment.score(read_trials(path))).all())


def stamps(stage: Any, run: Any) -> None:
    """Stamps of stages 8 and 9, as if they were done."""
    from pysteps.backend import stage as backend

    for one in (backend, stage):
        for unit in one.units(run):
            for path in unit.outputs:
                path.parent.mkdir(parents=True, exist_ok=True)
                path.exists() or path.write_text("{}")
            unit.done()


STEPS: dict[str, Callable[[Any, Any], None]] = {
    one.__name__: one for one in (validate, start, model, read, stamps)
}


def measured(step: str, kind: str, stage: str, work: Path) -> Figure:
    """Run one step in its own process; its figures. RuntimeError with what it said when it fails."""
    words = [sys.executable, str(Path(__file__).resolve()), "--do", step, kind, stage, "--work", str(work)]
    return clocked(f"{step} {stage}", words, REPO)


def simulate(work: Path, numbers: dict[str, int], only: str = "") -> list[Figure]:
    """All steps at a size, each printed as it ends; what is only preparation is left out of the figures."""
    words = [word for name, number in numbers.items() for word in (f"--{name}", str(number))]
    built = ["--do", "build", "", "", "--work", str(work), *words]
    subprocess.run([sys.executable, __file__, *built], check=True)
    figures = []
    for step, kind, stage in script():
        found = measured(step, kind, stage, work)
        if step not in ("fake", "model", "stamps"):
            figures.append(found)
            print(f"{step:9s} {stage:9s} {kind:5s} {found.seconds:7.1f} s {found.cpu:7.1f} s CPU "
                  f"{found.peak:7.0f} MB", flush=True)  # fmt: skip
    return figures


def main() -> None:
    """Simulate, or do the one step that ``--do`` names."""
    from scale_world import Size, build

    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--work", type=Path, help="an empty folder (default: a temporary one)")
    parser.add_argument("--do", nargs=3, help=argparse.SUPPRESS)
    parser.add_argument("--keep", action="store_true", help="leave the folder behind")
    for field in fields(Size):
        parser.add_argument(f"--{field.name}", type=int, default=field.default)
    options = parser.parse_args()
    numbers = {field.name: getattr(options, field.name) for field in fields(Size)}
    if options.do and options.do[0] == "build":
        build(options.work, Size(**numbers))
    elif options.do:
        do(*options.do, options.work)
    else:
        work = options.work or Path(tempfile.mkdtemp(prefix="timbre-scale-"))
        print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}, in {work}: {numbers}", flush=True)
        try:
            simulate(work, numbers)
        finally:
            if not options.keep:
                shutil.rmtree(work, ignore_errors=True)


if __name__ == "__main__":
    main()
