"""Stage 8, backend: what is learned from training and development x-vectors before any trial is seen."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from ..formats.atomic import write_text
from ..formats.drops import dropped_of
from ..formats.errors import InputError
from ..formats.run import Run
from ..formats.stamps import Unit
from .options import BASELINE

if TYPE_CHECKING:
    from .backend import Backend
    from .line import Line
    from .vectors import Sides

NAME = "backend"
VERSION = 4
_NONE = "uncalibrated"  # stands in calibration.json's place where the development set can teach none


def folder_of(run: Run, name: str) -> Path:
    """exp/TAG/backend/NAME."""
    return run.exp / "backend" / name


def backends(run: Run) -> dict[str, str]:
    """Name -> line of every back end of a run by name, whatever order the recipe has; the baseline last."""
    return {**dict(sorted(run.options[NAME]["backends"].items())), BASELINE: "center | cosine"}


def vectors_of(run: Run, back: str, name: str) -> Path:
    """The table of the set ``name`` that the back end ``back`` reads."""
    table = "baseline.scp" if back == BASELINE else "xvector.scp"
    return run.exp / "xvectors" / name / table


def units(run: Run) -> list[Unit]:
    """One unit a back end, or a classifier where the recipe has labels."""
    if run.labels:
        from . import class_stage

        return class_stage.units(run, NAME)
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
        outputs=_outputs(run, name, found),
    )


def _outputs(run: Run, name: str, line: Line) -> tuple[Path, ...]:
    # What the line asks for, and the arrays that chain.json, if it is there, names.
    from .chain import read_description
    from .cohort import FILES

    folder = folder_of(run, name)
    try:
        arrays = [row.get("file") for row in read_description(folder)["chain"]]
    except (InputError, AttributeError):  # missing, or damaged: whoever reads it says so
        arrays = []
    names = ["chain.json", *filter(None, arrays)]
    names += ["plda"] if line.scorer == "plda" else []
    names += FILES if line.norm is not None else []
    if run.options[NAME]["calibration"] != "none":
        names.append(_NONE if (folder / _NONE).is_file() else "calibration.json")
    return tuple(folder / one for one in names)


def do(run: Run, unit: Unit) -> None:
    """Learn one back end and its calibration, or one classifier."""
    if run.labels:
        from . import class_stage

        class_stage.do(run, unit)
        return
    from .backend import Backend
    from .line import parse_line
    from .vectors import read_labelled, read_vectors

    line, options = parse_line(unit.options["line"]), unit.options
    train = read_labelled(
        vectors_of(run, unit.name, run.train_set), run.data / run.train_set / "utt2spk"
    )
    evaluated = {} if line.norm is None else {
        name: list(run.set(name).utt2spk().values()) for name in run.eval_sets
    }
    backend = Backend.fit(
        line,
        train.vectors,
        train.speakers,
        sets={name: read_vectors(vectors_of(run, unit.name, name))[1] for name in line.sets},
        utterances=train.utterances,
        evaluated=evaluated,
        seed=options["seed"],
    )
    if options["calibration"] != "none":
        backend = _calibrated(run, unit, backend)
    backend.save(unit.folder, replace_all=True)
    (unit.folder / _NONE).unlink(missing_ok=True)
    if options["calibration"] != "none" and backend.calibration is None:
        write_text(unit.folder / _NONE, f"{run.dev_set} has not both kinds of pairs\n")


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
    from .develop import calibrated, dev_trials
    from .quality import trial_quality

    data, dev = run.set(run.dev_set), sides_of(run, unit.name, run.dev_set)
    trials = dev_trials(data.trial_lists().values(), dev, unit.options["seed"])
    return calibrated(
        backend,
        unit.name,
        unit.options["calibration"],
        dev,
        trials,
        of=run.dev_set,
        quality=lambda rows: trial_quality(
            run, run.dev_set, backend, dev, rows, trials[0], unit.options["quality"]
        ),
    )
