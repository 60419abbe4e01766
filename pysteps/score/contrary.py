"""Pairs of ids as numbers, and lists that contradict themselves: one pair as target and as nontarget."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ..formats.errors import InputError

if TYPE_CHECKING:
    from .trials import Trials

Ints = NDArray[np.int32]
_SOME = 1 << 16  # trials at a time: what is made of them stays in the cache
_MIX = (np.uint32(0x9E3779B1), np.uint32(0x85EBCA6B))


def keys_of(trials: Trials, enrol: Ints, test: Ints) -> NDArray[np.int64]:
    """One number a pair of ids' numbers [n] of ``trials``; -1 where one of the two is unknown (below 0)."""
    keys = enrol.astype(np.int64)
    keys *= len(trials.test_ids)
    keys += test
    keys[(enrol < 0) | (test < 0)] = -1
    return keys


def refuse_contrary(trials: Trials) -> None:
    """InputError, with both lines, where ``trials`` have a pair as target and as nontarget.

    Of millions of pairs only those are sorted whose short hash is that of a trial of the other kind.
    """
    yes, bits = trials.is_target, min(32, (2 * len(trials)).bit_length())
    marks = np.zeros(1 << bits, bool)
    for part, hashes in _hashes(trials, bits):
        marks[hashes[yes[part]]] = True
    wrong, right, of_wrong = [], [], np.zeros(1 << bits, bool)
    for part, hashes in _hashes(trials, bits):
        found = np.flatnonzero(marks[hashes] & ~yes[part])
        wrong.append(found + part.start)
        of_wrong[hashes[found]] = True
    for part, hashes in _hashes(trials, bits):
        right.append(np.flatnonzero(of_wrong[hashes] & yes[part]) + part.start)
    rows = np.concatenate([*right, *wrong])
    keys = keys_of(trials, trials.enrol[rows], trials.test[rows])
    kinds = np.sort(2 * keys + yes[rows])  # of one pair they differ in the last bit
    both = np.unique(kinds[1:][(kinds[1:] ^ kinds[:-1]) == 1] // 2)
    if not len(both):
        return
    order = np.argsort(rows)
    rows, keys = rows[order], keys[order]
    first = int(np.flatnonzero(np.isin(keys, both))[0])
    row, same = int(rows[first]), rows[keys == keys[first]]
    said = f"{len(both)} pairs are listed as target and as nontarget, the first: {' '.join(trials.pair(row))}"
    mend = f"line {int(same[yes[same] != yes[row]][0]) + 1} says the other: keep the one that is true"
    raise InputError(said, where=trials.source, line=row + 1, mend=mend)


def _hashes(trials: Trials, bits: int) -> Iterator[tuple[slice, NDArray[np.uint32]]]:
    # Some trials at a time, and hashes of their pairs below 2^bits.
    for begin in range(0, len(trials), _SOME):
        part = slice(begin, begin + _SOME)
        mixed = trials.enrol[part].astype(np.uint32)
        mixed *= _MIX[0]
        mixed += trials.test[part].astype(np.uint32)
        mixed *= _MIX[1]
        mixed >>= np.uint32(32 - bits)
        yield part, mixed
