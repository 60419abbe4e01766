"""The development set's trials: its own lists, or pairs of its utterances."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ..formats.datadir import DataSet
from ..formats.errors import InputError
from ..formats.rng import generator
from ..formats.tables import read_words
from .vectors import Sides

MOST = 1_000_000  # pairs of a kind: more do not sharpen two numbers


def dev_trials(
    data: DataSet, sides: Sides, seed: int = 0
) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Pairs [N, 2] of rows of ``sides`` and whether each is of one speaker [N].

    All trial lists of the set together; without one all pairs of utterances (a million of each kind
    drawn with ``seed`` where there are more). Trials of dropped ids are left out.
    """
    lists = data.trial_lists()
    if not lists:
        utts = list(sides.rows)[: sides.utterances]
        return _pairs([sides.speakers[utt] for utt in utts], seed)
    pairs, labels = [], []
    for path in lists.values():
        for number, (first, second, third) in read_words(path, 3):
            kaldi = third in ("target", "nontarget")
            one, two = (first, second) if kaldi else (second, third)
            unknown = [name for name in (one, two) if name not in sides.rows and name not in sides.dropped]
            if unknown:
                raise InputError(f"{unknown[0]} has no vector", where=path, line=number)
            if one in sides.rows and two in sides.rows:
                pairs.append((sides.rows[one], sides.rows[two]))
                labels.append(third == "target" if kaldi else first == "1")
    return np.array(pairs, dtype=np.int64).reshape(-1, 2), np.array(labels, dtype=bool)


def _pairs(speakers: list[str], seed: int) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    number = {name: index for index, name in enumerate(sorted(set(speakers)))}
    label = np.array([number[name] for name in speakers], dtype=np.int64)
    random = generator(seed, "dev", "trials")
    if len(label) * (len(label) - 1) // 2 <= MOST:
        one, two = np.triu_indices(len(label), 1)
        return np.stack([one, two], axis=1), label[one] == label[two]
    places = [np.flatnonzero(label == speaker) for speaker in range(len(number))]
    within = [part[np.stack(np.triu_indices(len(part), 1), axis=1)] for part in places]
    same = np.concatenate(within)
    if len(same) > MOST:
        same = same[np.sort(random.choice(len(same), MOST, replace=False))]
    drawn = np.sort(random.integers(0, len(label), (MOST, 2)), axis=1)
    other = np.unique(drawn[label[drawn[:, 0]] != label[drawn[:, 1]]], axis=0)
    return np.concatenate([same, other]), np.repeat([True, False], [len(same), len(other)])

