"""Quality measures of a set's sides of trials, for calibration (see calibration.quality_measures)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..formats.errors import InputError
from ..formats.run import Run
from ..formats.tables import read_table
from .backend import Backend
from .calibration import quality_measures
from .stats import Floats
from .vectors import Sides


def trial_quality(
    run: Run,
    name: str,
    backend: Backend,
    sides: Sides,
    rows: Floats,
    pairs: NDArray[np.integer[Any]],
    kinds: Sequence[str],
) -> dict[str, Floats]:
    """Side terms [N] of ``pairs`` [N, 2] of the set ``name`` for the measures ``kinds``.

    ``rows`` [n, d] are the ``sides``' vectors transformed. duration: voiced seconds, of a model all its
    utterances'; magnitude: of the x-vector as extracted; cohort: mean score with the back end's cohort.
    """
    values: dict[str, Floats] = {}
    if "duration" in kinds:
        values["duration"] = _seconds(run, name, sides)
    if "magnitude" in kinds:
        values["magnitude"] = np.linalg.norm(sides.vectors, axis=1)
    if "cohort" in kinds:
        values["cohort"] = backend.cohort_means(rows, names=list(sides.rows))
    return quality_measures({kind: (values[kind], values[kind]) for kind in kinds}, pairs)


def _seconds(run: Run, name: str, sides: Sides) -> Floats:
    path = run.of("vad", name) / "utt2voiced"
    table, out = read_table(path), np.empty(len(sides.rows))
    for utts, row in zip(sides.members, sides.rows.values(), strict=True):
        try:
            out[row] = sum(float(table[utt]) for utt in utts)
        except (KeyError, ValueError) as error:
            raise InputError(f"no voiced seconds: {error}", where=path, mend="redo stage vad") from error
    return out
