"""Who of the gallery is nearest: exactly by matrix products, or sooner through an index."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..formats.errors import InputError
from .gallery import Gallery
from .space import Floats, Singles

Ints = NDArray[np.int64]
_BLOCK = 65536  # people: a block's scores stay in the cache
_TOGETHER = 64  # queries in one product
_SPARE = 16  # candidates beyond those asked for, because float32 may swap neighbours
_SCORES = 1 << 26  # scores held at a time when ranks are counted: 256 MB
_DOUBT = 64 * float(np.finfo(np.float32).eps)  # of the lengths' product: what a sum of singles may be off


class Found(NamedTuple):
    """The best people of each query, best first: ``people`` [M, k] rows of the gallery, ``scores`` [M, k]."""

    people: Ints
    scores: Floats


class Search:
    """A gallery in memory, as float32 rows of the back end's space (1 GB for a million of 256 numbers).

    With ``indexed`` it is also put into a library's index (see index.py): a query then finds its
    candidates there, and their scores are computed exactly.
    """

    def __init__(self, gallery: Gallery, *, indexed: bool = False) -> None:
        self.gallery = gallery
        self._blocks: list[Singles] = []
        self._index = None
        self._take(0)
        if indexed:
            from .index import Index

            self._index = Index(self._blocks)

    def __len__(self) -> int:
        return sum(len(block) for block in self._blocks)

    def refresh(self) -> int:
        """Take in who was enrolled since, here and in the index; nobody else is computed again."""
        self.gallery.refresh()
        return self._take(len(self))

    def _take(self, first: int) -> int:
        added = 0
        for vectors in self.gallery.vectors(first):
            begin = first + added
            rows = self.gallery.space.people(vectors, self.gallery.examples[begin : begin + len(vectors)])
            if self._blocks and len(self._blocks[-1]) + len(rows) <= _BLOCK:
                self._blocks[-1] = np.concatenate([self._blocks[-1], rows])
            else:
                self._blocks.append(rows)
            if self._index is not None:
                self._index.add(rows)
            added += len(rows)
        return added

    def find(self, x: ArrayLike, top: int = 1) -> Found:
        """The ``top`` best people (fewer in a smaller gallery) for each x-vector of ``x`` [M, D].

        Scores are those of the back end's trials, in double precision from single-precision vectors; equal
        scores go by order of enrolment. Without an index nobody better is left out, but for scores that
        differ by less than single precision can tell.
        """
        self._refuse_empty()
        if top < 1:
            raise InputError(f"the best {top} people: it must be one at least")
        queries = self.gallery.space.queries(x)
        top = min(top, len(self))
        wanted = min(top + _SPARE, len(self))
        people, scores = np.empty((len(queries), top), np.int64), np.empty((len(queries), top))
        for begin in range(0, len(queries), _TOGETHER):
            part = queries[begin : begin + _TOGETHER]
            single = part.astype(np.float32)
            nearest = (
                exact(self._blocks, single, wanted)
                if self._index is None
                else self._index.find(single, wanted)
            )
            for row, query in enumerate(part):
                candidates = np.sort(nearest[row][nearest[row] >= 0])
                rows = self._rows(candidates)
                if len(rows) > wanted:  # an index gives more, coarsely ranked
                    keep = np.sort(_largest((rows @ single[row])[None], wanted)[0])
                    candidates, rows = candidates[keep], rows[keep]
                # Summed in one fixed order: a score does not depend on its neighbours.
                exactly = (rows * query).sum(axis=1)
                order = np.argsort(-exactly, kind="stable")[:top]
                people[begin + row], scores[begin + row] = candidates[order], exactly[order]
        return Found(people, scores)

    def _rows(self, people: Ints) -> Singles:
        # ``people`` in ascending order.
        starts = np.cumsum([0, *(len(block) for block in self._blocks)])
        cuts = np.searchsorted(people, starts)
        parts = zip(self._blocks, starts, cuts, cuts[1:], strict=False)
        taken = [block[people[one:two] - start] for block, start, one, two in parts if two > one]
        return np.concatenate(taken)

    def scores(self, x: ArrayLike) -> Iterator[tuple[int, Singles]]:
        """Scores of each x-vector of ``x`` [M, D] with everybody, in single precision.

        (number of the first x-vector, [m, N]) at a time.
        """
        self._refuse_empty()
        yield from self._scores(self.gallery.space.queries(x))

    def _scores(self, queries: Floats) -> Iterator[tuple[int, Singles]]:
        together = max(1, min(len(queries), _SCORES // len(self)))
        for begin in range(0, len(queries), together):
            part = queries[begin : begin + together].astype(np.float32)
            yield begin, np.concatenate([part @ block.T for block in self._blocks], axis=1)

    def rank(self, x: ArrayLike, person: ArrayLike) -> tuple[Floats, Ints]:
        """Where one ``person`` [M] (a row of the gallery) stands for each x-vector of ``x`` [M, D].

        Returns its score, which is the one that ``find`` gives, and 1 + how many others score as high or
        higher, [M] each. Single precision decides only where it can: who is near is scored again.
        """
        self._refuse_empty()
        queries, own = self.gallery.space.queries(x), np.asarray(person, np.int64)
        longest = max(float(np.linalg.norm(block, axis=1).max()) for block in self._blocks)
        score, rank = np.empty(len(queries)), np.empty(len(queries), np.int64)
        for begin, scores in self._scores(queries):
            for row, single in enumerate(scores, begin):
                query = queries[row]
                mine = float((self._rows(own[row : row + 1]) * query).sum(axis=1)[0])
                doubt = _DOUBT * longest * float(np.linalg.norm(query))
                near = np.flatnonzero(np.abs(single - mine) <= doubt)
                again = (self._rows(near) * query).sum(axis=1) if len(near) else np.empty(0)
                score[row] = mine
                rank[row] = (single > mine + doubt).sum() + (again >= mine).sum()
        return score, rank

    def _refuse_empty(self) -> None:
        if not len(self):
            raise InputError("nobody is enrolled", where=self.gallery.folder, mend="enrol somebody first")


def exact(blocks: list[Singles], queries: Singles, count: int) -> Ints:
    """The ``count`` rows of largest product with each of ``queries`` [M, E], in no order, [M, count].

    ``blocks`` are [n, E] each, together at least ``count`` rows.
    """
    best = np.empty((len(queries), 0), np.float32)
    where = np.empty((len(queries), 0), np.int64)
    first = 0
    for block in blocks:
        products = queries @ block.T if len(queries) > 1 else (block @ queries[0])[None]
        near = _largest(products, count)
        best = np.concatenate([best, np.take_along_axis(products, near, axis=1)], axis=1)
        where = np.concatenate([where, near + first], axis=1)
        keep = _largest(best, count)
        best, where = np.take_along_axis(best, keep, axis=1), np.take_along_axis(where, keep, axis=1)
        first += len(block)
    return where


def _largest(scores: Singles, count: int) -> Ints:
    if scores.shape[1] <= count:
        return np.broadcast_to(np.arange(scores.shape[1]), scores.shape)
    return np.argpartition(scores, -count, axis=1)[:, -count:]
