"""Stage 9, score: every trial list with every back end, the figures with intervals, and the report."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from ..backend.options import BASELINE
from ..backend.stage import backends, folder_of, quality_inputs
from ..formats.atomic import write_text
from ..formats.drops import dropped_tables
from ..formats.errors import InputError
from ..formats.records import read_json
from ..formats.run import Run
from ..formats.stamps import Unit
from .results import REPORT, SCORES, kept_of, report_unit, summary, write_report

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from ..formats.datadir import DataSet
    from .conditions import Classes
    from .evaluate import Judged
    from .trials import Trials

    Floats = NDArray[np.float64]

NAME = "score"
VERSION = 5  # conditions: unknown ids decide nothing; no intervals of too few speakers
__all__ = ["NAME", "VERSION", "do", "refresh_report", "summary", "units"]


def units(run: Run) -> list[Unit]:
    """One unit a trial list, or a set where the recipe has labels, and the report over all."""
    if run.labels:
        from .class_stage import units as class_units

        return class_units(run, NAME)
    lists = [_list_unit(run, name, label, trials) for name, label, trials in run.trial_lists()]
    return [*lists, report_unit(run, lists, NAME, VERSION)]


def _deciding(run: Run) -> dict[str, Any]:
    # Trials are not voted on.
    return {key: value for key, value in run.options[NAME].items() if key != "vote"}


def _list_unit(run: Run, name: str, label: str, trials: Path) -> Unit:
    from .by_condition import condition_tables
    from .pictures import CONFUSIONS, PLANE, shown_sets, sources

    folder, vectors = run.exp / "scores" / label, run.exp / "xvectors" / name
    models = run.data / name / "enrol"
    measured = {path: None for back in backends(run) for path in quality_inputs(run, back, name)}
    kept = kept_of(run, label)
    pictured = sources(run, shown_sets(run) if PLANE in kept else [name] if CONFUSIONS in kept else [])
    tables = (*dropped_tables(run, name).values(), *condition_tables(run, name).values())
    extra = (*((models,) if models.is_file() else ()), *tables, *measured)
    calibrated = [back for back in backends(run) if (folder_of(run, back) / "calibration.json").is_file()]
    return Unit(
        name=label,
        stage=NAME,
        folder=folder,
        version=VERSION,
        options={"set": name, "backends": list(backends(run)), **_deciding(run)},
        inputs=(
            trials,
            run.data / name / "utt2spk",
            vectors / "xvector.scp",
            vectors / "baseline.scp",
            *extra,
            *pictured,
        ),
        upstream=(
            vectors / ".extract.done.json",
            *(folder_of(run, back) / ".backend.done.json" for back in backends(run)),
        ),
        outputs=(
            *(folder / back for back in backends(run)),
            *(folder / f"{back}.calibrated" for back in calibrated),
            *(folder / part for part in ("result.json", "det.json", SCORES, *kept)),
        ),
    )


def do(run: Run, unit: Unit) -> None:
    """Score and judge one list or set, or write the report."""
    if unit.name == REPORT:
        write_report(run)
        return
    if run.labels:
        from .class_stage import do as do_classes

        do_classes(run, unit)
        return
    from .by_condition import conditions
    from .trials import read_trials

    trials = read_trials(unit.inputs[0])
    data = run.set(unit.options["set"])
    classes = conditions(run, data, trials)
    _remove_old(unit)
    parts = {back: _do_one(run, unit, data, back, trials, classes) for back in backends(run)}
    figures = _compared({back: part.judged for back, part in parts.items()})
    for back, part in parts.items():
        figures[back]["conditions"] = part.conditions
    write_text(unit.folder / "det.json", json.dumps({back: part.det for back, part in parts.items()}) + "\n")
    drawn = {
        "histograms": {back: part.histogram for back, part in parts.items()},
        "calibration": {back: part.reliability for back, part in parts.items() if part.reliability},
    }
    write_text(unit.folder / SCORES, json.dumps(drawn) + "\n")
    _draw_vectors(run, unit)
    write_text(unit.folder / "result.json", json.dumps(figures, indent=1, sort_keys=True) + "\n")


def refresh_report(run: Run) -> bool:
    """Write the report again if it is out of date, as after stage diarize; whether it was written.

    Nothing is scored: without the lists' figures, or a report, there is nothing to bring up to date.
    """
    *_, report = units(run)
    known = all(path.is_file() for path in (*report.inputs, run.exp / "report.html"))
    if not known or report.stale() is None:
        return False
    report.forget()
    write_report(run)
    report.done()
    return True


class Part(NamedTuple):
    """What a list's files say of one back end."""

    judged: Judged
    conditions: dict[str, Any]
    det: list[list[float]]
    histogram: dict[str, Any]
    reliability: dict[str, Any] | None


def _do_one(
    run: Run, unit: Unit, data: DataSet, back: str, trials: Trials, classes: dict[str, Classes]
) -> Part:
    from ..metrics import det_points, sweep_trials
    from ..report import calibration_curve, score_histogram
    from .by_condition import by_condition
    from .judge import as_wrong, speaker_codes
    from .trials import write_scores

    options, truth = run.options[NAME], trials.is_target
    scored = _scored(run, data, back, trials)
    wrong = as_wrong(trials, scored.scores, scored.dropped)
    write_scores(unit.folder / back, trials, wrong)
    ratios, reliability = (wrong if scored.ratios else None), None
    if scored.calibrated is not None:
        ratios = as_wrong(trials, scored.calibrated, scored.dropped)
        write_scores(unit.folder / f"{back}.calibrated", trials, ratios)
        reliability = calibration_curve(ratios, truth)
    drawn = {key: options[key] for key in ("replicates", "seed")}
    people = speaker_codes(trials, scored.speakers)
    return Part(
        _judged(trials, scored, options),
        by_condition(classes, truth, people, wrong, ratios, **drawn),
        det_points(sweep_trials(wrong, truth, infinite=True)).tolist(),
        score_histogram(wrong, truth),
        reliability,
    )


def _remove_old(unit: Unit) -> None:
    # Scores of back ends that are no more, or have no calibration any more: nobody shall read them.
    result = unit.folder / "result.json"
    try:
        known = read_json(result, "the list's figures", mend="redo stage score") if result.is_file() else {}
    except InputError:
        known = {}
    for back in {*known, *unit.options["backends"]} if isinstance(known, dict) else ():
        for path in (unit.folder / back, unit.folder / f"{back}.calibrated"):
            if path not in unit.outputs:
                path.unlink(missing_ok=True)


def _compared(judged: dict[str, Judged]) -> dict[str, Any]:
    # Every back end's figures, and their differences to those before it and to the baseline.
    from .paired import differences

    figures: dict[str, Any] = {back: dict(one.figures) for back, one in judged.items()}
    names = [back for back in judged if back != BASELINE]
    for place, back in enumerate(names):
        figures[back]["against"] = {one: differences(judged[back], judged[one]) for one in names[:place]}
        figures[back]["against_baseline"] = differences(judged[back], judged[BASELINE])
    return figures


def _draw_vectors(run: Run, unit: Unit) -> None:
    from .pictures import CONFUSIONS, PLANE, confusions, plane

    kept = kept_of(run, unit.name)
    if PLANE in kept:
        found = plane(run, unit.options["seed"])
        write_text(unit.folder / PLANE, json.dumps(found) + "\n")
    if CONFUSIONS in kept:
        who = confusions(run, unit.options["set"])
        write_text(unit.folder / CONFUSIONS, json.dumps(who) + "\n")


class Scored(NamedTuple):
    """One back end's scores of a list, and what judging them needs; its vectors are gone."""

    scores: Floats
    calibrated: Floats | None
    dropped: set[str]
    speakers: dict[str, str]
    ratios: bool


def _scored(run: Run, data: DataSet, back: str, trials: Trials) -> Scored:
    from .enrol import Enrolment

    enrolment = Enrolment(run, data, back)
    scores = enrolment.score(trials)
    calibrated = enrolment.calibrate(trials, scores)
    known = (enrolment.dropped, enrolment.speakers, enrolment.backend.gives_ratios)
    return Scored(scores, calibrated, *known)


def _judged(trials: Trials, scored: Scored, options: dict[str, Any]) -> Judged:
    # Rates and threshold are of the scores themselves; what needs likelihood ratios is of the calibrated
    # ones where there are such, of PLDA's own scores otherwise.
    from .judge import judge
    from .paired import with_ratios

    def judged(values: Floats, ratios: bool) -> Judged:
        return judge(
            trials,
            values,
            scored.dropped,
            scored.speakers,
            options["seed"],
            replicates=options["replicates"],
            max_dropped=options["max_dropped"],
            likelihood_ratios=ratios,
        )

    calibrated = scored.calibrated
    found = judged(scored.scores, calibrated is None and scored.ratios)
    if calibrated is not None:
        found = with_ratios(found, judged(calibrated, True))
    return found._replace(figures={**found.figures, "calibrated": calibrated is not None})
