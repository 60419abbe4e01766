"""Score files of several systems on one list of trials, side by side."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..formats.errors import InputError
from ..formats.records import read_json
from ..metrics import det_points, sweep_trials
from ..metrics.intervals import Cost
from .evaluate import COSTS, judged, look_like_cosines, score_notes, speakers_of
from .experiments import Systems
from .few import speaker_notes
from .paired import differences
from .trials import Trials

Floats = NDArray[np.float64]
Page = dict[str, Any]  # what report.render_comparison takes
SCORES = "scores"  # the back end's name where a system is a file


def compare_scores(
    trials: Trials,
    systems: Mapping[str, Floats],
    *,
    utt2spk: Mapping[str, str] | None = None,
    likelihood_ratios: bool | None = None,
    costs: Sequence[Cost] = COSTS,
    against: str | None = None,
    replicates: int = 1000,
    seed: int = 0,
    where: object = "utt2spk",
) -> dict[str, Any]:
    """``systems`` {name: scores [N]} on ``trials``: figures, and differences to ``against`` (the first).

    As experiments.compare_experiments, the list being called by its file. Without ``utt2spk`` figures alone.
    ``likelihood_ratios``: None decides for each system by look_like_cosines. ``where``: utt2spk's file.
    """
    if len(systems) < 2:
        raise InputError("one score file: a comparison needs two", mend="name several behind --scores")
    reference = next(iter(systems)) if against is None else against
    speakers = None if utt2spk is None else speakers_of(trials, utt2spk, where)
    name, notes, found = Path(trials.source).name, [], {}
    for shown, scores in systems.items():
        ratios = not look_like_cosines(scores) if likelihood_ratios is None else likelihood_ratios
        options: dict[str, Any] = {"replicates": replicates, "seed": seed, "likelihood_ratios": ratios}
        found[shown] = judged(scores, trials.is_target, speakers=speakers, costs=costs, **options)
        notes += [f"{shown}: {note}" for note in score_notes(found[shown].figures, scores, ratios)]
    pairs = {}
    if speakers is None:
        notes.append("no speakers given: no intervals and no differences (--utt2spk)")
    else:
        pairs = {
            shown: differences(one, found[reference]) for shown, one in found.items() if shown != reference
        }
        notes += [f"{name}: {note}" for note in speaker_notes(found[reference].figures)]
    figures = {shown: one.figures for shown, one in found.items()}
    return {
        "systems": [{"name": shown, "trials": {name: {SCORES: figures[shown]}}} for shown in systems],
        "trials": {name: figures},
        "against": {name: reference},
        "differences": {name: pairs},
        "notes": notes,
    }


def page_of_scores(found: Mapping[str, Any], trials: Trials, systems: Mapping[str, Floats]) -> Page:
    """What ``compare_scores`` found, and the curves of its systems."""
    (name,) = found["trials"]
    det = {
        shown: {name: {"": det_points(sweep_trials(scores, trials.is_target, infinite=True))}}
        for shown, scores in systems.items()
    }
    # Without a back end's name: a file is called as the user calls it.
    files = {shown: {"trials": {name: {"": one}}} for shown, one in found["trials"][name].items()}
    return {"systems": files, "det": det, "differences": _pairs(found, {one: one for one in systems})}


def page_of_experiments(found: Mapping[str, Any], places: Mapping[str, Systems]) -> Page:
    """What ``compare_experiments`` found of the systems that were compared, with stage 9's curves."""
    systems: dict[str, Any] = {}
    det: dict[str, Any] = {}
    names: dict[str, str] = {}
    for name, chosen in places.items():
        for shown, (folder, back) in chosen.items():
            # Back ends of one experiment are the systems; else experiments are.
            one, other = (back, folder.resolve().name) if shown == back else (shown[: -len(back) - 1], back)
            names[shown] = f"{one} · {other}"
            of_one = systems.setdefault(one, {"trials": {}})["trials"].setdefault(name, {})
            of_one[other] = found["trials"][name][shown]
            path = folder / "scores" / name / "det.json"
            if path.is_file():
                curves = read_json(path, "the curves of stage 9", mend="redo stage score")
                if back in curves:
                    det.setdefault(one, {}).setdefault(name, {})[other] = curves[back]
    return {"systems": systems, "det": det, "differences": _pairs(found, names)}


def _pairs(found: Mapping[str, Any], names: Mapping[str, str]) -> list[dict[str, Any]]:
    return [
        {"trials": name, "first": names[shown], "second": names[found["against"][name]], **part}
        for name, pairs in found["differences"].items()
        for shown, part in pairs.items()
    ]
