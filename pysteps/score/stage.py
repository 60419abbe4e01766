"""Stage 9, score: every trial list with every back end, the figures with intervals, and the report."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from ..backend.options import BASELINE
from ..backend.stage import backends, folder_of, quality_inputs
from ..formats.atomic import write_text
from ..formats.drops import dropped_of, dropped_tables
from ..formats.run import Run
from ..formats.stamps import Unit

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from ..formats.datadir import DataSet
    from .evaluate import Judged
    from .trials import Trials

    Floats = NDArray[np.float64]

NAME = "score"
VERSION = 3
REPORT = "report"
_SCORES, _PLANE, _CONFUSIONS = "pictures.json", "tsne.json", "confusions.json"
_PICTURES = (_SCORES, _PLANE, _CONFUSIONS)


def units(run: Run) -> list[Unit]:
    """One unit a trial list, and the report over all."""
    lists = [_list_unit(run, name, label, trials) for name, label, trials in run.trial_lists()]
    figures = tuple(unit.folder / "result.json" for unit in lists)
    pictures = tuple(path for unit in lists for path in unit.outputs if path.name in _PICTURES)
    report = Unit(
        name=REPORT,
        stage=NAME,
        folder=run.exp,
        version=VERSION,
        options={"recipe": run.recipe, "tag": run.tag},
        inputs=(*figures, *pictures, run.exp / "model" / "model.json"),
        outputs=(run.exp / "results.json", run.exp / "report.html", run.exp / "det.png", _rows(run)),
    )
    return [*lists, report]


def _rows(run: Run) -> Path:
    return run.exp.parent / "RESULTS.md"


def _of_vectors(run: Run, label: str) -> list[str]:
    # What concerns x-vectors alone is kept by one list: a set's confusions by its first, the plane by the
    # first of all.
    lists = [(name, one) for name, one, _ in run.trial_lists()]
    (name,) = (name for name, one in lists if one == label)
    first_of_set = next(one for of, one in lists if of == name)
    plane = [_PLANE] if lists[0][1] == label else []
    return [*plane, *([_CONFUSIONS] if first_of_set == label else [])]


def _list_unit(run: Run, name: str, label: str, trials: Path) -> Unit:
    from .pictures import shown_sets, sources

    folder, vectors = run.exp / "scores" / label, run.exp / "xvectors" / name
    models = run.data / name / "enrol"
    measured = {path: None for back in backends(run) for path in quality_inputs(run, back, name)}
    kept = _of_vectors(run, label)
    pictured = sources(run, shown_sets(run) if _PLANE in kept else [name] if _CONFUSIONS in kept else [])
    extra = (*((models,) if models.is_file() else ()), *dropped_tables(run, name).values(), *measured)
    return Unit(
        name=label,
        stage=NAME,
        folder=folder,
        version=VERSION,
        options={"set": name, "backends": list(backends(run)), **run.options[NAME]},
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
            *(folder / part for part in ("result.json", "det.json", _SCORES, *kept)),
        ),
    )


def do(run: Run, unit: Unit) -> None:
    """Score and judge one list, or write the report."""
    if unit.name == REPORT:
        _report(run)
        return
    from ..metrics import det_points, sweep_trials
    from ..report import calibration_curve, score_histogram
    from .judge import as_wrong
    from .paired import differences
    from .trials import read_trials, write_scores

    options = run.options[NAME]
    trials = read_trials(unit.inputs[0])
    data = run.set(unit.options["set"])
    judged: dict[str, Judged] = {}
    curves: dict[str, Any] = {}
    histograms: dict[str, Any] = {}
    reliability: dict[str, Any] = {}
    for back in backends(run):
        scored = _scored(run, data, back, trials)
        wrong = as_wrong(trials, scored.scores, scored.dropped)
        write_scores(unit.folder / back, trials, wrong)
        curves[back] = det_points(sweep_trials(wrong, trials.is_target, infinite=True)).tolist()
        histograms[back] = score_histogram(wrong, trials.is_target)
        if scored.calibrated is not None:
            ratios = as_wrong(trials, scored.calibrated, scored.dropped)
            write_scores(unit.folder / f"{back}.calibrated", trials, ratios)
            reliability[back] = calibration_curve(ratios, trials.is_target)
        judged[back] = _judged(trials, scored, options)
    figures: dict[str, Any] = {back: dict(found.figures) for back, found in judged.items()}
    for place, back in enumerate(run.options["backend"]["backends"]):
        earlier = list(judged)[:place]
        figures[back]["against"] = {one: differences(judged[back], judged[one]) for one in earlier}
        figures[back]["against_baseline"] = differences(judged[back], judged[BASELINE])
    write_text(unit.folder / "det.json", json.dumps(curves) + "\n")
    drawn = {"histograms": histograms, "calibration": reliability}
    write_text(unit.folder / _SCORES, json.dumps(drawn) + "\n")
    _draw_vectors(run, unit)
    write_text(unit.folder / "result.json", json.dumps(figures, indent=1, sort_keys=True) + "\n")


def _draw_vectors(run: Run, unit: Unit) -> None:
    from .pictures import confusions, plane

    kept = _of_vectors(run, unit.name)
    if _PLANE in kept:
        found = plane(run, unit.options["seed"])
        write_text(unit.folder / _PLANE, json.dumps(found) + "\n")
    if _CONFUSIONS in kept:
        who = confusions(run, unit.options["set"])
        write_text(unit.folder / _CONFUSIONS, json.dumps(who) + "\n")


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


def _json(path: Path) -> Any:
    return json.loads(path.read_text("utf-8"))


def _folders(run: Run) -> dict[str, Path]:
    return {label: run.exp / "scores" / label for _, label, _ in run.trial_lists()}


def results(run: Run) -> dict[str, Any]:
    """results.json: figures by list and back end, dropped utterances, the model, seconds a stage."""
    folders = _folders(run)
    seconds = {path.name: float(path.read_text()) for path in sorted((run.exp / "seconds").glob("*"))}
    return {
        "recipe": run.recipe,
        "trials": {label: _json(folder / "result.json") for label, folder in folders.items()},
        "dropped": {name: _dropped(run, name) for name in [*run.base_sets, *run.copies]},
        "model": {"tag": run.tag, **_json(run.exp / "model" / "model.json")["model"]},
        "seconds": seconds,
    }


def _dropped(run: Run, name: str) -> dict[str, int]:
    return dict(Counter(reason.split()[0] for reason in dropped_of(run, name).values()))


def _report(run: Run) -> None:
    from ..report import page, update_results
    from .pictures import matrices

    found, folders = results(run), _folders(run)
    drawn = {label: _json(folder / _SCORES) for label, folder in folders.items()}
    lists = {label: (name, _of_vectors(run, label)) for name, label, _ in run.trial_lists()}
    planes = [_json(folders[label] / _PLANE) for label, (_, kept) in lists.items() if _PLANE in kept]
    who = {
        name: _json(folders[label] / _CONFUSIONS)
        for label, (name, kept) in lists.items()
        if _CONFUSIONS in kept
    }
    curves = run.exp / "curves.jsonl"
    epochs = [json.loads(line) for line in curves.read_text("utf-8").splitlines()] if curves.is_file() else []
    write_text(run.exp / "results.json", json.dumps(found, indent=1, sort_keys=True) + "\n")
    page.render(
        found,
        {label: _json(folder / "det.json") for label, folder in folders.items()},
        epochs,
        run.exp / "report.html",
        title=f"{run.recipe}: {run.tag}",
        caution=run.caution,
        histograms={label: part["histograms"] for label, part in drawn.items()},
        calibration={label: part["calibration"] for label, part in drawn.items()},
        plane=next(iter(planes), None),
        confusions=matrices(who),
    )
    update_results(_rows(run), found)


def summary(run: Run) -> str:
    """The figures as a table for a terminal."""
    found = _json(run.exp / "results.json")
    lines = [f"{'trials':24s} {'back end':9s} {'EER %':>7s}  {'95 % interval':15s} {'minDCF(0.01)':>12s}"]
    for label, backs in found["trials"].items():
        for back, figures in sorted(backs.items(), key=lambda item: item[0] == BASELINE):
            low, high = figures["eer_ci"]
            lines.append(
                f"{label:24s} {back:9s} {figures['eer']:7.2f}  {low:6.2f} - {high:6.2f} "
                f"{figures['min_dcf']['0.01']:12.3f}"
            )
    return "\n".join([*lines, f"report: {run.exp / 'report.html'}"])
