"""Error rates of a run's sets: results.json of stage diarize."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ..formats.errors import InputError
from ..formats.records import read_json
from ..formats.run import Run
from ..formats.tables import read_table
from .intervals import with_intervals
from .judge import available, judge
from .turns import read_rttm, read_uem
from .vectors import EXTRA
from .xvectors import NAME, method_of, options_of


def results(run: Run) -> dict[str, Any]:
    """The method, its threshold, and of every set what was found and how wrong it is.

    "sets": {SET: {"recordings", "windows", "dropped" windows, "rates"}}; rates are what judge returns with
    intervals, or None, and then "why" says why.
    """
    threshold = read_json(method_of(run) / "threshold.json", "the threshold", mend="redo stage diarize")
    return {
        "recipe": run.recipe,
        "model": run.tag,
        "method": run.names[NAME],
        "backend": run.options[NAME]["backend"],
        "speech": run.options[NAME]["speech"],
        "threshold": threshold,
        "sets": {name: _set(run, name) for name in run.conversation_sets},
    }


def _set(run: Run, name: str) -> dict[str, Any]:
    folder = run.windows(name)
    found: dict[str, Any] = {
        "role": "development" if name == run.diarize_dev_set else "evaluation",
        "recordings": len(run.set(name).utt2spk()),
        "windows": len(read_table(folder / "segments")),
        "dropped": len(read_table(folder / "dropped")),
        "rates": None,
    }
    truth, scored = run.data / name / "rttm", run.data / name / "uem"
    if not truth.is_file():
        return {**found, "why": f"{truth} is missing: nobody knows who speaks when"}
    if not available():
        return {**found, "why": f"error rates need pyannote.metrics ({EXTRA})"}
    options, reference = options_of(run), read_rttm(truth)
    _refuse_unknown(run, name, list(reference), truth)
    judged = judge(
        reference,
        read_rttm(method_of(run) / name / "rttm"),
        collar=options.collar,
        skip_overlap=options.skip_overlap,
        uem=read_uem(scored) if scored.is_file() else None,
    )
    return {**found, "rates": with_intervals(judged, replicates=options.replicates, seed=options.seed)}


def _refuse_unknown(run: Run, name: str, recordings: list[str], truth: Path) -> None:
    known = run.set(name).utt2spk()
    strangers = sorted(set(recordings) - set(known))
    if strangers:
        what = f"{len(strangers)} recordings are not in the set {name}: {' '.join(strangers[:5])}"
        raise InputError(what, where=truth, mend="a set for stage diarize holds whole recordings")
