"""Vectors of a set's trial ids, through a back end: utterances, and models averaged from several."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ..backend.chain import Chain
from ..backend.plda import Plda
from ..backend.stage import VECTORS, folder_of
from ..backend.vectors import read_vectors
from ..formats.datadir import DataSet
from ..formats.drops import dropped_of
from ..formats.run import Run
from .scorers import cosine_scores, plda_scores
from .trials import Trials


class Enrolment:
    """A set's vectors behind one back end.

    ``speakers`` knows the speaker of every utterance and model; ``dropped`` are the utterances, and the
    models of them alone, that have no vector.
    """

    def __init__(self, run: Run, data: DataSet, back: str) -> None:
        folder = folder_of(run, back)
        keys, vectors = read_vectors(run.exp / "xvectors" / data.name / VECTORS[back])
        chain = Chain.load(folder)
        self.plda = Plda.load(folder / "plda") if (folder / "plda").is_file() else None
        self.speakers = data.utt2spk()
        lost = set(dropped_of(run, data.name)) - set(keys)
        row = {key: number for number, key in enumerate(keys)}
        models = data.table("enrol") if data.has("enrol") else {}
        names, counts, rows = list(keys), [1] * len(keys), [np.asarray(vectors, np.float64)]
        for model, members in models.items():
            present = [row[utt] for utt in members.split() if utt in row]
            self.speakers[model] = self.speakers[members.split()[0]]
            if not present:
                lost.add(model)
                continue
            names.append(model)
            counts.append(len(present))
            rows.append(vectors[present].mean(0, keepdims=True, dtype=np.float64))
        self.dropped = lost
        self._rows = {name: number for number, name in enumerate(names)}
        self._counts = np.asarray(counts)
        self._vectors = chain.apply(np.concatenate(rows))

    def score(self, trials: Trials) -> NDArray[np.float64]:
        """[N] scores; NaN where an id was dropped."""
        enrol, test = trials.locate(self._rows, self._rows, self.dropped)
        known = (enrol >= 0) & (test >= 0)
        pairs = np.stack([enrol[known], test[known]], axis=1)
        out = np.full(len(trials), np.nan)
        if self.plda is None:
            out[known] = cosine_scores(self._vectors, self._vectors, pairs)
        else:
            out[known] = plda_scores(self.plda, self._vectors, self._vectors, pairs, examples=self._counts)
        return out
