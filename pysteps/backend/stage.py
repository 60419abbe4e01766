"""Stage 8, backend: what is learned from training and development x-vectors before any trial is seen."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from ..formats.drops import dropped_of
from ..formats.errors import InputError
from ..formats.run import Run
from ..formats.stamps import Unit
from .options import BASELINE

if TYPE_CHECKING:
    from .backend import Backend
    from .vectors import Sides

NAME = "backend"
VERSION = 3


def folder_of(run: Run, name: str) -> Path:
    """exp/TAG/backend/NAME."""
    return run.exp / "backend" / name


def backends(run: Run) -> dict[str, str]:
    """Name -> line of every back end of a run, the baseline last."""
    return {**run.options[NAME]["backends"], BASELINE: "center | cosine"}


def vectors_of(run: Run, back: str, name: str) -> Path:
    """The table of the set ``name`` that the back end ``back`` reads."""
    table = "baseline.scp" if back == BASELINE else "xvector.scp"
    return run.exp / "xvectors" / name / table


def units(run: Run) -> list[Unit]:
    """One unit a back end."""
    return [_unit(run, name, line) for name, line in backends(run).items()]


def _unit(run: Run, name: str, line: str) -> Unit:
    from .line import parse_line

    found, options = parse_line(line), run.options[NAME]
    sets = [run.train_set, *found.sets]
    more: list[Path] = []
    if options["calibration"] != "none":
        sets.append(run.dev_set)
        dev = run.set(run.dev_set)
        tables = [dev.folder / "utt2spk", *([dev.folder / "enrol"] if dev.has("enrol") else [])]
        more += [*tables, *dev.trial_lists().values(), *quality_inputs(run, name, run.dev_set)]
    if found.norm is not None:
        more += [run.data / evaluated / "utt2spk" for evaluated in run.eval_sets]
    sources = [vectors_of(run, name, one) for one in dict.fromkeys(sets)]
    return Unit(
        name=name,
        stage=NAME,
        folder=folder_of(run, name),
        version=VERSION,
        options={
            "line": line,
            "calibration": options["calibration"],
            "quality": quality_of(run, name),
            "seed": options["seed"],
        },
        inputs=(*sources, run.data / run.train_set / "utt2spk", *dict.fromkeys(more)),
        upstream=tuple(source.parent / ".extract.done.json" for source in sources),
        outputs=(folder_of(run, name) / "chain.json",),
    )


def do(run: Run, unit: Unit) -> None:
    """Learn one back end, and its calibration."""
    from .backend import Backend
    from .line import parse_line
    from .vectors import read_vectors

    line, options = parse_line(unit.options["line"]), unit.options
    utts, vectors = read_vectors(vectors_of(run, unit.name, run.train_set))
    utt2spk = run.set(run.train_set).utt2spk()
    evaluated = {} if line.norm is None else {
        name: list(run.set(name).utt2spk().values()) for name in run.eval_sets
    }
    backend = Backend.fit(
        line,
        vectors,
        [utt2spk[utt] for utt in utts],
        sets={name: read_vectors(vectors_of(run, unit.name, name))[1] for name in line.sets},
        utterances=utts,
        evaluated=evaluated,
        seed=options["seed"],
    )
    if options["calibration"] != "none":
        backend = _calibrated(run, unit, backend)
    backend.save(unit.folder)


def quality_of(run: Run, back: str) -> list[str]:
    """The quality measures of a back end: the baseline has no cohort."""
    return [kind for kind in run.options[NAME]["quality"] if back != BASELINE or kind != "cohort"]


def quality_inputs(run: Run, back: str, name: str) -> list[Path]:
    """The files beside x-vectors that quality measures of the set ``name`` are read from."""
    return [run.of("vad", name) / "utt2voiced"] if "duration" in quality_of(run, back) else []


def sides_of(run: Run, back: str, name: str) -> Sides:
    """The utterances and models of the set ``name`` as ``back`` reads them, before its transforms."""
    from .vectors import read_vectors, sides

    data = run.set(name)
    keys, vectors = read_vectors(vectors_of(run, back, name))
    models = data.table("enrol") if data.has("enrol") else {}
    return sides(keys, vectors, data.utt2spk(), models, dropped_of(run, name))


def _calibrated(run: Run, unit: Unit, backend: Backend) -> Backend:
    from .calibration import Calibration, fit_logistic, fit_pav
    from .develop import dev_trials
    from .quality import trial_quality

    dev = sides_of(run, unit.name, run.dev_set)
    pairs, is_target = dev_trials(run.set(run.dev_set), dev, unit.options["seed"])
    if not is_target.any() or is_target.all():
        print(
            f"backend {unit.name}: no calibration, {run.dev_set} has "
            f"{'no' if not is_target.any() else 'nothing but'} pairs of one speaker",
            file=sys.stderr,
        )
        return backend
    rows = backend.transform(dev.vectors, dev.population)
    scores = backend.score_transformed(rows, rows, pairs, dev.examples, names=list(dev.rows))
    quality = trial_quality(run, run.dev_set, backend, dev, rows, pairs, unit.options["quality"])
    try:
        learned: Calibration = (
            fit_pav(scores, is_target)
            if unit.options["calibration"] == "pav"
            else fit_logistic(scores, is_target, quality=quality, systems=[unit.name])
        )
    except InputError as error:
        raise InputError(f"calibration of {unit.name} on {run.dev_set}: {error}") from error
    for note in learned.notes:
        print(f"backend {unit.name}: calibration: {note}", file=sys.stderr)
    return backend.calibrated(learned)
