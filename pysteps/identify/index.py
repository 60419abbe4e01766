"""Candidates through faiss: product quantisation, four bits for a group of numbers, scanned in registers.

M. Douze et al., "The Faiss library", 2024; F. Andre et al., "Quicker ADC", 2019. Every person is looked at,
but as a code of a byte for eight numbers (fewer in small spaces): 32 MB for a million people of 256. There is
no partition into cells: people lie far from each other, and a query's person is too often in another cell
than the query.

The index lives in memory and is never stored: a million people take seconds, and a foreign file would be
parsed by a library.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..formats.errors import InputError
from .space import Singles

SMALLEST = 1000  # people: sixteen centroids a group need examples
_TRAINED_ON = 65536
_CANDIDATES = 1024  # looked at exactly: codes rank coarsely
_GROUPS, _LARGEST = 64, 4  # as many groups at least, if there are numbers enough; numbers a group


class Index:
    """Codes of the gallery's rows; ``add`` takes in more without touching the others."""

    def __init__(self, blocks: list[Singles]) -> None:
        faiss = _faiss()
        people = sum(len(block) for block in blocks)
        if people < SMALLEST:
            mend = "search without an index: it takes no time"
            raise InputError(f"{people} people are too few for an index ({SMALLEST})", mend=mend)
        size = min(_LARGEST, max(1, blocks[0].shape[1] // _GROUPS))
        groups = -(-blocks[0].shape[1] // size)
        self._dim = groups * size
        self._index = faiss.IndexPQFastScan(self._dim, groups, 4, faiss.METRIC_INNER_PRODUCT)
        step = max(1, people // _TRAINED_ON)
        self._index.train(self._wide(np.concatenate([block[::step] for block in blocks])))
        for block in blocks:
            self.add(block)

    def _wide(self, rows: Singles) -> Singles:
        return np.ascontiguousarray(np.pad(rows, ((0, 0), (0, self._dim - rows.shape[1]))), np.float32)

    def add(self, rows: Singles) -> None:
        """Append ``rows`` [n, E]."""
        self._index.add(self._wide(rows))

    def find(self, queries: Singles, count: int) -> NDArray[np.int64]:
        """Candidates for each of ``queries`` [M, E], ``count`` or more, -1 where there are not so many."""
        return self._index.search(self._wide(queries), max(count * 2, _CANDIDATES))[1]


def _faiss() -> Any:
    try:
        import faiss
    except ImportError as error:
        raise InputError("an index needs faiss", mend="pip install -r requirements/identify.txt") from error
    return faiss
