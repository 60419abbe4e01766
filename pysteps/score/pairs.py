"""Scores of trials from files of x-vectors: anybody's vectors, ours or a bare cosine as back end."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..backend import Backend, Chain
from ..formats.errors import InputError
from ..formats.tables import read_table
from ..formats.vectors import read_rows
from .trials import Trials

Floats = NDArray[np.float64]


def load_backend(folder: Path | None, scorer: str) -> Backend:
    """The back end of ``folder`` with ``scorer`` "cosine" or "plda"; without a folder no transforms.

    Of a back end whose scorer is PLDA the cosine has the transforms alone: cohort and calibration are PLDA's.
    """
    backend = Backend(Chain([])) if folder is None else Backend.load(folder)
    if scorer == "cosine" and backend.plda is not None:
        return Backend(backend.chain)
    if scorer == "plda" and backend.plda is None:
        raise InputError("no plda in this back end", where=folder, mend="name one whose line ends in plda")
    return backend


def score_files(
    trials: Trials,
    enrol: Path,
    test: Path,
    scorer: str,
    *,
    backend: Path | None = None,
    num_utts: Mapping[str, str] | None = None,
    dropped: Collection[str] = (),
    calibrated: bool = False,
) -> Floats:
    """[N] scores of ``trials`` by ``scorer`` on the vectors of two scps; NaN where an id was ``dropped``.

    ``num_utts`` {enrolment id: utterances behind its vector}. Vectors that no trial names are not read.
    """
    back = load_backend(backend, scorer)
    if calibrated and back.calibration is None:
        mend = "leave --calibrated away, and calibrate the scores: python -m pysteps.score calibrate"
        raise InputError("this back end has no calibration for these scores", where=backend, mend=mend)
    if calibrated and getattr(back.calibration, "quality", {}):
        mend = "leave --calibrated away; stage 9 applies it to its own sets"
        raise InputError("its calibration needs quality measures", where=backend, mend=mend)
    sides = [(trials.enrol_ids, enrol, test)]
    if test.resolve() != enrol.resolve() or back.plda is not None and num_utts is not None:
        sides.append((trials.test_ids, test, enrol))
    else:
        sides[0] = (list(dict.fromkeys([*trials.enrol_ids, *trials.test_ids])), enrol, enrol)
    rows, vectors = zip(*(_vectors(*side, dropped, back) for side in sides), strict=True)
    if vectors[0].shape[1] != vectors[-1].shape[1]:
        said = f"vectors of {vectors[0].shape[1]} dimensions, those of {test} have {vectors[-1].shape[1]}"
        raise InputError(said, where=enrol, mend="take both sides from one model")
    one, two = trials.locate(rows[0], rows[-1], dropped)
    known = (one >= 0) & (two >= 0)
    if not known.all():
        one, two = one[known], two[known]
    examples = 1 if num_utts is None else _examples(rows[0], num_utts)
    scores = back.score_transformed(vectors[0], vectors[-1], (one, two), examples, overwrite=True)
    if calibrated and back.calibration is not None:
        scores = back.calibration.apply(scores)
    if known.all():
        return scores
    out = np.full(len(trials), np.nan)
    out[known] = scores
    return out


def _vectors(
    ids: list[str], scp: Path, other: Path, dropped: Collection[str], back: Backend
) -> tuple[dict[str, int], Floats]:
    # Rows of the ids that have a vector, and the vectors behind the transforms. ``other``: the other side's.
    table = read_table(scp)
    wanted = {one: table[one] for one in ids if one in table and one not in dropped}
    lost = [one for one in ids if one not in table and one not in dropped]
    if lost:
        said = f"{len(lost)} of {len(ids)} ids of the trials have no vector here, the first: {lost[0]}"
        mend = "extract them, or name them in --dropped"
        if len(lost) == len(ids) and not set(ids) - read_table(other).keys():
            mend = f"all are in {other}: enrolment and test are swapped, in the list or in --enrol, --test"
        raise InputError(said, where=scp, mend=mend)
    population = read_rows(table, scp) if _wants_population(back) else None
    try:
        vectors = back.transform(read_rows(wanted, scp), population)
    except InputError as error:
        raise error if str(scp) in str(error) else InputError(str(error), where=scp) from error
    return {one: row for row, one in enumerate(wanted)}, vectors


def _wants_population(back: Backend) -> bool:
    # ``center set`` takes the mean of all vectors of the set, whichever of them trials name.
    return any(step.name == "center" and step.words == ["set"] for step in back.chain.steps)


def _examples(rows: Mapping[str, int], num_utts: Mapping[str, str]) -> NDArray[np.int64]:
    missing = [one for one in rows if not num_utts.get(one, "").isdecimal() or not int(num_utts[one])]
    if missing:
        said = f"{len(missing)} enrolment ids have no number of utterances, the first: {missing[0]}"
        raise InputError(said, where="--num-utts", mend="a line ID NUMBER for each, from 1 on")
    return np.array([int(num_utts[one]) for one in rows], dtype=np.int64)
