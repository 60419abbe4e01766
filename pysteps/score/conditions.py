"""What tables of utterances or speakers say of trials: the classes that figures are also given by."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import combinations
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..formats.errors import InputError
from ..formats.tables import read_table
from .trials import Trials

Side = tuple[list[str], NDArray[np.integer]]  # what each id of a side says, and each trial's id


class Classes(NamedTuple):
    """The ``names`` of classes of trials, and the ``codes`` [N]: the place of each trial's class in them."""

    names: list[str]
    codes: NDArray[np.int8]


def condition_values(
    trials: Trials, path: Path, utt2spk: Mapping[str, str] | None, *, most: int = 8
) -> NDArray[np.str_]:
    """[N] what a table of utterances or speakers (utt2LABEL, utt2dur, spk2gender) says of each trial.

    Labels: ``f`` where both sides have it, ``f-m`` where they differ; with more than ``most`` different
    ones ``same`` and ``different``. Numbers: three classes with equally many trials, by the lesser side.
    """
    table, people = read_table(path), utt2spk or {}
    sides = []
    for ids, rows in ((trials.enrol_ids, trials.enrol), (trials.test_ids, trials.test)):
        found = [table.get(one) or table.get(people.get(one, one)) for one in ids]
        if None in found:
            missing = ids[found.index(None)]
            raise InputError(f"{found.count(None)} ids have no line, the first: {missing}", where=path)
        sides.append(([str(word) for word in found], rows))
    _refuse_infinite({str(word) for found, _ in sides for word in found}, path)
    names, codes = classes(sides, most=most)
    return np.array(names)[codes]


def classes(sides: Sequence[Side], *, most: int = 8, numbers: bool = True) -> Classes:
    """``condition_values`` of what each id of the two ``sides`` says, as names and each trial's place [N].

    Without ``numbers`` they are labels like all others.
    """
    words = sorted({word for found, _ in sides for word in found})
    if len(words) > most and numbers:
        values = _numbers(sides)
        if values is not None:
            return thirds(values)
    place = {word: code for code, word in enumerate(words)}
    one, two = (np.array([place[word] for word in found])[rows] for found, rows in sides)
    if len(words) > most:
        return Classes(["same", "different"], (one != two).astype(np.int8))
    pairs = [(a, a) for a in range(len(words))] + list(combinations(range(len(words)), 2))
    table = np.zeros((len(words), len(words)), np.int8)
    for code, (a, b) in enumerate(pairs):
        table[a, b] = table[b, a] = code
    return Classes([words[a] if a == b else f"{words[a]}-{words[b]}" for a, b in pairs], table[one, two])


def thirds(values: NDArray[np.float64], unit: str = "") -> Classes:
    """Three classes of ``values`` [N], equally large but for ties; ``unit`` is written behind their edges."""
    low, high = (float(edge) for edge in np.quantile(values, (1 / 3, 2 / 3)))
    one, two = (f"{edge:.4g}{unit}" for edge in (low, high))
    names = [f"1: below {one}", f"2: {one} to {two}", f"3: {two} and above"]
    return Classes(names, (values >= low).astype(np.int8) + (values >= high))


def _refuse_infinite(words: Iterable[str], path: Path) -> None:
    # Among numbers alone nan and inf are no labels: Min Nan's code beside other languages' is one.
    try:
        odd = [word for word in words if not np.isfinite(float(word))]
    except ValueError:
        return
    if odd:
        raise InputError(f"{odd[0]!r} among the numbers", where=path, mend="give a finite number for each id")


def _numbers(sides: Sequence[Side]) -> NDArray[np.float64] | None:
    # The lesser number of each trial's two sides, None where the words are no numbers.
    try:
        one, two = (np.array([float(word) for word in found])[rows] for found, rows in sides)
    except ValueError:
        return None
    return np.minimum(one, two)
