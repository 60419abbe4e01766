"""results.json, report.html, rows of RESULTS.md and the summary of a recipe with ``labels``."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from ..formats.atomic import write_text
from ..formats.drops import dropped_tables
from ..formats.run import Run
from ..formats.stamps import Unit
from .pictures import PLANE
from .results import (
    REPORT,
    dropped_counts,
    epochs_of,
    part_of_report,
    recorded_sets,
    rows_file,
    seconds_of,
)


def class_report_unit(run: Run, sets: Sequence[Unit], stage: str, version: int) -> Unit:
    """The unit that writes the report over ``sets``; new seconds alone are no reason to draw it again."""
    shown = [path for unit in sets for path in unit.outputs if path.name in ("result.json", PLANE)]
    dropped = (path for name in recorded_sets(run) for path in dropped_tables(run, name).values())
    curves = run.exp / "curves.jsonl"
    return Unit(
        name=REPORT,
        stage=stage,
        folder=run.exp,
        version=version,
        options={"recipe": run.recipe, "tag": run.tag, "caution": run.caution, "labels": run.labels},
        inputs=(
            *shown,
            run.exp / "model" / "model.json",
            *dropped,
            *([curves] if curves.is_file() else []),
        ),
        outputs=(run.exp / "results.json", run.exp / "report.html", rows_file(run)),
    )


def class_results(run: Run) -> dict[str, Any]:
    """results.json: figures by set and classifier, dropped utterances, the model, seconds a stage."""
    folders = {name: run.exp / "scores" / name for name in dict.fromkeys(run.eval_sets)}
    return {
        "recipe": run.recipe,
        "labels": run.labels,
        "vote": run.options["score"].get("vote", "none"),
        "classification": {name: part_of_report(one / "result.json") for name, one in folders.items()},
        "dropped": {name: dropped_counts(run, name) for name in recorded_sets(run)},
        "model": {"tag": run.tag, **part_of_report(run.exp / "model" / "model.json")["model"]},
        "seconds": seconds_of(run.exp / "seconds"),
    }


def write_class_report(run: Run) -> None:
    """Write results.json, report.html, and this model's rows of RESULTS.md."""
    from ..report import render_classes, update_class_results

    found = class_results(run)
    write_text(run.exp / "results.json", json.dumps(found, indent=1) + "\n")
    render_classes(
        found,
        run.exp / "report.html",
        curves=epochs_of(run.exp / "curves.jsonl"),
        title=f"{run.recipe}: {run.tag}",
        caution=run.caution,
        plane=part_of_report(run.exp / "scores" / run.eval_sets[0] / PLANE),
    )
    update_class_results(rows_file(run), found)


def class_table(sets: Mapping[str, Mapping[str, Mapping[str, Any]]], title: str = "classifier") -> str:
    """{set: {classifier: figures}} as lines."""
    wide = max([len(title), *(len(name) for part in sets.values() for name in part)])
    left = max([3, *map(len, sets)])
    two = any(one["roc_auc"] is not None for part in sets.values() for one in part.values())
    head = f"{'set':{left}s} {title:{wide}s} {'accuracy %':>10s}  {'95 % interval':15s}"
    head += f" {'balanced %':>10s} {'macro-F1 %':>10s}" + (f" {'ROC-AUC':>8s}" if two else "")
    lines = [head]
    for name, part in sets.items():
        for key, one in part.items():
            span = _span(one["accuracy_ci"])
            line = f"{name:{left}s} {key:{wide}s} {one['accuracy']:10.2f}  {span:15s}"
            line += f" {_plain(one['balanced_accuracy'], 2):>10s} {_plain(one['macro_f1'], 2):>10s}"
            lines.append(line + (f" {_plain(one['roc_auc'], 4):>8s}" if two else ""))
    return "\n".join(lines)


def _plain(value: float | None, digits: int) -> str:
    return "-" if value is None else f"{value:.{digits}f}"


def _span(ends: Sequence[float] | None, digits: int = 2) -> str:
    return f"{ends[0]:.{digits}f} - {ends[1]:.{digits}f}" if ends else "-"
