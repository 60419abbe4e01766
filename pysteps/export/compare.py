"""Scores of two x-vectors: their cosine, or what a run's own back end says, calibrated where it is."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike

from ..backend.backend import Backend
from ..backend.calibration import Logistic
from ..formats.errors import InputError
from ..formats.records import read_json

NONE = "none"
_COSINE = "cosine of the x-vectors as they are"


@dataclass(frozen=True)
class Comparison:
    """``backend`` None is the cosine of the x-vectors as they are; ``name`` says which it is."""

    backend: Backend | None = None
    name: str = _COSINE

    @staticmethod
    def load(folder: str | Path) -> Comparison:
        """A back end by its folder. InputError for one that needs more than two x-vectors."""
        found = Backend.load(folder)
        if any(step.words == ["set"] for step in found.chain.steps):
            raise _unable("center set, the mean of a whole set", folder)
        learned = found.calibration
        if isinstance(learned, Logistic) and learned.quality:
            raise _unable(f"a calibration by {', '.join(learned.quality)}", folder)
        kind = "score" if learned is None else "log likelihood ratio"
        return Comparison(found, f"{kind} of {Path(folder).name}")

    @staticmethod
    def of_run(folder: Path, wanted: str | None) -> Comparison:
        """``wanted``: a name in ``folder``/backend, ``none``, or None for the first that is calibrated.

        Of those, the order is the recipe's; a back end that needs more than two x-vectors is passed over.
        """
        if wanted == NONE:
            return Comparison()
        home = folder / "backend"
        if wanted is not None:
            if not (home / wanted / "chain.json").is_file():
                there = sorted(path.parent.name for path in home.glob("*/chain.json"))
                mend = f"one of: {', '.join([NONE, *there])}"
                raise InputError(f"no back end {wanted!r}", where=home, mend=mend)
            return Comparison.load(home / wanted)
        for name in _named(folder):
            if (home / name / "chain.json").is_file() and (home / name / "calibration.json").is_file():
                try:
                    return Comparison.load(home / name)
                except InputError:
                    continue
        return Comparison()

    def score(self, a: ArrayLike, b: ArrayLike) -> float:
        """The score of two x-vectors [xvector]; a higher one says more that one person spoke both."""
        rows = [np.asarray(one, np.float64) for one in (a, b)]
        if any(one.ndim != 1 for one in rows) or rows[0].shape != rows[1].shape:
            said = " and ".join(str(one.shape) for one in rows)
            raise InputError(f"x-vectors of shapes {said}", mend="two vectors of one model")
        if not all(np.isfinite(one).all() for one in rows):
            raise InputError("an x-vector is not finite")
        if self.backend is None:
            length = np.linalg.norm(rows[0]) * np.linalg.norm(rows[1])
            return float(np.clip(rows[0] @ rows[1] / length, -1, 1)) if length > 0 else 0.0
        found = self.backend.score(rows[0][None], rows[1][None], np.zeros((1, 2), np.int64))
        if self.backend.calibration is not None:
            found = self.backend.calibration.apply(found)
        return float(found[0])


def _named(folder: Path) -> list[str]:
    # A run says the order of its back ends in its resolved options; a model that was carried away has none.
    if not (folder / "run.json").is_file():
        return []
    run = read_json(folder / "run.json", "the run", mend="./run.sh writes it")
    try:
        return list(run["options"]["backend"]["backends"])
    except (KeyError, TypeError):
        return []


def _unable(what: str, where: object) -> InputError:
    return InputError(f"needs {what}", where=where, mend="name another back end, or none for the cosine")
