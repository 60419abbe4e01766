"""Error rates of a run's sets: results.json of stage diarize, and as a table for a terminal."""

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
from .xvectors import NAME, folder_of, method_of, options_of


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
    folder = folder_of(run, name)
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


def summary(run: Run) -> str:
    """results.json as a table."""
    path = method_of(run) / "results.json"
    found = read_json(path, "the results of stage diarize", mend="run stage diarize")
    lines = [
        f"{'diarize ' + found['method']:24s} {'DER %':>7s}  {'95 % interval':15s} {'missed':>7s} "
        f"{'false':>7s} {'conf.':>7s} {'JER %':>7s}  {'95 % interval':15s} speakers"
    ]
    why = []
    for name, one in found["sets"].items():
        if one["rates"] is None:
            lines.append(f"{name:24s} {'-':>7s}")
            turns = method_of(run) / name / "rttm"
            why.append(f"{name}: no error rates: {one['why']}; the turns are in {turns}")
            continue
        row = one["rates"]["all"]
        lines.append(
            f"{name:24s} {_value(row['der'])}  {_span(row['der_ci'])} {_value(row['missed'])} "
            f"{_value(row['false_alarm'])} {_value(row['confusion'])} {_value(row['jer'])}  "
            f"{_span(row['jer_ci'])} {row['speakers_found']} of {row['speakers_reference']}"
        )
        why += [f"{name}: {note}" for note in one["rates"]["notes"]]
    return "\n".join([*lines, *_settings(run, found["threshold"]), *why])


def _settings(run: Run, threshold: dict[str, Any]) -> list[str]:
    options = options_of(run)
    overlap = "not scored" if options.skip_overlap else "scored"
    speech = "from the reference" if options.speech == "reference" else f"from vad {run.names['vad']}"
    said = [f"collar {options.collar:g} s on each side, overlapped speech {overlap}; one speaker at a time"]
    said[0] += f"; speech {speech}"
    if threshold["tuned"]:
        chosen = f"DER {threshold['der']:.2f} % there, of {len(threshold['tried'])} tried"
        return [*said, f"threshold {threshold['threshold']:.4g} from {threshold['set']}: {chosen}"]
    if options.has_threshold:
        return [*said, f"threshold {threshold['threshold']:.4g}, not tuned: {threshold['why']}"]
    return said


def _value(value: float | None) -> str:
    return "      -" if value is None else f"{value:7.2f}"


def _span(ends: list[float] | None) -> str:
    return f"{'-':15s}" if ends is None else f"{f'{ends[0]:.2f} - {ends[1]:.2f}':15s}"
