"""Trial lists and score tables: ``enrol test target|nontarget``, VoxCeleb's ``1 enrol test``."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..formats.atomic import replacing
from ..formats.errors import InputError
from ..formats.tables import read_words

Ints = NDArray[np.int32]
_KALDI = {"target": True, "nontarget": False}
_VOXCELEB = {"1": True, "0": False}


@dataclass(frozen=True)
class Trials:
    """N trials: pair ``enrol_ids[enrol[i]]`` with ``test_ids[test[i]]``; each id stands once."""

    enrol_ids: list[str]
    test_ids: list[str]
    enrol: Ints
    test: Ints
    is_target: NDArray[np.bool_]
    source: str = "trials"

    def __len__(self) -> int:
        return len(self.is_target)

    def pair(self, number: int) -> tuple[str, str]:
        """The names of one trial."""
        return self.enrol_ids[self.enrol[number]], self.test_ids[self.test[number]]

    def locate(
        self, enrol_rows: Mapping[str, int], test_rows: Mapping[str, int], dropped: Collection[str] = ()
    ) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Rows of each trial's vectors, two [N] arrays; -1 where the id was ``dropped``.

        An id that has neither a row nor a place among the dropped is an InputError.
        """
        first = self._rows(self.enrol_ids, enrol_rows, dropped)
        return first[self.enrol], self._rows(self.test_ids, test_rows, dropped)[self.test]

    def _rows(
        self, ids: Sequence[str], rows: Mapping[str, int], dropped: Collection[str]
    ) -> NDArray[np.int64]:
        unknown = [one for one in ids if one not in rows and one not in dropped]
        if unknown:
            raise InputError(
                f"{len(unknown)} ids have no vector and were not dropped, the first: {unknown[0]}",
                where=self.source,
                mend="extract their x-vectors, or take their trials out",
            )
        return np.array([rows.get(one, -1) for one in ids], dtype=np.int64)

    def touches(self, dropped: Collection[str]) -> NDArray[np.bool_]:
        """[N] whether a trial's enrolment or test id is among ``dropped``."""
        first = np.array([one in dropped for one in self.enrol_ids], dtype=bool)
        return first[self.enrol] | np.array([one in dropped for one in self.test_ids], dtype=bool)[self.test]


def read_trials(path: str | Path) -> Trials:
    """Read a trial list in either format; the first line decides which, and a line of the other is refused.

    The last line may lack its newline. A malformed line is an InputError with file and line, an empty
    list too. About a second for a million trials.
    """
    enrol_ids: dict[str, int] = {}
    test_ids: dict[str, int] = {}
    enrol: list[int] = []
    test: list[int] = []
    labels: list[bool] = []
    kaldi: bool | None = None
    for number, (first, second, third) in read_words(path, 3):
        if kaldi is None:
            kaldi = third in _KALDI
        one, two, word = (first, second, third) if kaldi else (second, third, first)
        label = (_KALDI if kaldi else _VOXCELEB).get(word)
        if label is None:
            wanted = "target or nontarget" if kaldi else "1 or 0 in front, or target|nontarget behind"
            raise InputError(f"{word!r} where {wanted} should stand", where=path, line=number)
        enrol.append(enrol_ids.setdefault(one, len(enrol_ids)))
        test.append(test_ids.setdefault(two, len(test_ids)))
        labels.append(label)
    if not labels:
        raise InputError("no trials", where=path)
    return Trials(
        list(enrol_ids),
        list(test_ids),
        np.array(enrol, dtype=np.int32),
        np.array(test, dtype=np.int32),
        np.array(labels, dtype=bool),
        str(path),
    )


def write_scores(path: str | Path, trials: Trials, scores: ArrayLike) -> None:
    """Write ``enrol test score``, a line a trial in its order, 8 significant digits, whole or not at all.

    -inf and inf (trials of dropped utterances) are written so; NaN is an InputError.
    """
    values = np.asarray(scores, dtype=np.float64)
    if values.shape != (len(trials),):
        raise InputError(f"{values.shape} scores for {len(trials)} trials", where=path)
    if np.isnan(values).any():
        one, two = trials.pair(int(np.flatnonzero(np.isnan(values))[0]))
        raise InputError(f"the score of {one} {two} is not a number", where=path)
    enrol_ids, test_ids = trials.enrol_ids, trials.test_ids
    with replacing(path) as handle:
        for begin in range(0, len(values), 100_000):
            part = slice(begin, begin + 100_000)
            columns = (trials.enrol[part].tolist(), trials.test[part].tolist(), values[part].tolist())
            rows = zip(*columns, strict=True)
            handle.write("".join([f"{enrol_ids[a]} {test_ids[b]} {score:.8g}\n" for a, b, score in rows]))


def read_scores(path: str | Path, trials: Trials) -> NDArray[np.float64]:
    """The scores [N] of ``trials`` from a table in the same order; another trial there is an InputError."""
    values = np.empty(len(trials))
    number = 0
    for number, (one, two, score) in read_words(path, 3):
        if number > len(trials):
            raise InputError(f"more scores than the {len(trials)} trials", where=path, line=number)
        if (one, two) != trials.pair(number - 1):
            wanted = " ".join(trials.pair(number - 1))
            raise InputError(f"a score of {one} {two}, not of {wanted}", where=path, line=number)
        try:
            values[number - 1] = float(score)
        except ValueError as error:
            raise InputError(f"{score!r} is not a number", where=path, line=number) from error
    if number < len(trials):
        raise InputError(f"{number} scores for {len(trials)} trials", where=path)
    return values
