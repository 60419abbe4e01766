"""Scores of trials from files of x-vectors: anybody's vectors, ours or a bare cosine as back end."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace
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
    """The back end of ``folder`` with ``scorer`` "cosine" or "plda"; without a folder no transforms."""
    backend = Backend(Chain([])) if folder is None else Backend.load(folder)
    if scorer == "cosine" and backend.plda is not None:
        return replace(backend, plda=None, words=(), calibration=None)
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
        raise InputError("this back end has no calibration for these scores", where=backend)
    sides = [(trials.enrol_ids, enrol)]
    if test.resolve() != enrol.resolve() or back.plda is not None and num_utts is not None:
        sides.append((trials.test_ids, test))
    else:
        sides[0] = (list(dict.fromkeys([*trials.enrol_ids, *trials.test_ids])), enrol)
    rows, vectors = zip(*(_vectors(ids, scp, dropped, back) for ids, scp in sides), strict=True)
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
    ids: list[str], scp: Path, dropped: Collection[str], back: Backend
) -> tuple[dict[str, int], Floats]:
    # Rows of the ids that have a vector, and the vectors behind the transforms.
    table = read_table(scp)
    wanted = {one: table[one] for one in ids if one in table and one not in dropped}
    lost = [one for one in ids if one not in table and one not in dropped]
    if lost:
        said = f"{len(lost)} of {len(ids)} ids of the trials have no vector here, the first: {lost[0]}"
        raise InputError(said, where=scp, mend="extract them, or name them in --dropped")
    population = read_rows(table, scp) if _wants_population(back) else None
    vectors = back.transform(read_rows(wanted, scp), population)
    return {one: row for row, one in enumerate(wanted)}, vectors


def _wants_population(back: Backend) -> bool:
    # ``center set`` takes the mean of all vectors of the set, whichever of them trials name.
    return any(step.name == "center" and step.words == ["set"] for step in back.chain.steps)


def _examples(rows: Mapping[str, int], num_utts: Mapping[str, str]) -> NDArray[np.int64]:
    missing = [one for one in rows if not num_utts.get(one, "").isdecimal()]
    if missing:
        raise InputError(f"{len(missing)} enrolment ids have no number in --num-utts, first {missing[0]}")
    return np.array([int(num_utts[one]) for one in rows], dtype=np.int64)
