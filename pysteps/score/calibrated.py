"""Score files made likelihood ratios: calibration of one system, fusion of several, learned or stored.

The arithmetic is backend/calibration.py's; here ids are matched and quality measures looked up by id.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..backend.calibration import QUALITIES, Calibration, Logistic, fit_logistic, fit_pav, quality_measures
from ..formats.errors import InputError
from ..formats.tables import read_table
from .columns import Block, Column, Names, read_blocks
from .evaluate import dropped_trials
from .mismatch import check_values, is_labels
from .trials import Trials

Floats = NDArray[np.float64]
Qualities = Mapping[str, Mapping[str, float]]  # measure -> {id: value}


def learn(
    trials: Trials,
    systems: Mapping[str, Floats],
    *,
    kind: str = "logistic",
    p_target: float = 0.5,
    quality: Qualities | None = None,
) -> Calibration:
    """The calibration of ``systems`` {name: scores [N] of ``trials``}, several of them being a fusion.

    ``kind``: logistic, or pav (of one system, without ``quality``). Trials of dropped utterances (infinite
    and wrong) are left out, and the notes count them. ``quality``: values of every other trial's ids.
    """
    columns = np.stack(list(systems.values()), axis=1)
    for column in columns.T:
        dropped_trials(column, trials.is_target)
    kept: NDArray[np.bool_] = np.asarray(np.isfinite(columns).all(axis=1))
    label = trials.is_target[kept]
    if kind == "pav":
        if len(systems) > 1 or quality:
            raise InputError("pav takes one system and no quality measures", mend="take logistic")
        found: Calibration = fit_pav(columns[kept, 0], label)
    else:
        measures = {name: values[kept] for name, values in _measures(trials, kept, quality or {}).items()}
        found = fit_logistic(columns[kept], label, quality=measures, systems=list(systems), p_target=p_target)
    lost = int((~kept).sum())
    said = [f"{lost} trials of dropped utterances were left out"] if lost else []
    return replace(found, notes=(*found.notes, *said))


def ratios(
    calibration: Calibration,
    trials: Trials,
    scores: Sequence[Floats],
    quality: Qualities | None = None,
) -> Floats:
    """[N] natural-log likelihood ratios of ``scores``, a row [N] a system in the calibration's order.

    ``quality`` has the measures that it was learned with, and no others. Infinite scores stay.
    """
    wanted = len(calibration.weights) if isinstance(calibration, Logistic) else 1
    if len(scores) != wanted:
        names = f": {', '.join(calibration.weights)}" if isinstance(calibration, Logistic) else ""
        raise InputError(f"{len(scores)} systems' scores for a calibration of {wanted}{names}")
    columns = np.stack(list(scores), axis=1)
    needed = {name.rpartition(".")[0] or name for name in getattr(calibration, "quality", {})}
    given = set(quality or {})
    if needed != given:
        words = ", ".join(sorted(needed ^ given))
        said = "needs" if needed - given else "was learned without"
        raise InputError(f"this calibration {said} {words}", mend="give the measures it was learned with")
    kept: NDArray[np.bool_] = np.asarray(np.isfinite(columns).all(axis=1))
    return calibration.apply(columns, _measures(trials, kept, quality or {}))


def _measures(trials: Trials, kept: NDArray[np.bool_], quality: Qualities) -> dict[str, Floats]:
    # Side terms [N]. Ids that only trials of dropped utterances name need no value: 1 changes nothing.
    sides: dict[str, tuple[list[float], list[float]]] = {}
    for name, table in quality.items():
        columns = []
        for ids, codes in ((trials.enrol_ids, trials.enrol), (trials.test_ids, trials.test)):
            used = np.zeros(len(ids), bool)
            used[codes[kept]] = True
            lost = [one for one, needed in zip(ids, used, strict=True) if needed and one not in table]
            if lost:
                said = f"{len(lost)} ids of the trials have no {name}, the first: {lost[0]}"
                raise InputError(said, where=trials.source, mend=f"give another --quality {name}=FILE too")
            columns.append([table.get(one, 1.0) for one in ids])
        sides[name] = (columns[0], columns[1])
    return quality_measures(sides, np.stack([trials.enrol, trials.test], axis=1)) if sides else {}


def read_qualities(words: Sequence[str]) -> dict[str, dict[str, float]]:
    """{measure: {id: value}} of ``NAME=FILE`` words; files of one measure are taken together."""
    out: dict[str, dict[str, float]] = {}
    for word in words:
        name, _, file = word.partition("=")
        if name not in QUALITIES or not file:
            raise InputError(f"--quality {word}: give NAME=FILE, NAME one of {', '.join(QUALITIES)}")
        table = out.setdefault(name, {})
        for key, text in read_table(Path(file)).items():
            value = _number(text)
            if not math.isfinite(value) or (name != "cohort" and value <= 0):
                wanted = "a number" if name == "cohort" else "a number above 0"
                raise InputError(f"{key} has {text!r} where {wanted} should stand", where=file)
            if table.setdefault(key, value) != value:
                raise InputError(f"{key} has another {name} in an earlier file", where=file)
    return out


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return math.nan


def read_scored(path: str | Path) -> tuple[Trials, Floats]:
    """The pairs of a score file and their scores [N], where no trial list says what they are.

    ``enrol test score`` or VoxSRC's ``score enrol test``, told by which end of the first line is a number.
    The trials' ``is_target`` means nothing. A pair that comes twice is an InputError, and so
    is VoxCeleb's list of trials in a score file's place.
    """
    sides = (Names(), Names())
    scores, codes = Column(np.float64), (Column(np.int32), Column(np.int32))
    column, listed = 0, True
    for block in read_blocks(path):
        if block.line == 1:
            column = _first_id(block)
        listed = listed and column == 1 and is_labels(block)
        scores.add(block.numbers(2 if column == 0 else 0))
        for place, (side, code) in enumerate(zip(sides, codes, strict=True)):
            code.add(side.codes(block, column + place, add=True))
    values, enrol, test = scores.whole(), codes[0].whole(), codes[1].whole()
    check_values(values, path, listed)
    trials = Trials(sides[0].names, sides[1].names, enrol, test, np.zeros(len(values), bool), str(path))
    _refuse_twice(trials)
    return trials, values


def _first_id(block: Block) -> int:
    ends = [math.isnan(_number(block.word(0, column))) for column in (0, 2)]
    if ends[0] != ends[1]:
        return 0 if ends[0] else 1
    said = "both ends of the line are numbers" if not ends[0] else "neither end of the line is a number"
    raise InputError(said, where=block.path, line=1, mend="name the list of these trials: --apply-trials")


def _refuse_twice(trials: Trials) -> None:
    keys = trials.enrol.astype(np.int64) * len(trials.test_ids) + trials.test
    order = np.argsort(keys, kind="stable")
    twice = order[1:][keys[order[1:]] == keys[order[:-1]]]
    if len(twice):
        line = int(twice.min())
        first = " ".join(trials.pair(line))
        said = f"{len(twice)} scores are of a pair that has one already, the first: {first}"
        raise InputError(said, where=trials.source, line=line + 1, mend="keep one of them")


def as_text(calibration: Calibration) -> str:
    """What was learned, in lines."""
    if isinstance(calibration, Logistic):
        terms: dict[str, Any] = {**calibration.weights, **calibration.quality}
        lines = [f"{'offset':24s} {calibration.offset:10.4f}"]
        lines += [f"{name:24s} {weight:10.4f}" for name, weight in terms.items()]
        head = f"logistic, p_target {calibration.p_target:g}"
    else:
        head, lines = f"pav, {len(calibration.scores)} points", []
    counts = f"learned on {calibration.targets} target and {calibration.nontargets} non-target trials"
    return "\n".join([f"{head}: {counts}", *lines, *(f"note: {note}" for note in calibration.notes)])
