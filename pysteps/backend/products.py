"""Scalar products of millions of pairs of rows, near memory speed, in little memory."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from numpy.typing import NDArray

from ..formats.errors import InputError

Floats = NDArray[np.float64]
_PAIRS = 256  # at a time: both gathered blocks stay in the second-level cache
_TILE = 2048  # rows: tiles of both matrices stay in the third-level cache
_SHARE = 1 << 16  # pairs that are worth a thread
_MANY = 1 << 22  # pairs that are put in order at a time: memory


def pair_products(one: Floats, two: Floats, enrol: NDArray[np.integer], test: NDArray[np.integer]) -> Floats:
    """[N] scalar products of rows ``enrol`` [N] of ``one`` [n, D] and ``test`` [N] of ``two`` [m, D].

    Each is summed in one fixed order, so a trial's score does not depend on its neighbours. Pairs are done
    tile by tile of both matrices: random rows from main memory cost more than their products. Threads
    (as many as OMP_NUM_THREADS says, else as cores) share the pairs.
    """
    if one.shape[1] != two.shape[1]:
        raise InputError(f"enrolment vectors of {one.shape[1]} dimensions, test vectors of {two.shape[1]}")
    out = np.empty(len(enrol))
    for begin in range(0, len(enrol), _MANY):
        part = slice(begin, begin + _MANY)
        _products(one, two, enrol[part], test[part], out[part])
    return out


def _products(
    one: Floats, two: Floats, enrol: NDArray[np.integer], test: NDArray[np.integer], out: Floats
) -> None:
    order = None
    if len(enrol) > _TILE and max(len(one), len(two)) > 2 * _TILE:
        tiles = -(-len(two) // _TILE)
        key = (enrol // _TILE).astype(np.int32) * np.int32(tiles) + (test // _TILE).astype(np.int32)
        if tiles * -(-len(one) // _TILE) < 1 << 16:
            key = key.astype(np.uint16)  # numpy sorts these by radix
        order = np.argsort(key, kind="stable")
        enrol, test = enrol[order], test[order]
    found = out if order is None else np.empty_like(out)

    def share(some: slice) -> None:
        _in_order(one, two, enrol[some], test[some], found[some])

    workers = min(_threads(), len(enrol) // _SHARE + 1)
    ends = [len(enrol) * number // workers for number in range(workers + 1)]
    shares = list(map(slice, ends, ends[1:]))
    if workers == 1:
        share(shares[0])
    else:  # numpy lets go of the interpreter in both its calls
        with ThreadPoolExecutor(workers, "products") as pool:
            list(pool.map(share, shares))
    if order is not None:
        out[order] = found


def _threads() -> int:
    # As many as the arithmetic libraries would use.
    said = os.environ.get("OMP_NUM_THREADS", "")
    if said.isdecimal() and int(said):
        return int(said)
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 1


def _in_order(
    one: Floats, two: Floats, enrol: NDArray[np.integer], test: NDArray[np.integer], out: Floats
) -> None:
    left, right = np.empty((_PAIRS, one.shape[1])), np.empty((_PAIRS, two.shape[1]))
    for begin in range(0, len(enrol), _PAIRS):
        some = slice(begin, begin + _PAIRS)
        count = len(enrol[some])
        # mode="clip" writes straight into ``out``; callers have checked that rows exist.
        np.take(one, enrol[some], axis=0, out=left[:count], mode="clip")
        np.take(two, test[some], axis=0, out=right[:count], mode="clip")
        np.einsum("nd,nd->n", left[:count], right[:count], out=out[some])
