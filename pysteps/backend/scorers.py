"""Scores of pairs of vectors: never in a Python loop over trials, and in little memory beside the vectors."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..formats.errors import InputError
from .plda import Plda
from .products import pair_products
from .ratio import enrolment, square_weights

Floats = NDArray[np.float64]
Ints = NDArray[np.integer]
_ROWS = 2048  # vectors at a time
_MANY = 1 << 20  # pairs at a time


def check_pairs(pairs: ArrayLike | tuple[Ints, Ints], enrol: int, test: int) -> tuple[Ints, Ints]:
    """``pairs`` [N, 2], or its two columns, as two rows of numbers [N].

    InputError unless they are whole numbers of rows of ``enrol`` and ``test`` vectors.
    """
    if isinstance(pairs, tuple):
        one, two = pairs
        if one.shape != two.shape or one.ndim != 1 or {one.dtype.kind, two.dtype.kind} - {"i", "u"}:
            raise InputError(f"pairs must be two rows of whole numbers, not {one.shape} and {two.shape}")
    else:
        index = np.asarray(pairs)
        if index.ndim != 2 or index.shape[1] != 2 or index.dtype.kind not in "iu":
            raise InputError(f"pairs must be whole numbers [N, 2], not {index.dtype} {index.shape}")
        one, two = index[:, 0], index[:, 1]
    for column, rows, what in ((one, enrol, "enrolment"), (two, test, "test")):
        if len(column) and not (0 <= column.min() and column.max() < rows):
            raise InputError(f"a pair names a row outside the {rows} {what} vectors")
    return one, two


def _rows(x: ArrayLike, what: str) -> Floats:
    array = np.ascontiguousarray(x, dtype=np.float64)
    if array.ndim != 2 or not all(np.isfinite(array[part]).all() for part in _parts(len(array), _ROWS)):
        raise InputError(f"{what} vectors must be finite and [rows, D], not {array.shape}")
    return array


def _sides(enrol: ArrayLike, test: ArrayLike) -> tuple[Floats, Floats]:
    one = _rows(enrol, "enrolment")
    return one, one if enrol is test else _rows(test, "test")


def _parts(count: int, size: int) -> list[slice]:
    return [slice(begin, begin + size) for begin in range(0, count, size)]


def cosine_scores(enrol: ArrayLike, test: ArrayLike, pairs: ArrayLike | tuple[Ints, Ints]) -> Floats:
    """[N] cosines of ``enrol`` [n, D] and ``test`` [m, D] rows named by ``pairs`` (see check_pairs).

    A vector of zeros scores 0 against everything. No copy of the vectors is made.
    """
    one, two = _sides(enrol, test)
    first, second = check_pairs(pairs, len(one), len(two))
    out = pair_products(one, two, first, second)
    left = _inverse_lengths(one)
    right = left if one is two else _inverse_lengths(two)
    for part in _parts(len(out), _MANY):
        out[part] *= left[first[part]]
        out[part] *= right[second[part]]
    return np.clip(out, -1.0, 1.0, out=out)


def _inverse_lengths(rows: Floats) -> Floats:
    length = np.sqrt(np.einsum("nd,nd->n", rows, rows))
    return 1.0 / np.where(length > 0, length, 1.0)


def plda_scores(
    plda: Plda,
    enrol: ArrayLike,
    test: ArrayLike,
    pairs: ArrayLike | tuple[Ints, Ints],
    *,
    examples: ArrayLike = 1,
    normalise: str = "model",
    overwrite: bool = False,
) -> Floats:
    """[N] natural-log likelihood ratios, as Kaldi's ivector-plda-scoring gives them.

    ``enrol`` [n, D] are means of ``examples`` (a number or [n]) utterances each, ``test`` [m, D] single
    ones, ``pairs`` as check_pairs takes them; ``normalise`` as in Plda.project. The ratio is a sum of a term
    of the enrolment, a term of the test vector and one product, so trials cost what cosines cost.
    ``overwrite``: float64 vectors may be written over, and no copy of them is made.
    """
    one, two = _sides(enrol, test)
    first, second = check_pairs(pairs, len(one), len(two))
    counts = np.broadcast_to(np.asarray(examples, dtype=np.int64), (len(one),))
    shared = one is two and bool((counts == 1).all())
    if shared:
        one = two = _own(two, test, overwrite)
    else:  # the enrolment's own matrix is of the rows that trials name: models are few
        first, used = _used(first, len(one))
        counts = counts[used]
        one = one[used] if one is two or len(used) < len(one) else _own(one, enrol, overwrite)
        two = _own(two, test, overwrite)
    kinds, kind = np.unique(counts, return_inverse=True)
    one_term, two_term = _project(plda, one, two, counts, kinds, normalise)
    out = pair_products(one, two, first, second)
    for part in _parts(len(out), _MANY):
        out[part] += one_term[first[part]]
        out[part] += two_term[second[part], kind[first[part]]]
    return out


def _own(rows: Floats, given: ArrayLike, overwrite: bool) -> Floats:
    # A matrix that may be written over.
    return rows if overwrite or rows is not given else rows.copy()


def _used(column: Ints, rows: int) -> tuple[Ints, Ints]:
    # ``column`` as numbers of the rows that it names, and these rows.
    named = np.zeros(rows, bool)
    named[column] = True
    number = (np.cumsum(named) - 1).astype(np.int32)
    return number[column], np.flatnonzero(named)


def _project(
    plda: Plda, one: Floats, two: Floats, counts: Ints, kinds: Ints, normalise: str
) -> tuple[Floats, Floats]:
    # Rows become the factors of the log ratio's product, in place; the terms of either side are returned:
    # [n] of the enrolments, [m, kinds] of the test vectors by how many utterances are enrolled.
    weights = square_weights(plda.psi, kinds)
    one_term, two_term = np.empty(len(one)), np.empty((len(two), len(kinds)))
    root = np.sqrt(enrolment(plda.psi, np.ones_like(plda.psi), 1)[0])
    for part in _parts(len(two), _ROWS):
        rows = plda.project(two[part], 1, normalise)
        two_term[part] = rows**2 @ weights.T
        if one is two:  # both sides of one matrix bear the root of the product's weights
            one_term[part] = enrolment(plda.psi, rows, 1)[1]
            rows *= root
        two[part] = rows
    if one is not two:
        for part in _parts(len(one), _ROWS):
            rows = plda.project(one[part], counts[part], normalise)
            one[part], one_term[part] = enrolment(plda.psi, rows, counts[part])
    return one_term, two_term
