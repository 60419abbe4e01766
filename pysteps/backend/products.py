"""Scalar products of millions of pairs of rows, near memory speed, in little memory."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..formats.errors import InputError
from .plda import Plda

Floats = NDArray[np.float64]
_PAIRS = 128  # at a time: both gathered blocks stay in the second-level cache
_TILE = 2048  # rows: tiles of both matrices stay in the third-level cache
_MANY = 1 << 22  # pairs that are put in order at a time: memory


def pair_products(one: Floats, two: Floats, enrol: NDArray[np.integer], test: NDArray[np.integer]) -> Floats:
    """[N] scalar products of rows ``enrol`` [N] of ``one`` [n, D] and ``test`` [N] of ``two`` [m, D].

    Each is summed in one fixed order, so a trial's score does not depend on its neighbours. Pairs are done
    tile by tile of both matrices: random rows from main memory cost more than their products.
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
    left, right = np.empty((_PAIRS, one.shape[1])), np.empty((_PAIRS, two.shape[1]))
    for begin in range(0, len(enrol), _PAIRS):
        some = slice(begin, begin + _PAIRS)
        count = len(enrol[some])
        # mode="clip" writes straight into ``out``; callers have checked that rows exist.
        np.take(one, enrol[some], axis=0, out=left[:count], mode="clip")
        np.take(two, test[some], axis=0, out=right[:count], mode="clip")
        np.einsum("nd,nd->n", left[:count], right[:count], out=found[some])
    if order is not None:
        out[order] = found


def to_unit_length(rows: Floats) -> Floats:
    """``rows`` [N, D] scaled in place to length 1; a row of zeros stays one."""
    length = np.sqrt(np.einsum("nd,nd->n", rows, rows))
    rows /= np.where(length > 0, length, 1.0)[:, None]
    return rows


def plda_pair_scores(
    plda: Plda,
    one: Floats,
    two: Floats,
    enrol: NDArray[np.integer],
    test: NDArray[np.integer],
    *,
    examples: ArrayLike = 1,
    normalise: str = "model",
) -> Floats:
    """scorers.plda_scores of rows ``enrol`` and ``test`` [N], overwriting the vectors ``one`` and ``two``.

    ``one`` may be ``two`` where all ``examples`` are 1: then both sides bear the root of the product's
    weights. What is worked out beside the two matrices is a block of rows.
    """
    counts = np.broadcast_to(np.asarray(examples, dtype=np.int64), (len(one),))
    kinds, kind = np.unique(counts, return_inverse=True)
    shared = one is two
    if shared and kinds.tolist() != [1]:
        raise InputError("one matrix for both sides, but means of several utterances on one of them")
    alone, psi = 1 + plda.psi, plda.psi
    precision = 1 / (1 + psi / (kinds[:, None] * psi + 1)) - 1 / alone
    one_term, two_term = np.empty(len(one)), np.empty((len(two), len(kinds)))
    root = np.sqrt(psi / (psi + 1) / (1 + psi / (psi + 1)))
    for begin in range(0, len(two), _TILE):
        part = slice(begin, begin + _TILE)
        rows = plda.project(two[part], 1, normalise)
        two_term[part] = 0.5 * (rows**2 @ precision.T)
        if shared:
            one_term[part] = _enrolment(plda, rows, np.ones(len(rows)))[1]
            rows *= root
        two[part] = rows
    if not shared:
        for begin in range(0, len(one), _TILE):
            part = slice(begin, begin + _TILE)
            rows = plda.project(one[part], counts[part], normalise)
            one[part], one_term[part] = _enrolment(plda, rows, counts[part])
    out = pair_products(one, two, enrol, test)
    for begin in range(0, len(out), _MANY):
        part = slice(begin, begin + _MANY)
        out[part] -= one_term[enrol[part]]
        out[part] -= two_term[test[part], kind[enrol[part]]]
    return out


def _enrolment(plda: Plda, rows: Floats, counts: NDArray[np.integer] | Floats) -> tuple[Floats, Floats]:
    # The factor of the test vector in the log ratio, and what the enrolment adds to it alone.
    count = counts[:, None]
    shrink = count * plda.psi / (count * plda.psi + 1)
    given = 1 + plda.psi / (count * plda.psi + 1)
    centre = shrink * rows
    term = 0.5 * (np.log(given) - np.log(1 + plda.psi) + centre**2 / given).sum(axis=1)
    return centre / given, term
