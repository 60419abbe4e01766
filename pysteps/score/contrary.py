"""Pairs of ids as numbers, and lists that contradict themselves: one pair as target and as nontarget."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ..formats.errors import InputError
from ..formats.pairs import contrary

if TYPE_CHECKING:
    from .trials import Trials

Ints = NDArray[np.int32]


def keys_of(trials: Trials, enrol: Ints, test: Ints) -> NDArray[np.int64]:
    """One number a pair of ids' numbers [n] of ``trials``; -1 where one of the two is unknown (below 0)."""
    keys = enrol.astype(np.int64)
    keys *= len(trials.test_ids)
    keys += test
    keys[(enrol < 0) | (test < 0)] = -1
    return keys


def refuse_contrary(trials: Trials) -> None:
    """InputError, with both lines, where ``trials`` have a pair as target and as nontarget."""
    yes, keys = trials.is_target, keys_of(trials, trials.enrol, trials.test)
    both = contrary(keys, yes)
    if not len(both):
        return
    row = int(np.flatnonzero(np.isin(keys, both))[0])
    same = np.flatnonzero(keys == keys[row])
    said = f"{len(both)} pairs are listed as target and as nontarget, the first: {' '.join(trials.pair(row))}"
    mend = f"line {int(same[yes[same] != yes[row]][0]) + 1} says the other: keep the one that is true"
    raise InputError(said, where=trials.source, line=row + 1, mend=mend)
