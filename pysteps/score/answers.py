"""Answers of a classifier: what each utterance was taken for, and how likely it is of each class."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..formats.datadir import NO_LABEL
from ..formats.errors import InputError
from ..formats.tables import read_table, write_table

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
NONE = NO_LABEL  # the answer to an utterance that was dropped
FLOOR = float(np.finfo(np.float64).eps)  # of a posterior whose logarithm is taken, as scikit-learn's log_loss
_MEND = "a line is UTTERANCE ANSWER, then perhaps a posterior for each class, in C-locale order"


@dataclass(frozen=True)
class Answers:
    """Of ``utterances`` [N]: ``said`` [N], a number of ``classes`` [K] (sorted) or -1 where there is none.

    ``posteriors`` [N, K] or None; rows without an answer are NaN.
    """

    utterances: list[str]
    classes: list[str]
    said: Ints
    posteriors: Floats | None = None


def answers(
    utterances: Sequence[str],
    found: Mapping[str, int],
    posteriors: Floats,
    classes: Sequence[str],
) -> Answers:
    """``utterances`` whose row of ``posteriors`` [M, K] is ``found`` {utterance: row}; others have no answer.

    ``classes`` [K] may stand in any order. Of equal posteriors the first class is the answer.
    """
    order = np.argsort(np.asarray(classes), kind="stable")
    out = np.full((len(utterances), len(classes)), np.nan)
    there = np.array([place for place, utt in enumerate(utterances) if utt in found], np.int64)
    out[there] = posteriors[[found[utterances[place]] for place in there]][:, order]
    said = np.full(len(utterances), -1, np.int64)
    said[there] = out[there].argmax(axis=1)
    return Answers(list(utterances), [classes[place] for place in order], said, out)


def write_answers(path: Path, found: Answers) -> None:
    """``utterance answer posterior ...`` a line; an utterance without an answer has ``-`` alone."""
    names = [*found.classes, NONE]
    table = {}
    for place, utt in enumerate(found.utterances):
        words = [names[found.said[place]]]
        if found.posteriors is not None and found.said[place] >= 0:
            words += [f"{value:.9g}" for value in found.posteriors[place]]
        table[utt] = " ".join(words)
    write_table(path, table)


def read_answers(path: Path, utterances: Sequence[str], classes: Sequence[str]) -> Answers:
    """The answers of a file to ``utterances`` [N]; ``classes`` are those it may name, sorted.

    Lines of other utterances are left out. InputError for an utterance without a line, an answer that is no
    class, and posteriors that are not all there, no numbers in 0..1 or do not add up to one (to 1e-3).
    """
    table, number = read_table(path), {label: place for place, label in enumerate(classes)}
    number[NONE] = -1
    said = np.empty(len(utterances), np.int64)
    rows = np.full((len(utterances), len(classes)), np.nan)
    counts = set()
    for place, utt in enumerate(utterances):
        if utt not in table:
            mend = f"add a line, {utt} {NONE} if there is none"
            raise InputError("no answer", where=path, utt=utt, mend=mend)
        answer, *words = table[utt].split()
        if answer not in number:
            known = ", ".join(list(classes)[:12])
            raise InputError(f"{answer} is none of the classes {known}", where=path, utt=utt, mend=_MEND)
        said[place] = number[answer]
        if answer == NONE:
            continue
        counts.add(len(words))
        if len(words) not in (0, len(classes)):
            said_so = f"{len(words)} posteriors for {len(classes)} classes"
            raise InputError(said_so, where=path, utt=utt, mend=f"{_MEND}; --classes names them")
        rows[place, : len(words)] = _numbers(words, path, utt)
    if len(counts) > 1:
        raise InputError("some lines have posteriors, others have none", where=path, mend=_MEND)
    return Answers(list(utterances), list(classes), said, rows if counts == {len(classes)} else None)


def _numbers(words: Sequence[str], path: Path, utt: str) -> list[float]:
    try:
        values = [float(word) for word in words]
    except ValueError:
        raise InputError("a posterior is no number", where=path, utt=utt, mend=_MEND) from None
    if words and not (all(0 <= value <= 1 for value in values) and abs(sum(values) - 1) < 1e-3):
        raise InputError(
            "these are no posteriors: they do not add up to one", where=path, utt=utt, mend=_MEND
        )
    return values


def voted(found: Answers, groups: Mapping[str, str]) -> Answers:
    """The answers for ``groups`` {utterance: group}: the mean of the logarithms of their posteriors.

    A group's posteriors are the softmax of it (its members counted as independent would be surer: the sum).
    Members without an answer have no vote; a group of such alone has no answer. InputError for an utterance
    without a group, and for answers without posteriors.
    """
    if found.posteriors is None:
        raise InputError("answers without posteriors cannot be voted on")
    names = sorted({groups[utt] for utt in found.utterances})
    number = {name: place for place, name in enumerate(names)}
    place = np.array([number[groups[utt]] for utt in found.utterances], np.int64)
    there = found.said >= 0
    logs, count = np.zeros((len(names), len(found.classes))), np.bincount(place[there], minlength=len(names))
    np.add.at(logs, place[there], np.log(np.maximum(found.posteriors[there], FLOOR)))
    logs /= np.maximum(count, 1)[:, None]
    powers = np.exp(logs - logs.max(axis=1, keepdims=True))
    rows = powers / powers.sum(axis=1, keepdims=True)
    rows[count == 0] = np.nan
    said = np.where(count == 0, -1, logs.argmax(axis=1))
    return Answers(names, found.classes, said, rows)
