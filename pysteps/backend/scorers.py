"""Scores of pairs of vectors, in blocks, never in a Python loop over trials."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..formats.errors import InputError
from .plda import Plda

Floats = NDArray[np.float64]
_BLOCK = 1024  # pairs at a time: both gathered blocks stay in the second-level cache


def check_pairs(pairs: ArrayLike, enrol: int, test: int) -> NDArray[np.int64]:
    """``pairs`` [N, 2] as int64; InputError unless they name rows of ``enrol`` and ``test`` vectors."""
    index = np.asarray(pairs)
    if index.ndim != 2 or index.shape[1] != 2 or index.dtype.kind not in "iu":
        raise InputError(f"pairs must be whole numbers [N, 2], not {index.dtype} {index.shape}")
    index = index.astype(np.int64, copy=False)
    for column, rows, what in ((0, enrol, "enrolment"), (1, test, "test")):
        if len(index) and not (0 <= index[:, column].min() and index[:, column].max() < rows):
            raise InputError(f"a pair names a row outside the {rows} {what} vectors")
    return index


def _rows(x: ArrayLike, what: str) -> Floats:
    array = np.ascontiguousarray(x, dtype=np.float64)
    if array.ndim != 2 or not np.isfinite(array).all():
        raise InputError(f"{what} vectors must be finite and [rows, D], not {array.shape}")
    return array


def _products(one: Floats, two: Floats, index: NDArray[np.int64]) -> Floats:
    # Summed in one fixed order a pair, so a trial's score does not depend on its neighbours.
    if one.shape[1] != two.shape[1]:
        raise InputError(f"enrolment vectors of {one.shape[1]} dimensions, test vectors of {two.shape[1]}")
    out = np.empty(len(index))
    for begin in range(0, len(index), _BLOCK):
        part = index[begin : begin + _BLOCK]
        np.einsum("nd,nd->n", one[part[:, 0]], two[part[:, 1]], out=out[begin : begin + _BLOCK])
    return out


def _unit(rows: Floats) -> Floats:
    length = np.linalg.norm(rows, axis=1, keepdims=True)
    return rows / np.where(length > 0, length, 1.0)


def cosine_scores(enrol: ArrayLike, test: ArrayLike, pairs: ArrayLike) -> Floats:
    """[N] cosines of ``enrol`` [n, D] and ``test`` [m, D] rows named by ``pairs`` [N, 2].

    A vector of zeros scores 0 against everything.
    """
    one, two = _rows(enrol, "enrolment"), _rows(test, "test")
    index = check_pairs(pairs, len(one), len(two))
    return np.clip(_products(_unit(one), _unit(two), index), -1.0, 1.0)


def plda_scores(
    plda: Plda,
    enrol: ArrayLike,
    test: ArrayLike,
    pairs: ArrayLike,
    *,
    examples: ArrayLike = 1,
    normalise: str = "model",
) -> Floats:
    """[N] natural-log likelihood ratios, as Kaldi's ivector-plda-scoring gives them.

    ``enrol`` [n, D] are means of ``examples`` (a number or [n]) utterances each, ``test`` [m, D] single
    ones, ``pairs`` [N, 2]; ``normalise`` as in Plda.project. The ratio is a sum of a term of the
    enrolment, a term of the test vector and one product, so trials cost what cosines cost.
    """
    one, two = _rows(enrol, "enrolment"), _rows(test, "test")
    index = check_pairs(pairs, len(one), len(two))
    numbers = np.broadcast_to(np.asarray(examples, dtype=np.int64), (len(one),))
    one, two = plda.project(one, numbers, normalise), plda.project(two, 1, normalise)
    count = numbers[:, None]
    centre = count * plda.psi / (count * plda.psi + 1) * one
    given, alone = 1 + plda.psi / (count * plda.psi + 1), 1 + plda.psi
    out = _products(centre / given, two, index)
    out -= (0.5 * (np.log(given) - np.log(alone) + centre**2 / given).sum(axis=1))[index[:, 0]]
    different, kind = np.unique(numbers, return_inverse=True)
    precision = 1 / (1 + plda.psi / (different[:, None] * plda.psi + 1)) - 1 / alone
    out -= 0.5 * (two**2 @ precision.T)[index[:, 1], kind[index[:, 0]]]
    return out
