"""What tables of utterances or speakers say of trials: the classes that figures are also given by."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import combinations, count
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..formats.errors import InputError
from ..formats.tables import read_table
from .trials import Trials

Side = tuple[Sequence[str | None], NDArray[np.integer]]  # what each id of a side says, and each trial's id
UNKNOWN = "unknown"


class Classes(NamedTuple):
    """The ``names`` of classes of trials, and the ``codes`` [N]: the place of each trial's class in them."""

    names: list[str]
    codes: NDArray[np.int8]


def condition_values(
    trials: Trials, path: Path, utt2spk: Mapping[str, str] | None, *, most: int = 8
) -> NDArray[np.str_]:
    """[N] what a table of utterances or speakers (utt2LABEL, utt2dur, spk2gender) says of each trial.

    As ``classes`` has it; an id without a line is an InputError.
    """
    table, people = read_table(path), utt2spk or {}
    sides: list[Side] = []
    for ids, rows in ((trials.enrol_ids, trials.enrol), (trials.test_ids, trials.test)):
        found = [table.get(one) or table.get(people.get(one, one)) for one in ids]
        if None in found:
            missing = ids[found.index(None)]
            said = f"{found.count(None)} ids have no line, the first: {missing}"
            mend = "complete it" if utt2spk else "of a table of speakers (spk2gender) give --utt2spk too"
            raise InputError(said, where=path, mend=mend)
        sides.append((found, rows))
    names, codes = classes(sides, path, most=most)
    return np.array(names)[codes]


def classes(
    sides: Sequence[Side], where: object, *, most: int = 8, numbers: bool = True, unit: str = ""
) -> Classes:
    """The classes of N trials by what a table (the file ``where``) says of each id of the two ``sides``.

    Labels: ``f`` where both sides have it, ``f-m`` where they differ; with more than ``most`` different
    ones ``same`` and ``different``. More than ``most`` different numbers: three classes with equally many
    trials, by the lesser side, with ``unit`` behind their edges; without ``numbers`` they are labels too.
    ``unknown``: a side says so, or nothing; such trials decide nothing of the other classes. Among numbers
    one that is not finite is an InputError.
    """
    said = [[None if word == UNKNOWN else word or None for word in words] for words, _ in sides]
    lost = np.logical_or(*(_missing(words)[rows] for words, (_, rows) in zip(said, sides, strict=True)))
    if lost.all():
        return Classes([UNKNOWN], np.zeros(len(lost), np.int8))
    words = sorted({word for side in said for word in side if word is not None})
    values = _numbers(words, where) if numbers else None
    if len(words) > most and values is not None:
        table = np.array([values[word] for word in words])
        one, two = (table[code] for code in _codes(said, sides, words))
        names, codes = _thirds(np.minimum(one, two), ~lost, unit)
    else:
        one, two = _codes(said, sides, words)
        names, codes = _labels(words, one, two, most)
    if not lost.any():
        return Classes(names, codes)
    return Classes([*names, UNKNOWN], np.where(lost, len(names), codes).astype(np.int8))


def _missing(words: Sequence[str | None]) -> NDArray[np.bool_]:
    return np.array([word is None for word in words], bool)


def _codes(
    said: Sequence[Sequence[str | None]], sides: Sequence[Side], words: Sequence[str]
) -> list[NDArray[np.intp]]:
    # The place of each trial's word, a side each; an unknown one stands as the first until it is put apart.
    place = {word: code for code, word in enumerate(words)}
    return [
        np.array([0 if word is None else place[word] for word in found], np.intp)[rows]
        for found, (_, rows) in zip(said, sides, strict=True)
    ]


def _labels(words: Sequence[str], one: NDArray[np.intp], two: NDArray[np.intp], most: int) -> Classes:
    if len(words) > most:
        return Classes(["same", "different"], (one != two).astype(np.int8))
    pairs = list(combinations(range(len(words)), 2))
    table = np.diag(np.arange(len(words), dtype=np.int8))
    for code, (a, b) in enumerate(pairs, len(words)):
        table[a, b] = table[b, a] = code
    return Classes([*words, *_pair_names(words, pairs)], table[one, two])


def _pair_names(words: Sequence[str], pairs: Sequence[tuple[int, int]]) -> list[str]:
    # Labels may hold hyphens (``a-b`` beside ``a`` and ``b``): no two classes shall have one name.
    for blanks in count():
        between = f"{' ' * blanks}-{' ' * blanks}"
        names = [f"{words[a]}{between}{words[b]}" for a, b in pairs]
        if len({*words, *names}) == len(words) + len(pairs):
            return names
    raise AssertionError("words without blanks at their ends differ at some width")


def _thirds(values: NDArray[np.float64], known: NDArray[np.bool_], unit: str) -> Classes:
    # Three classes of ``values`` [N], equally large among the known ones but for ties.
    low, high = (float(edge) for edge in np.quantile(values[known], (1 / 3, 2 / 3)))
    one, two = (f"{edge:.4g}{unit}" for edge in (low, high))
    names = [f"1: below {one}", f"2: {one} to {two}", f"3: {two} and above"]
    return Classes(names, (values >= low).astype(np.int8) + (values >= high))


def _numbers(words: Sequence[str], where: object) -> dict[str, float] | None:
    # None unless all are numbers. Among labels, or alone, nan is one: Min Nan's code.
    try:
        values = {word: float(word) for word in words}
    except ValueError:
        return None
    odd = [word for word, value in values.items() if not np.isfinite(value)]
    if len(odd) == len(words):
        return None
    if odd:
        raise InputError(
            f"{odd[0]!r} among the numbers", where=where, mend="give a finite number for each id"
        )
    return values
