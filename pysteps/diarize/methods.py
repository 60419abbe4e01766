"""All methods of diarization that a run has figures of, side by side, as a table for a terminal."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from ..formats.records import read_json
from ..formats.run import Run
from ..formats.stamps import changed
from . import speakers, xvectors
from .xvectors import NAME, method_of, options_of

Figures = Mapping[str, Any]


def methods(run: Run) -> tuple[dict[str, Figures], dict[str, str]]:
    """(results.json by method, why the other methods' figures are left out).

    The method of the run stands first, and always; another one (exp/TAG/diarize/CONF) only while it holds:
    its turns are of the windows, the model and the back end that are there now.
    """
    room, now = run.exp / NAME, run.names[NAME]
    mend = "run stage diarize"
    found = {now: read_json(room / now / "results.json", "the results of stage diarize", mend)}
    left_out = {}
    for path in sorted(room.glob("*/results.json")):
        name = path.parent.name
        why = out_of_date(run, path.parent) if name != now else None
        if why is not None:
            left_out[name] = why
        elif name != now:
            found[name] = read_json(path, "the results of a method", f"redo it: --diarize {name}")
    return found, left_out


def out_of_date(run: Run, method: Path) -> str | None:
    """Why the figures in exp/TAG/diarize/CONF no longer hold, or None."""
    results = read_json(method / "results.json", "the results of a method", "redo stage diarize")
    for name in results["sets"]:
        windows = run.windows(name, results.get("speech", "vad"))  # those that it was made of
        why = changed(windows / f".{xvectors.NAME}.done.json")
        why = why or changed(method / name / ".turns.done.json")
        if why is not None:
            return why
    stamp = method / f".{speakers.NAME}.done.json"
    return changed(stamp) or _of_another_version(stamp)


def _of_another_version(stamp: Path) -> str | None:
    made = json.loads(stamp.read_text("utf-8")).get("version")
    return None if made == speakers.VERSION else f"made by version {made} of the stage"


def summary(run: Run) -> str:
    """The error rates of all methods, set by set, the run's own method first; then how they were made."""
    found, left_out = methods(run)
    sets = list(dict.fromkeys(name for one in found.values() for name in one["sets"]))
    wide, narrow = max(24, *map(len, sets)), max(8, *map(len, found))
    lines = [
        f"{'diarize':{wide}s} {'method':{narrow}s} {'DER %':>7s}  {'95 % interval':15s} {'missed':>7s} "
        f"{'false':>7s} {'conf.':>7s} {'JER %':>7s}  {'95 % interval':15s} speakers"
    ]
    for name in sets:
        for method, one in found.items():
            rates = one["sets"].get(name, {}).get("rates")
            lines.append(f"{name:{wide}s} {method:{narrow}s} {_row(rates)}".rstrip())
    return "\n".join([*lines, *dict.fromkeys(_said(run, found)), *_left_out(left_out)])


def _left_out(reasons: Mapping[str, str]) -> Iterator[str]:
    for name, why in reasons.items():
        yield f"{name}: out of date ({why}): ./run.sh --stage diarize --diarize {name} makes it again"


def _row(rates: Figures | None) -> str:
    if rates is None:
        return f"{'-':>7s}"
    row = rates["all"]
    return (
        f"{_value(row['der'])}  {_span(row['der_ci'])} {_value(row['missed'])} "
        f"{_value(row['false_alarm'])} {_value(row['confusion'])} {_value(row['jer'])}  "
        f"{_span(row['jer_ci'])} {row['speakers_found']} of {row['speakers_reference']}"
    )


def _said(run: Run, found: Mapping[str, Figures]) -> Iterator[str]:
    # Who they are of is said where methods differ.
    scored = {method: _scored(run, one) for method, one in found.items()}
    for sentence in dict.fromkeys(scored.values()):
        of = [method for method, said in scored.items() if said == sentence]
        yield sentence if len(of) == len(found) else f"{', '.join(of)}: {sentence}"
    for method, one in found.items():
        yield from (f"{method}: {said}" if len(found) > 1 else said for said in _threshold(run, one))
    old = out_of_date(run, method_of(run))
    if old is not None:
        yield f"{run.names[NAME]}: out of date ({old}): run stage diarize again"
    for method, one in found.items():
        for name, of_set in one["sets"].items():
            if of_set["rates"] is None:
                turns = run.exp / NAME / method / name / "rttm"
                yield f"{name}: no error rates: {of_set['why']}; the turns are in {turns}"
            else:
                yield from (f"{name}: {note}" for note in of_set["rates"]["notes"])


def _scored(run: Run, found: Figures) -> str:
    options = options_of(run)
    known = next((one["rates"] for one in found["sets"].values() if one["rates"]), None)
    rules = known or {"collar": options.collar, "skip_overlap": options.skip_overlap}
    overlap = "not scored" if rules["skip_overlap"] else "scored"
    speech = "from the reference" if found["speech"] == "reference" else f"from vad {run.names['vad']}"
    said = f"collar {rules['collar']:g} s on each side, overlapped speech {overlap}; one speaker at a time"
    return f"{said}; speech {speech}"


def _threshold(run: Run, found: Figures) -> list[str]:
    threshold = found["threshold"]
    if threshold["tuned"]:
        chosen = f"DER {threshold['der']:.2f} % there, of {len(threshold['tried'])} tried"
        return [f"threshold {threshold['threshold']:.4g} from {threshold['set']}: {chosen}"]
    if found["method"] == run.names[NAME] and options_of(run).has_threshold:
        return [f"threshold {threshold['threshold']:.4g}, not tuned: {threshold['why']}"]
    return []


def _value(value: float | None) -> str:
    return "      -" if value is None else f"{value:7.2f}"


def _span(ends: list[float] | None) -> str:
    return f"{'-':15s}" if ends is None else f"{f'{ends[0]:.2f} - {ends[1]:.2f}':15s}"
