"""Trial lists and score tables: ``enrol test target|nontarget``, VoxCeleb's ``1 enrol test``."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..formats.atomic import replacing
from ..formats.errors import InputError
from .columns import Block, Column, Names, read_blocks, score_lines

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

    The last line may lack its newline. A malformed line is an InputError with file and line, an empty
    list too. Plain or gzipped.
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
    return Trials(enrol_ids.names, test_ids.names, *columns, str(path))


def _labels(block: Block, kaldi: bool) -> NDArray[np.bool_]:
    column, (yes, no) = (2, _KALDI) if kaldi else (0, _VOXCELEB)
    target = block.equals(column, yes)
    odd = np.flatnonzero(~target & ~block.equals(column, no))
    if len(odd):
        wanted = "target or nontarget" if kaldi else "1 or 0 in front, or target|nontarget behind"
        said = f"{block.word(int(odd[0]), column)!r} where {wanted} should stand"
        raise InputError(said, where=block.path, line=block.line + int(odd[0]))
    return target


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
    enrol_ids, test_ids = (
        np.array([one.encode() for one in ids]) for ids in (trials.enrol_ids, trials.test_ids)
    )
    with replacing(path, "wb") as handle:
        for begin in range(0, len(values), _LINES):
            part = slice(begin, begin + _LINES)
            enrol, test = enrol_ids[trials.enrol[part]], test_ids[trials.test[part]]
            handle.write(score_lines(enrol, test, values[part]))


def read_scores(path: str | Path, trials: Trials) -> NDArray[np.float64]:
    """The scores [N] of ``trials`` from ``enrol test score`` or VoxSRC's ``score enrol test`` lines.

    Lines may stand in any order: they are matched by their pair of ids. Pairs without a score, pairs
    that are no trial and pairs that come twice are an InputError that counts them and names the first.
    """
    sides = trials.known()
    scores = Column(np.float64)
    keys: list[Column[np.int64]] = []  # one, from the first line on that is not its trial's
    unknown: dict[int, str] = {}  # the first line of an unknown id
    column, done = 0, 0
    for block in read_blocks(path):
        if block.line == 1:
            column = _first_id(block, sides)
        scores.add(block.numbers(2 if column == 0 else 0))
        enrol, test = (side.codes(block, column + place) for place, side in enumerate(sides))
        same = slice(done, done + len(block))
        if not keys and not (
            np.array_equal(enrol, trials.enrol[same]) and np.array_equal(test, trials.test[same])
        ):
            keys.append(Column(np.int64))
            keys[0].add(_keys(trials, trials.enrol[:done], trials.test[:done]))
        if keys:
            keys[0].add(_keys(trials, enrol, test))
        odd = np.flatnonzero((enrol < 0) | (test < 0))
        if len(odd) and not unknown:
            row = int(odd[0])
            unknown[done + row] = f"{block.word(row, column)} {block.word(row, column + 1)}"
        done += len(block)
    values = scores.whole()
    if not done:
        raise InputError("no scores", where=path)
    if np.isnan(values).any():
        line = int(np.flatnonzero(np.isnan(values))[0]) + 1
        raise InputError("a score that is not a number", where=path, line=line)
    if not keys and done == len(trials):
        return values
    given = [keys.pop().whole() if keys else _keys(trials, trials.enrol[:done], trials.test[:done])]
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


def _keys(trials: Trials, enrol: Ints, test: Ints) -> NDArray[np.int64]:
    # One number a pair of ids; -1 where one of them is unknown.
    keys = enrol.astype(np.int64)
    keys *= len(trials.test_ids)
    keys += test
    keys[(enrol < 0) | (test < 0)] = -1
    return keys


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
    wanted = _keys(trials, trials.enrol, trials.test)
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
        _refuse(trials, lines, path, unknown)
    del given
    out = np.empty(len(place))
    for begin in range(0, len(place), _MANY):
        some = slice(begin, begin + _MANY)
        out[in_turn[some]] = values[order[place[some]]]
    return out


def _refuse(
    trials: Trials, given: NDArray[np.int64], path: str | Path, unknown: Mapping[int, str]
) -> NoReturn:
    # What keeps the pairs ``given`` [lines] from being those of the trials.
    wanted = _keys(trials, trials.enrol, trials.test)
    order = np.argsort(given, kind="stable")
    twice = order[1:][(given[order[1:]] == given[order[:-1]]) & (given[order[1:]] >= 0)]
    lost, extra = np.flatnonzero(~np.isin(wanted, given)), np.flatnonzero(~np.isin(given, wanted))
    said = []
    if len(lost):
        first = " ".join(trials.pair(int(lost[0])))
        said.append(f"{len(lost)} of {len(trials)} trials have no score, the first: {first}")
    for lines, what in ((extra, "are of no trial"), (twice, "are of a pair that has one already")):
        if len(lines):
            line = int(lines.min())
            one, two = divmod(int(given[line]), len(trials.test_ids))
            pair = unknown.get(line) or f"{trials.enrol_ids[one]} {trials.test_ids[two]}"
            said.append(f"{len(lines)} scores {what}, the first: {pair} (line {line + 1})")
    mend = f"the trials are those of {trials.source}"
    if len(extra) == len(given) and _swapped(trials, path, wanted):
        mend += "; there enrolment and test stand the other way round"
    raise InputError("; ".join(said), where=path, mend=mend)


def _swapped(trials: Trials, path: str | Path, wanted: NDArray[np.int64]) -> bool:
    # Whether the file's first pairs are all trials once their ids change places.
    block, sides = next(read_blocks(path)), trials.known()
    for column in (0, 1):
        enrol, test = (side.codes(block, column + 1 - place) for place, side in enumerate(sides))
        if np.isin(_keys(trials, enrol, test), wanted).all():
            return True
    return False
