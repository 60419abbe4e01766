"""What a search found: a row a trial, the best one's options as conf files, and a table for people."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import yaml

from ..formats.atomic import write_text
from ..formats.errors import InputError
from ..formats.run import Run
from .options import STAGES, TuneOptions
from .study import WHY, library, open_study
from .trial import folder_of, lines_of, trial_run

# What epochs are judged by, as train.phases.judged_by has it, and its name for people.
JUDGED = {
    "dev_eer": "EER on development speakers, %",
    "dev_loss": "loss on the development set",
    "valid_loss": "loss on held-out chunks",
}
STATES = {"COMPLETE": "finished", "PRUNED": "ended early", "FAIL": "failed"}


def results(run: Run) -> dict[str, Any]:
    """{"space", "judged_by", "trials": [{number, state, value, epochs, values, seconds, why}], "best": N}.

    Trials that are still open are not among them. InputError where none was finished.
    """
    folder, options = folder_of(run), TuneOptions(**run.options["tune"]["options"])
    study = open_study(folder, options)
    rows, judged = [], ""
    for one in study.get_trials(deepcopy=False):
        if one.state.name not in STATES:
            continue
        lines = lines_of(folder / "trials" / str(one.number))
        judged = judged or next((key for key in JUDGED for line in lines[:1] if key in line), "")
        row = {"number": one.number, "state": STATES[one.state.name]}
        # What was ended early is shown with its best epoch, too.
        row["value"] = min(one.intermediate_values.values(), default=None)
        row |= {"epochs": len(one.intermediate_values), "values": dict(one.params)}
        row["seconds"] = round(sum(float(line.get("seconds", 0.0)) for line in lines), 1)
        row["why"] = one.user_attrs.get(WHY, "")
        rows.append(row)
    finished = [row for row in rows if row["state"] == "finished"]
    if not finished:
        reasons = [row["why"] for row in rows if row["why"]]
        said = f"no trial of {len(rows)} was finished" + (f": {reasons[-1]}" if reasons else "")
        raise InputError(said, where=folder, mend="more --trials, another space, or --force to begin anew")
    best = min(finished, key=lambda row: (row["value"], row["number"]))["number"]
    return {"space": run.options["tune"]["name"], "judged_by": judged, "trials": rows, "best": best}


def importances(run: Run, found: Mapping[str, Any]) -> dict[str, float]:
    """Parameter -> its share in how much the finished trials differ (fANOVA; Hutter et al., 2014).

    Empty where fewer than four are finished, or where they do not differ.
    """
    optuna = library()
    study = open_study(folder_of(run), TuneOptions(**run.options["tune"]["options"]))
    values = [row["value"] for row in found["trials"] if row["state"] == "finished"]
    if len(values) < 4 or len(set(values)) < 2:
        return {}
    try:
        evaluator = optuna.importance.FanovaImportanceEvaluator(seed=0)
        return dict(optuna.importance.get_param_importances(study, evaluator=evaluator))
    except (ValueError, RuntimeError):  # no parameter was ever another one
        return {}


def write_best(run: Run, found: Mapping[str, Any]) -> None:
    """best/models.yaml and best/train.yaml: every option of the best trial, as conf files."""
    row = next(row for row in found["trials"] if row["number"] == found["best"])
    options = trial_run(run, row["number"], row["values"]).options
    folder = folder_of(run) / "best"
    for stage in STAGES:
        table = {key: value for key, value in options[stage].items() if key != "feature_dim"}
        of = f"Trial {row['number']} of the search {found['space']}, recipe {run.recipe}"
        head = f"# {of}: {_figure(found, row)}.\n"
        write_text(
            folder / f"{stage}.yaml", head + yaml.safe_dump(table, sort_keys=False, allow_unicode=True)
        )


def table(found: Mapping[str, Any], most: int = 10) -> str:
    """The best ``most`` trials for a terminal, the best one first, and how many there were of each kind."""
    rows = ranked(found)
    names = list(rows[0]["values"])
    lines = [["trial", JUDGED.get(found["judged_by"], "value"), "epochs", *names]]
    for row in rows[:most]:
        figure = "-" if row["value"] is None else f"{row['value']:.4g}"
        mark = "" if row["state"] == "finished" else f" ({row['state']})"
        values = [short(row["values"][name]) for name in names]
        lines.append([str(row["number"]), figure + mark, str(row["epochs"]), *values])
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    text = [
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in lines
    ]
    return "\n".join([f"search {found['space']}: {counts(found)}", *text])


def ranked(found: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The rows of the trials, the best first; those that were not finished behind the others."""

    def place(row: Mapping[str, Any]) -> tuple[bool, float, int]:
        value = float("inf") if row["value"] is None else float(row["value"])
        return row["state"] != "finished", value, row["number"]

    return sorted(found["trials"], key=place)


def counts(found: Mapping[str, Any]) -> str:
    """12 trials: 5 finished, 6 ended early, 1 failed."""
    states = [row["state"] for row in found["trials"]]
    parts = [f"{states.count(state)} {state}" for state in STATES.values() if state in states]
    return f"{len(states)} trials: {', '.join(parts)}"


def short(value: Any) -> str:
    """A value as people read it."""
    if isinstance(value, float):
        return f"{value:.4g}"
    return str(value).lower() if isinstance(value, bool) else str(value)


def _figure(found: Mapping[str, Any], row: Mapping[str, Any]) -> str:
    return f"{JUDGED.get(found['judged_by'], 'value')} {row['value']:.4g}"
