"""Stage 9, score: every trial list with every back end, the figures with intervals, and the report."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

from ..backend.stage import VECTORS
from ..formats.atomic import write_text
from ..formats.drops import dropped_of, dropped_tables
from ..formats.run import Run
from ..formats.stamps import Unit

NAME = "score"
VERSION = 1
REPORT = "report"


def units(run: Run) -> list[Unit]:
    """One unit a trial list, and the report over all."""
    lists = [_list_unit(run, name, label, trials) for name, label, trials in run.trial_lists()]
    figures = tuple(unit.folder / "result.json" for unit in lists)
    report = Unit(
        name=REPORT,
        stage=NAME,
        folder=run.exp,
        version=VERSION,
        options={"recipe": run.recipe, "tag": run.tag},
        inputs=(*figures, run.exp / "model" / "model.json"),
        outputs=(run.exp / "results.json", run.exp / "report.html", run.exp / "det.png"),
    )
    return [*lists, report]


def _list_unit(run: Run, name: str, label: str, trials: Path) -> Unit:
    folder, vectors = run.exp / "scores" / label, run.exp / "xvectors" / name
    models = run.data / name / "enrol"
    extra = (*((models,) if models.is_file() else ()), *dropped_tables(run, name).values())
    return Unit(
        name=label,
        stage=NAME,
        folder=folder,
        version=VERSION,
        options={"set": name, **run.options[NAME]},
        inputs=(
            trials,
            run.data / name / "utt2spk",
            vectors / "xvector.scp",
            vectors / "baseline.scp",
            *extra,
        ),
        upstream=(
            vectors / ".extract.done.json",
            *(run.exp / "backend" / back / ".backend.done.json" for back in VECTORS),
        ),
        outputs=(*(folder / back for back in VECTORS), folder / "result.json"),
    )


def do(run: Run, unit: Unit) -> None:
    """Score and judge one list, or write the report."""
    if unit.name == REPORT:
        _report(run)
        return
    from ..metrics import det_points, sweep_trials
    from .enrol import Enrolment
    from .judge import as_wrong, compare, judge
    from .trials import read_trials, write_scores

    options = run.options[NAME]
    trials = read_trials(unit.inputs[0])
    data = run.set(unit.options["set"])
    scores, curves, figures = {}, {}, {}
    for back in VECTORS:
        enrolment = Enrolment(run, data, back)
        scores[back] = enrolment.score(trials)
        write_scores(unit.folder / back, trials, as_wrong(trials, scores[back], enrolment.dropped))
        figures[back] = judge(
            trials,
            scores[back],
            enrolment.dropped,
            enrolment.speakers,
            options["seed"],
            replicates=options["replicates"],
            max_dropped=options["max_dropped"],
            likelihood_ratios=back == "plda",
        )
        wrong = as_wrong(trials, scores[back], enrolment.dropped)
        curves[back] = det_points(sweep_trials(wrong, trials.is_target, infinite=True)).tolist()
    for back in ("cosine", "plda"):
        figures[back]["against_baseline"] = compare(
            trials,
            scores[back],
            scores["baseline"],
            enrolment.dropped,
            enrolment.speakers,
            options["seed"],
            replicates=options["replicates"],
        )
    write_text(unit.folder / "det.json", json.dumps(curves) + "\n")
    write_text(unit.folder / "result.json", json.dumps(figures, indent=1, sort_keys=True) + "\n")


def _json(path: Path) -> Any:
    return json.loads(path.read_text("utf-8"))


def results(run: Run) -> dict[str, Any]:
    """results.json: figures by list and back end, dropped utterances, the model, seconds a stage."""
    folders = {label: run.exp / "scores" / label for _, label, _ in run.trial_lists()}
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
    from ..report import page

    found = results(run)
    det = {label: _json(run.exp / "scores" / label / "det.json") for label in found["trials"]}
    curves = run.exp / "curves.jsonl"
    epochs = [json.loads(line) for line in curves.read_text("utf-8").splitlines()] if curves.is_file() else []
    write_text(run.exp / "results.json", json.dumps(found, indent=1, sort_keys=True) + "\n")
    page.render(
        found, det, epochs, run.exp / "report.html", title=f"{run.recipe}: {run.tag}", caution=run.caution
    )


def summary(run: Run) -> str:
    """The figures as a table for a terminal."""
    found = _json(run.exp / "results.json")
    lines = [f"{'trials':24s} {'back end':9s} {'EER %':>7s}  {'95 % interval':15s} {'minDCF(0.01)':>12s}"]
    for label, backs in found["trials"].items():
        for back in ("cosine", "plda", "baseline"):
            figures = backs[back]
            low, high = figures["eer_ci"]
            lines.append(
                f"{label:24s} {back:9s} {figures['eer']:7.2f}  {low:6.2f} - {high:6.2f} "
                f"{figures['min_dcf']['0.01']:12.3f}"
            )
    return "\n".join([*lines, f"report: {run.exp / 'report.html'}"])
