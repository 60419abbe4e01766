"""results.json, report.html and the rows of RESULTS.md: what stage 9 makes of all its lists."""

from __future__ import annotations

import json
import math
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ..backend.options import BASELINE
from ..formats.atomic import write_text
from ..formats.drops import dropped_of, dropped_tables
from ..formats.errors import InputError
from ..formats.records import read_json
from ..formats.run import Run
from ..formats.stamps import Unit, changed
from .pictures import CONFUSIONS, PLANE, matrices

REPORT = "report"
SCORES = "pictures.json"
_DIARIZE = "diarize"  # a later room: only its files are read here


def kept_of(run: Run, label: str) -> list[str]:
    """The pictures of x-vectors that the list ``label`` keeps, which depend on no list.

    A set's confusions lie with its first list, the plane with the first of all.
    """
    lists = [(name, one) for name, one, _ in run.trial_lists()]
    (name,) = (name for name, one in lists if one == label)
    first_of_set = next(one for of, one in lists if of == name)
    plane = [PLANE] if lists[0][1] == label else []
    return [*plane, *([CONFUSIONS] if first_of_set == label else [])]


def report_unit(run: Run, lists: Sequence[Unit], stage: str, version: int) -> Unit:
    """The unit that writes the report over ``lists``.

    All that the page shows is an input but for the seconds: new ones alone are no reason to draw it again.
    """
    figures = (unit.folder / "result.json" for unit in lists)
    shown = (SCORES, "det.json", PLANE, CONFUSIONS)
    drawn = (path for unit in lists for path in unit.outputs if path.name in shown)
    dropped = (path for name in recorded_sets(run) for path in dropped_tables(run, name).values())
    curves, turns = run.exp / "curves.jsonl", diarization_file(run)
    extra = (*([curves] if curves.is_file() else []), *([turns] if turns is not None else []))
    return Unit(
        name=REPORT,
        stage=stage,
        folder=run.exp,
        version=version,
        options={"recipe": run.recipe, "tag": run.tag, "caution": run.caution},
        inputs=(*figures, *drawn, run.exp / "model" / "model.json", *dropped, *extra),
        outputs=(run.exp / "results.json", run.exp / "report.html", run.exp / "det.png", rows_file(run)),
    )


def rows_file(run: Run) -> Path:
    return run.exp.parent / "RESULTS.md"


def recorded_sets(run: Run) -> list[str]:
    return [*run.base_sets, *run.copies]


def diarization_file(run: Run) -> Path | None:
    """What stage diarize found in this run's configuration; None before it, and when it is out of date.

    Out of date: a file that its stamps say was read for it is another one by now (a model trained again).
    """
    if not run.conversation_sets or _DIARIZE not in run.names:
        return None
    room, stamp = run.exp / _DIARIZE, f".{_DIARIZE}.done.json"
    method = room / run.names[_DIARIZE]
    stamps = [method / stamp]
    for name in run.conversation_sets:
        stamps += [run.windows(name) / stamp, method / name / ".turns.done.json"]
    found = method / "results.json"
    return found if found.is_file() and all(changed(stamp) is None for stamp in stamps) else None


def part_of_report(path: Path) -> Any:
    return read_json(path, "a part of the report", mend="redo stage score with --force")


def _folders(run: Run) -> dict[str, Path]:
    return {label: run.exp / "scores" / label for _, label, _ in run.trial_lists()}


def results(run: Run) -> dict[str, Any]:
    """results.json: figures by list and back end, dropped utterances, the model, seconds a stage."""
    folders = _folders(run)
    return {
        "recipe": run.recipe,
        "trials": {label: part_of_report(folder / "result.json") for label, folder in folders.items()},
        "dropped": {name: dropped_counts(run, name) for name in recorded_sets(run)},
        "model": {"tag": run.tag, **part_of_report(run.exp / "model" / "model.json")["model"]},
        "seconds": seconds_of(run.exp / "seconds"),
    }


def dropped_counts(run: Run, name: str) -> dict[str, int]:
    return dict(Counter(reason.split()[0] for reason in dropped_of(run, name).values()))


def seconds_of(folder: Path) -> dict[str, float]:
    # A time is no result: one that cannot be read is left out, and said.
    found: dict[str, float] = {}
    for path in sorted(folder.glob("*")):
        try:
            value = float(path.read_text("utf-8"))
        except (OSError, ValueError):
            value = math.nan
        if 0 <= value < math.inf:
            found[path.name] = value
        elif not path.name.startswith("."):
            print(f"score: {path} holds no seconds: left out of the report", file=sys.stderr)
    return found


def epochs_of(path: Path) -> list[dict[str, Any]]:
    epochs = []
    for number, line in enumerate(path.read_text("utf-8").splitlines() if path.is_file() else [], 1):
        try:
            epochs.append(json.loads(line))
        except ValueError:
            said = "no line of training curves"
            raise InputError(said, where=path, line=number, mend="remove the line") from None
    return epochs


def write_report(run: Run) -> None:
    """Write results.json, report.html, det.png, and this model's rows of RESULTS.md."""
    if run.labels:
        from .class_results import write_class_report

        write_class_report(run)
        return
    from ..report import page, update_results

    found, folders, turns = results(run), _folders(run), diarization_file(run)
    drawn = {label: part_of_report(folder / SCORES) for label, folder in folders.items()}
    lists = {label: (name, kept_of(run, label)) for name, label, _ in run.trial_lists()}
    planes = [part_of_report(folders[label] / PLANE) for label, (_, kept) in lists.items() if PLANE in kept]
    firsts = {name: folders[label] for label, (name, kept) in lists.items() if CONFUSIONS in kept}
    who = {name: part_of_report(folder / CONFUSIONS) for name, folder in firsts.items()}
    write_text(run.exp / "results.json", json.dumps(found, indent=1, sort_keys=True) + "\n")
    page.render(
        found,
        {label: part_of_report(folder / "det.json") for label, folder in folders.items()},
        epochs_of(run.exp / "curves.jsonl"),
        run.exp / "report.html",
        title=f"{run.recipe}: {run.tag}",
        caution=run.caution,
        histograms={label: part["histograms"] for label, part in drawn.items()},
        calibration={label: part["calibration"] for label, part in drawn.items()},
        plane=next(iter(planes), None),
        confusions=matrices(who),
        diarization=None if turns is None else part_of_report(turns),
    )
    update_results(rows_file(run), found)


def summary(run: Run) -> str:
    """The figures as a table for a terminal."""
    found = read_json(run.exp / "results.json", "the figures of stage 9", mend="run stage score")
    if "classification" in found:
        from .class_results import class_table

        return "\n".join([class_table(found["classification"]), f"report: {run.exp / 'report.html'}"])
    wide = max([9, *(len(back) for backs in found["trials"].values() for back in backs)])
    lines = [
        f"{'trials':24s} {'back end':{wide}s} {'EER %':>7s}  {'95 % interval':15s} {'minDCF(0.01)':>12s}"
    ]
    for label, backs in found["trials"].items():
        for back, figures in sorted(backs.items(), key=lambda item: item[0] == BASELINE):
            ends = figures["eer_ci"]  # null of too few speakers
            span = f"{ends[0]:6.2f} - {ends[1]:6.2f}" if ends else "-"
            lines.append(
                f"{label:24s} {back:{wide}s} {figures['eer']:7.2f}  {span:15s} "
                f"{figures['min_dcf']['0.01']:12.3f}"
            )
    return "\n".join([*lines, f"report: {run.exp / 'report.html'}"])
