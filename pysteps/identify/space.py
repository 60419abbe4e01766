"""Where people are compared: the one place of this room that knows back ends.

Whatever the back end, the score of a person and a query is one inner product of two prepared rows, so that
search is a matrix product and any library's index of inner products will do.

- cosine: both rows have length 1.
- PLDA: the log likelihood ratio of ``score.plda_scores`` is a product of the two vectors, a term of the
  person, and a term of the query's squares that depends on the number of enrolment utterances. A person's
  row is (weighted vector, term, weights of squares) and a query's (vector, 1, squares): 2d + 1 numbers.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..backend.backend import Backend
from ..backend.chain import Chain
from ..backend.line import PldaWords
from ..backend.plda import Plda
from ..backend.ratio import enrolment, square_weights
from ..formats.errors import InputError

Singles = NDArray[np.float32]
Floats = NDArray[np.float64]
_MEND = "take a back end without it: transforms | cosine, or transforms | plda"


@dataclass(frozen=True)
class Space:
    """A fitted back end: transforms, then cosine, or PLDA where there is one."""

    chain: Chain
    plda: Plda | None = None

    @staticmethod
    def load(folder: str | Path) -> Space:
        """Read exp/TAG/backend/NAME, or what ``save`` wrote; a file that is not right is an InputError.

        What one inner product cannot give is refused: a score normalisation, ``center set``, PLDA with
        another normalise= or enrol= than the default. A calibration is not used: scores of people and
        queries are the back end's own, before calibration, and a threshold is one of those.
        """
        found = Backend.load(folder)
        words, usual = PldaWords.parse(found.words), PldaWords()
        unable = [
            *([str(found.norm)] if found.norm is not None else []),
            *(["center set"] if any(step.words == ["set"] for step in found.chain.steps) else []),
            *([f"normalise={words.normalise}"] if words.normalise != usual.normalise else []),
            *([f"enrol={words.enrol}"] if words.enrol != usual.enrol else []),
        ]
        if unable:
            raise InputError(f"a gallery cannot score with {', '.join(unable)}", where=folder, mend=_MEND)
        return Space(found.chain, found.plda)

    def save(self, folder: str | Path) -> None:
        """Write the back end to ``folder``, as Backend.save does."""
        Backend(self.chain, self.plda).save(folder)

    def fingerprint(self) -> str:
        """A hash of all that is learned: equal for back ends that give the same scores."""
        digest = hashlib.sha256()
        for step in self.chain.steps:
            digest.update(f"{step.name} {' '.join(step.words)} {step.array.shape}\n".encode())
            digest.update(np.ascontiguousarray(step.array, "<f8").tobytes())
        if self.plda is not None:
            for array in (self.plda.mean, self.plda.transform, self.plda.psi):
                digest.update(np.ascontiguousarray(array, "<f8").tobytes())
        return digest.hexdigest()[:16]

    def embed(self, x: ArrayLike) -> Singles:
        """X-vectors [N, D] as they came from the network, through the transforms, [N, d]."""
        out = self.chain.apply(x)
        if self.plda is not None and out.shape[1] != len(self.plda.mean):
            said = f"the transforms give {out.shape[1]} dimensions, the PLDA has {len(self.plda.mean)}"
            raise InputError(said, mend="take transforms and PLDA from one back end")
        return out.astype(np.float32)

    def people(self, embedded: ArrayLike, examples: ArrayLike) -> Singles:
        """The gallery's rows [N, E] of ``embedded`` [N, d], means of ``examples`` [N] utterances each."""
        rows = np.asarray(embedded, np.float64)
        if self.plda is None:
            return _unit(rows).astype(np.float32)
        count = np.broadcast_to(np.asarray(examples, np.float64), (len(rows),))
        psi = self.plda.psi
        factor, term = enrolment(psi, self.plda.project(rows, count), count)
        return np.hstack([factor, term[:, None], square_weights(psi, count)]).astype(np.float32)

    def queries(self, x: ArrayLike) -> Floats:
        """Rows [M, E] of x-vectors [M, D]; a product with a person's row is the score."""
        rows = self.embed(x).astype(np.float64)  # the gallery's vectors were rounded to float32 too
        if self.plda is None:
            return _unit(rows)
        rows = self.plda.project(rows)
        return np.hstack([rows, np.ones((len(rows), 1)), rows**2])


def _unit(rows: Floats) -> Floats:
    length = np.linalg.norm(rows, axis=1, keepdims=True)
    return rows / np.where(length > 0, length, 1.0)
