"""Vectors of a set's trial ids, through a back end: utterances, and models averaged from several."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ..backend.backend import Backend
from ..backend.quality import trial_quality
from ..backend.stage import folder_of, quality_of, sides_of
from ..formats.datadir import DataSet
from ..formats.run import Run
from .trials import Trials


class Enrolment:
    """A set's vectors behind one back end.

    ``speakers`` knows the speaker of every utterance and model; ``dropped`` are the utterances, and the
    models of them alone, that have no vector.
    """

    def __init__(self, run: Run, data: DataSet, back: str) -> None:
        self._run, self._name, self._back = run, data.name, back
        self.backend = Backend.load(folder_of(run, back))
        self._sides = sides_of(run, back, data.name)
        self.speakers, self.dropped = self._sides.speakers, self._sides.dropped
        self._vectors = self.backend.transform(self._sides.vectors, self._sides.population)

    def score(self, trials: Trials) -> NDArray[np.float64]:
        """[N] scores before calibration; NaN where an id was dropped."""
        sides = self._sides
        enrol, test = trials.locate(sides.rows, sides.rows, self.dropped)
        known = (enrol >= 0) & (test >= 0)
        pairs = (enrol, test) if known.all() else (enrol[known], test[known])
        out = np.full(len(trials), np.nan)
        out[known] = self.backend.score_transformed(
            self._vectors, self._vectors, pairs, sides.examples, names=list(sides.rows)
        )
        return out

    def calibrate(self, trials: Trials, scores: NDArray[np.float64]) -> NDArray[np.float64] | None:
        """Natural-log likelihood ratios of ``score``'s scores [N] (NaN stays); None without calibration."""
        if self.backend.calibration is None:
            return None
        out, known = np.full(len(scores), np.nan), ~np.isnan(scores)
        sides, kinds = self._sides, quality_of(self._run, self._back)
        pairs = np.stack(trials.locate(sides.rows, sides.rows, self.dropped), axis=1)[known]
        quality = trial_quality(self._run, self._name, self.backend, sides, self._vectors, pairs, kinds)
        out[known] = self.backend.calibration.apply(scores[known], quality)
        return out
