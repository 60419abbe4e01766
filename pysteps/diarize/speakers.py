"""The other half of stage diarize: the threshold from dev, windows to speakers, error rates."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

from ..backend.stage import folder_of as backend_folder
from ..formats.atomic import write_text
from ..formats.records import read_json
from ..formats.run import Run
from ..formats.stamps import Unit
from . import xvectors
from .judge import available
from .options import CUTTING, JUDGING, DiarizeOptions
from .results import results
from .turns import write_rttm
from .work import Inputs, diarize, read_numbers, tune
from .xvectors import method_of, options_of

NAME = "diarize"
VERSION = 2  # equal windows are one speaker; results.json says whose speech was cut into windows
_TUNING = ("tune", "tune_count")


def units(run: Run) -> list[Unit]:
    """The threshold, the turns of every set, and the error rates of all."""
    return [
        _threshold_unit(run),
        *(_turns_unit(run, name) for name in run.conversation_sets),
        _results_unit(run),
    ]


def _threshold_file(run: Run) -> Path:
    return method_of(run) / "threshold.json"


def _tuned(run: Run) -> bool:
    options = options_of(run)
    return bool(run.diarize_dev_set) and options.tune and options.has_threshold


def _clustering(run: Run) -> dict[str, Any]:
    # Options that decide clusters; where the threshold is tuned the one of the conf decides nothing.
    left = (*CUTTING, *JUDGING, *_TUNING, *(("threshold",) if _tuned(run) else ()))
    return {key: value for key, value in run.options[NAME].items() if key not in left}


def _sources(run: Run, name: str) -> tuple[Path, ...]:
    # What clustering the set reads: its windows, and what is done to x-vectors.
    options = options_of(run)
    back, folder = backend_folder(run, options.backend), run.windows(name)
    needed = [back / "chain.json", *([back / "plda"] if options.needs_plda else [])]
    numbers = [run.data / name / "reco2num_spk"] if options.given_numbers else []
    return (folder / "segments", folder / "xvector.scp", *needed, *numbers)


def _stamps(run: Run, name: str) -> tuple[Path, ...]:
    back = backend_folder(run, options_of(run).backend)
    return (run.windows(name) / f".{xvectors.NAME}.done.json", back / ".backend.done.json")


def _threshold_unit(run: Run) -> Unit:
    options, dev, tuned = run.options[NAME], run.diarize_dev_set, _tuned(run)
    decides: dict[str, Any] = {"threshold": options["threshold"]}
    decides["chosen"] = f"on {dev}" if tuned else f"not: {_why_not(run)}"
    inputs: tuple[Path, ...] = ()
    if tuned:
        uem = run.data / dev / "uem"
        inputs = (*_sources(run, dev), run.data / dev / "rttm", *([uem] if uem.is_file() else []))
        judging = {key: options[key] for key in ("collar", "skip_overlap")}
        count = {"tune_count": options["tune_count"], "pyannote": available()}
        decides["tuned"] = {**_clustering(run), **judging, **count}
        if available():
            del decides["threshold"]
    return Unit(
        name="threshold",
        stage="threshold",
        folder=method_of(run),
        version=VERSION,
        options=decides,
        inputs=inputs,
        upstream=_stamps(run, dev) if tuned else (),
        outputs=(_threshold_file(run),),
    )


def _turns_unit(run: Run, name: str) -> Unit:
    return Unit(
        name=f"{name}.rttm",
        stage="turns",
        folder=method_of(run) / name,
        version=VERSION,
        options={"set": name, **_clustering(run)},
        inputs=(*_sources(run, name), _threshold_file(run)),
        upstream=_stamps(run, name),
        outputs=(method_of(run) / name / "rttm",),
    )


def _results_unit(run: Run) -> Unit:
    known = [run.data / name / table for name in run.conversation_sets for table in ("rttm", "uem")]
    return Unit(
        name="results",
        stage=NAME,
        folder=method_of(run),
        version=VERSION,
        options={
            **{key: run.options[NAME][key] for key in (*JUDGING, "seed", "speech")},
            "conf": run.names[NAME],
            "pyannote": available(),
        },
        inputs=(
            *(method_of(run) / name / "rttm" for name in run.conversation_sets),
            _threshold_file(run),
            *(path for path in known if path.is_file()),
        ),
        outputs=(method_of(run) / "results.json",),
    )


def do(run: Run, unit: Unit) -> None:
    """Choose the threshold, or turn one set's windows into RTTM, or judge all sets."""
    if unit.stage == "threshold":
        found = _choose(run)
        write_text(_threshold_file(run), json.dumps(found, indent=1, sort_keys=True) + "\n")
    elif unit.stage == "turns":
        name = unit.options["set"]
        threshold = read_json(_threshold_file(run), "the threshold", mend="redo stage diarize")["threshold"]
        options = replace(options_of(run), threshold=threshold)
        numbers = str(run.data / name / "reco2num_spk") if options.given_numbers else None
        write_rttm(unit.outputs[0], diarize(_inputs(run, name, options), options, read_numbers(numbers)))
    else:
        found = results(run)
        write_text(unit.outputs[0], json.dumps(found, indent=1, sort_keys=True) + "\n")


def _inputs(run: Run, name: str, options: DiarizeOptions) -> Inputs:
    folder, back = run.windows(name), backend_folder(run, options.backend)
    plda = str(back / "plda") if options.needs_plda else None
    return Inputs.load(str(folder / "xvector.scp"), str(folder / "segments"), str(back), plda, options)


def _choose(run: Run) -> dict[str, Any]:
    options, dev = options_of(run), run.diarize_dev_set
    found: dict[str, Any] = {"threshold": options.threshold, "relative": options.relative, "tuned": False}
    if not _tuned(run):
        return {**found, "why": _why_not(run)}
    if not available():
        return {**found, "why": "pyannote.metrics is not installed"}
    truth, scored = run.data / dev / "rttm", run.data / dev / "uem"
    inputs, uem = _inputs(run, dev, options), str(scored) if scored.is_file() else None
    best, tried = tune(
        inputs, options, str(truth), uem, options.collar, options.skip_overlap, options.tune_count
    )
    return {**found, "threshold": best, "tuned": True, "set": dev, "der": dict(tried)[best], "tried": tried}


def _why_not(run: Run) -> str:
    options = options_of(run)
    if not run.diarize_dev_set:
        return "there is no development set (diarize_dev_set)"
    if not options.tune:
        return "--diarize.tune false"
    given = options.speakers or options.given_numbers
    return "the number of speakers is given" if given else f"{options.clustering} clustering has none"
