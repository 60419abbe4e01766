"""Trial lists and score tables: ``enrol test target|nontarget``, VoxCeleb's ``1 enrol test``."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..formats.atomic import packing
from ..formats.errors import InputError
from .columns import Block, Column, Names, read_blocks
from .contrary import keys_of, refuse_contrary
from .digits import score_lines
from .mismatch import check_values, is_labels, refuse_others

Ints = NDArray[np.int32]
_LINES = 1 << 14  # written at a time
_MANY = 1 << 20  # put in order at a time
_KALDI = (b"target", b"nontarget")
_VOXCELEB = (b"1", b"0")


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

    def known(self) -> tuple[Names, Names]:
        """Both sides' ids, ready to be found among a table's words."""
        return Names.of(self.enrol_ids), Names.of(self.test_ids)

    def locate(
        self, enrol_rows: Mapping[str, int], test_rows: Mapping[str, int], dropped: Collection[str] = ()
    ) -> tuple[Ints, Ints]:
        """Rows of each trial's vectors, two [N] arrays; -1 where the id was ``dropped``.

        An id that has neither a row nor a place among the dropped is an InputError.
        """
        first = self._rows(self.enrol_ids, enrol_rows, dropped)
        return first[self.enrol], self._rows(self.test_ids, test_rows, dropped)[self.test]

    def _rows(self, ids: Sequence[str], rows: Mapping[str, int], dropped: Collection[str]) -> Ints:
        unknown = [one for one in ids if one not in rows and one not in dropped]
        if unknown:
            raise InputError(
                f"{len(unknown)} ids have no vector and were not dropped, the first: {unknown[0]}",
                where=self.source,
                mend="extract their x-vectors, or take their trials out",
            )
        return np.array([rows.get(one, -1) for one in ids], dtype=np.int32)

    def touches(self, dropped: Collection[str]) -> NDArray[np.bool_]:
        """[N] whether a trial's enrolment or test id is among ``dropped``."""
        first = np.array([one in dropped for one in self.enrol_ids], dtype=bool)
        return first[self.enrol] | np.array([one in dropped for one in self.test_ids], dtype=bool)[self.test]


def read_trials(path: str | Path) -> Trials:
    """Read a trial list in either format; the first line decides which, and a line of the other is refused.

    The last line may lack its newline. A malformed line is an InputError with file and line; so is
    a pair that is listed as both target and nontarget, and an empty list. Plain or gzipped.
    """
    enrol_ids, test_ids = Names(), Names()
    enrol, test, labels = Column(np.int32), Column(np.int32), Column(np.bool_)
    kaldi = True
    for block in read_blocks(path):
        if block.line == 1:
            kaldi = block.word(0, 2).encode() in _KALDI
        labels.add(_labels(block, kaldi))
        enrol.add(enrol_ids.codes(block, 0 if kaldi else 1, add=True))
        test.add(test_ids.codes(block, 1 if kaldi else 2, add=True))
    if not enrol_ids.names:
        raise InputError("no trials", where=path)
    columns = (enrol.whole(), test.whole(), labels.whole())
    found = Trials(enrol_ids.names, test_ids.names, *columns, str(path))
    refuse_contrary(found)
    return found


def _labels(block: Block, kaldi: bool) -> NDArray[np.bool_]:
    column, (yes, no) = (2, _KALDI) if kaldi else (0, _VOXCELEB)
    target = block.equals(column, yes)
    odd = np.flatnonzero(~target & ~block.equals(column, no))
    if len(odd):
        wanted = "target or nontarget" if kaldi else "1 or 0 in front, or target|nontarget behind"
        word, line = block.word(int(odd[0]), column), block.line + int(odd[0])
        mend = "a header line has no place here: remove it" if line == 1 else None
        raise InputError(f"{word!r} where {wanted} should stand", where=block.path, line=line, mend=mend)
    return target


def write_scores(path: str | Path, trials: Trials, scores: ArrayLike) -> None:
    """Write ``enrol test score``, a line a trial in its order, 8 significant digits, whole or not at all.
    Gzipped under a name that ends in .gz.

    -inf and inf (trials of dropped utterances) are written so; NaN is an InputError.
    """
    values = np.asarray(scores, dtype=np.float64)
    if values.shape != (len(trials),):
        raise InputError(f"{values.shape} scores for {len(trials)} trials", where=path)
    if np.isnan(values).any():
        one, two = trials.pair(int(np.flatnonzero(np.isnan(values))[0]))
        raise InputError(f"the score of {one} {two} is not a number", where=path)
    enrol_ids, test_ids = (
        np.array([one.encode() for one in ids]) for ids in (trials.enrol_ids, trials.test_ids)
    )
    with packing(path) as handle:
        for begin in range(0, len(values), _LINES):
            part = slice(begin, begin + _LINES)
            enrol, test = enrol_ids[trials.enrol[part]], test_ids[trials.test[part]]
            handle.write(score_lines(enrol, test, values[part]))


def read_scores(path: str | Path, trials: Trials) -> NDArray[np.float64]:
    """The scores [N] of ``trials`` from ``enrol test score`` or VoxSRC's ``score enrol test`` lines.

    Lines may stand in any order: they are matched by their pair of ids. Pairs without a score, pairs
    that are no trial and pairs that come twice are an InputError that counts them and names the first; so is
    VoxCeleb's list of trials in a score file's place.
    """
    sides = trials.known()
    scores = Column(np.float64)
    keys: list[Column[np.int64]] = []  # one, from the first line on that is not its trial's
    unknown: dict[int, str] = {}  # the first line of an unknown id
    column, done, listed = 0, 0, True
    for block in read_blocks(path):
        if block.line == 1:
            column = _first_id(block, sides)
        listed = listed and column == 1 and is_labels(block)
        scores.add(block.numbers(2 if column == 0 else 0))
        enrol, test = (side.codes(block, column + place) for place, side in enumerate(sides))
        same = slice(done, done + len(block))
        if not keys and not (
            np.array_equal(enrol, trials.enrol[same]) and np.array_equal(test, trials.test[same])
        ):
            keys.append(Column(np.int64))
            keys[0].add(keys_of(trials, trials.enrol[:done], trials.test[:done]))
        if keys:
            keys[0].add(keys_of(trials, enrol, test))
        odd = np.flatnonzero((enrol < 0) | (test < 0))
        if len(odd) and not unknown:
            row = int(odd[0])
            unknown[done + row] = f"{block.word(row, column)} {block.word(row, column + 1)}"
        done += len(block)
    values = scores.whole()
    check_values(values, path, listed)
    if not keys and done == len(trials):
        return values
    given = [keys.pop().whole() if keys else keys_of(trials, trials.enrol[:done], trials.test[:done])]
    return _matched(trials, given, values, path, unknown)


def _first_id(block: Block, sides: tuple[Names, Names]) -> int:
    # The column of the enrolment id: the one that makes the first line a trial's, else what looks so.
    for column in (0, 1):
        if all(side.codes(block, column + place)[0] >= 0 for place, side in enumerate(sides)):
            return column
    try:
        float(block.word(0, 2))
    except ValueError:
        return 1
    return 0


def _matched(
    trials: Trials,
    keys: list[NDArray[np.int64]],
    values: NDArray[np.float64],
    path: str | Path,
    unknown: Mapping[int, str],
) -> NDArray[np.float64]:
    # Both lists as sorted numbers of pairs; a trial that is listed twice has one score. The lines' numbers
    # are taken out of ``keys``, and nothing is kept that is done with: each is as large as the scores.
    given = keys.pop()
    order = np.argsort(given)
    given = given[order]
    wanted = keys_of(trials, trials.enrol, trials.test)
    in_turn = np.argsort(wanted)
    wanted = wanted[in_turn]
    place = np.searchsorted(given, wanted)
    np.minimum(place, len(given) - 1, out=place)
    lost = bool((given[place] != wanted).any())
    del wanted
    once = np.zeros(len(given), bool)
    once[place] = True
    if lost or not once.all():
        lines = np.empty_like(given)
        lines[order] = given
        refuse_others(trials, lines, path, unknown)
    del given
    out = np.empty(len(place))
    for begin in range(0, len(place), _MANY):
        some = slice(begin, begin + _MANY)
        out[in_turn[some]] = values[order[place[some]]]
    return out
