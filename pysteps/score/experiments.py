"""Experiments side by side: figures of results.json, and paired intervals from the score files."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..formats.errors import InputError
from ..formats.records import read_json
from ..formats.run import Run
from ..metrics import paired_eer, replicate, sweep_trials
from .evaluate import FEW, number
from .judge import speaker_codes
from .trials import Trials, read_scores, read_trials

Systems = dict[str, tuple[Path, str]]  # shown name -> (experiment, back end)


def row_of(folder: Path) -> dict[str, Any]:
    """One experiment's name and figures {list: {back end: figures}}."""
    path = folder / "results.json"
    found = read_json(path, "the figures of stage 9", mend="name exp/TAG, after stage score")
    return {"name": folder.resolve().name, "folder": folder, "trials": found["trials"]}


def compare_experiments(
    folders: Sequence[Path], *, against: Path | None = None, replicates: int = 1000, seed: int = 0
) -> dict[str, Any]:
    """``folders`` (exp/TAG each) on the lists of trials that they share.

    Per list: every back end's figures, and the difference (and ratio) of its EER to the reference's with
    95 % intervals, the same speakers drawn for both. The reference of a list is the back end with the lowest
    EER, but for the baseline, of ``against`` (or of the first folder).
    """
    rows = [row_of(folder) for folder in folders]
    first = rows[0]
    if against is not None:
        named = [row for row in rows if row["folder"].resolve() == against.resolve()]
        first = named[0] if named else row_of(against)
        rows = rows if named else [first, *rows]
    shared = [name for name in first["trials"] if all(name in row["trials"] for row in rows)]
    if not shared:
        raise InputError("these experiments share no list of trials", where=rows[-1]["folder"])
    found: dict[str, Any] = {"systems": [], "trials": {}, "against": {}, "differences": {}, "notes": []}
    found["systems"] = [{key: row[key] for key in ("name", "trials")} for row in rows]
    for name in shared:
        systems = _systems(rows, name)
        figures = {row["folder"]: row["trials"][name] for row in rows}
        found["trials"][name] = {shown: figures[folder][back] for shown, (folder, back) in systems.items()}
        reference = _best(found["trials"][name], systems, first["folder"])
        found["against"][name] = reference
        trials, speakers = _trials_of(systems[reference][0], name)
        found["differences"][name] = _differences(
            trials, speakers, name, systems, reference, replicates, seed
        )
        if (count := len(np.union1d(*speakers))) < FEW:
            found["notes"].append(f"{name}: {count} speakers; below {FEW} the intervals are rough")
    return found


def _systems(rows: Sequence[dict[str, Any]], name: str) -> Systems:
    several = len(rows) > 1
    return {
        f"{row['name']}/{back}" if several else back: (row["folder"], back)
        for row in rows
        for back in row["trials"][name]
    }


def _best(figures: dict[str, Any], systems: Systems, folder: Path) -> str:
    mine = [shown for shown, (where, _) in systems.items() if where == folder]
    ours = [shown for shown in mine if systems[shown][1] != "baseline"] or mine
    return min(ours, key=lambda shown: figures[shown]["eer"])


def _trials_of(folder: Path, name: str) -> tuple[Trials, tuple[NDArray[np.int64], NDArray[np.int64]]]:
    # The list as the experiment's run knows it, and the speakers of both sides, enrolled models too.
    run = Run.load(folder / "run.json")
    for set_name, label, path in run.trial_lists():
        if label == name:
            trials, data = read_trials(path), run.set(set_name)
            speaker_of = data.utt2spk()
            if data.has("enrol"):
                models = data.table("enrol")
                speaker_of |= {model: speaker_of[utts.split()[0]] for model, utts in models.items()}
            return trials, speaker_codes(trials, speaker_of)
    raise InputError(f"its run has no list of trials {name}", where=folder, mend="redo stage score")


def _differences(
    trials: Trials,
    speakers: tuple[NDArray[np.int64], NDArray[np.int64]],
    name: str,
    systems: Systems,
    reference: str,
    replicates: int,
    seed: int,
) -> dict[str, Any]:
    label = trials.is_target

    def drawn(shown: str) -> tuple[float, NDArray[np.float64]]:
        folder, back = systems[shown]
        scores = read_scores(folder / "scores" / name / back, trials)
        rate = sweep_trials(scores, label, infinite=True).eer().rate
        options: dict[str, Any] = {"replicates": replicates, "seed": seed, "infinite": True}
        return rate, replicate(scores, label, *speakers, **options).eer

    base, out = drawn(reference), {}
    for shown in systems:
        if shown != reference:
            other = drawn(shown)
            paired = paired_eer(other[1], base[1], (other[0], base[0]))
            out[shown] = {
                "eer_difference": 100 * paired.difference,
                "eer_difference_ci": [100 * end for end in paired.difference_ci],
                "eer_ratio": number(paired.ratio),
                "eer_ratio_ci": [number(end) for end in paired.ratio_ci],
            }
    return out
