"""Stage 9's figures by condition: gender, language, duration, session and any other table of a set."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..formats.datadir import DataSet
from ..formats.drops import dropped_of
from ..formats.errors import InputError
from ..formats.run import Run
from ..formats.tables import read_table
from ..metrics import interval, replicate
from .conditions import UNKNOWN, Classes, classes
from .evaluate import COSTS, Speakers, figures, name_of
from .few import FEW, enough
from .paired import RATIOS
from .trials import Trials

Floats = NDArray[np.float64]
MOST_REPLICATES = 200  # tables of many classes shall not cost more than the list itself
FEW_TRIALS = 30  # of a kind, below which a rate says little (Doddington's rule of 30 asks for 30 errors)
_NAMES = {"spk2gender": "gender", "utt2lang": "language", "utt2dur": "duration", "utt2session": "session"}
_NO_CONDITION = {"utt2spk", "utt2uniq", "utt2num_frames", "utt2dur"}  # the seconds are those of stage audio


def condition_tables(run: Run, name: str) -> dict[str, Path]:
    """{condition: file} of the tables that the set ``name`` has, the usual ones first."""
    folder = run.data / name
    tables = {path.name: path for path in sorted(folder.glob("utt2*")) if path.name not in _NO_CONDITION}
    tables |= {
        path.name: path
        for path in (folder / "spk2gender", run.of("audio", name) / "utt2dur")
        if path.is_file()
    }
    order = [*(one for one in _NAMES if one in tables), *(one for one in tables if one not in _NAMES)]
    return {_NAMES.get(table, table.removeprefix("utt2")): tables[table] for table in order}


def conditions(run: Run, data: DataSet, trials: Trials) -> dict[str, Classes]:
    """The classes of ``trials`` of the set ``data`` by each of its condition_tables.

    A model's label is that of all its utterances, or ``mixed``; its seconds are the sum of those that were
    not dropped. ``unknown``: a side of which a table says that, or nothing. Sessions are the same or
    different. A table that puts all trials into one class is left out.
    """
    speakers, dropped = data.utt2spk(), dropped_of(run, data.name)
    models = {key: value.split() for key, value in data.table("enrol").items()} if data.has("enrol") else {}
    speakers |= {model: speakers[utts[0]] for model, utts in models.items()}
    out: dict[str, Classes] = {}
    for condition, path in condition_tables(run, data.name).items():
        table = {one: word for one, word in read_table(path).items() if word != UNKNOWN}
        if path.name.startswith("spk2"):
            said = {one: table[who] for one, who in speakers.items() if who in table}
        elif condition == "duration":
            said = _lengths(table, models, dropped, path)
        else:
            said = table | {one: label for one, utts in models.items() if (label := _common(table, utts))}
        found = _classes(trials, said, condition, path)
        if len(np.unique(found.codes)) > 1:
            out[condition] = found
    return out


def _common(table: Mapping[str, str], utts: Sequence[str]) -> str:
    labels = {table[utt] for utt in utts if utt in table}
    return "mixed" if len(labels) > 1 else next(iter(labels), "")


def _lengths(
    table: Mapping[str, str], models: Mapping[str, Sequence[str]], dropped: Collection[str], path: Path
) -> dict[str, str]:
    seconds: dict[str, float] = {}
    for utt, text in table.items():
        try:
            seconds[utt] = float(text)
        except ValueError:
            seconds[utt] = math.nan
        if not 0 <= seconds[utt] < math.inf:
            said = f"{text!r} is no length in seconds"
            raise InputError(said, where=path, utt=utt, mend="redo stage audio")
    for model, utts in models.items():
        some = [seconds[utt] for utt in utts if utt in seconds and utt not in dropped]
        if some:
            seconds[model] = sum(some)
    return {one: repr(value) for one, value in seconds.items()}


def _classes(trials: Trials, said: Mapping[str, str], condition: str, path: Path) -> Classes:
    sides = [
        ([said.get(one) for one in ids], rows)
        for ids, rows in ((trials.enrol_ids, trials.enrol), (trials.test_ids, trials.test))
    ]
    if condition == "duration":
        return classes(sides, path, most=0, unit=" s")
    if condition == "session":
        return classes(sides, path, most=0, numbers=False)
    return classes(sides, path)


def by_condition(
    found: Mapping[str, Classes],
    is_target: NDArray[np.bool_],
    speakers: Speakers,
    scores: Floats,
    ratios: Floats | None,
    *,
    replicates: int,
    seed: int,
) -> dict[str, dict[str, Any]]:
    """{condition: {class: figures}} of ``scores`` [N], -inf or inf where a trial's utterance was dropped.

    Figures as evaluate's; those of likelihood ratios are of ``ratios`` [N], or null without. Intervals of the
    EER and minDCF alone, from at most 200 replicates. ``note`` says what to doubt; a class of one kind of
    trials has counts and a note.
    """
    return {
        condition: {
            name: _of_class(
                np.flatnonzero(codes == code), is_target, speakers, scores, ratios, replicates, seed
            )
            for code, name in enumerate(names)
            if (codes == code).any()
        }
        for condition, (names, codes) in found.items()
    }


def _of_class(
    rows: NDArray[np.intp],
    is_target: NDArray[np.bool_],
    speakers: Speakers,
    scores: Floats,
    ratios: Floats | None,
    replicates: int,
    seed: int,
) -> dict[str, Any]:
    label = is_target[rows]
    targets = int(label.sum())
    counts = {"targets": targets, "nontargets": len(rows) - targets}
    if not targets or targets == len(rows):
        kind = "same-speaker" if targets else "different-speaker"
        return {**counts, "eer": None, "note": f"{kind} trials only: no error rates"}
    one, two = speakers[0][rows], speakers[1][rows]
    people = len(np.union1d(one, two))
    out = {**figures(scores[rows], label), "speakers": people}
    if ratios is not None:
        judged = figures(ratios[rows], label, likelihood_ratios=True)
        out |= {key: judged[key] for key in RATIOS}
    ends = _intervals(scores[rows], label, (one, two), min(replicates, MOST_REPLICATES), seed)
    notes = [f"{word}: {counts[kind]} only" for kind, word in _KINDS.items() if counts[kind] < FEW_TRIALS]
    if ends is None:
        notes.append(f"{people} speakers are too few for an interval")
    elif people < FEW:
        notes.append(f"{people} speakers: the interval is rough")
    return {**out, **(ends or {}), **({"note": "; ".join(notes)} if notes else {})}


_KINDS = {"targets": "same-speaker trials", "nontargets": "different-speaker trials"}


def _intervals(
    scores: Floats, label: NDArray[np.bool_], speakers: Speakers, replicates: int, seed: int
) -> dict[str, Any] | None:
    drawn = replicate(
        scores, label, *speakers, p_targets=COSTS, replicates=replicates, seed=seed, infinite=True
    )
    if not enough(drawn.eer, len(np.union1d(*speakers))):
        return None
    return {
        "eer_ci": [100 * end for end in interval(drawn.eer)],
        "min_dcf_ci": {name_of(cost): list(interval(values)) for cost, values in drawn.min_dcf.items()},
    }
