"""X-vectors of a table as one matrix."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ..formats.arks import Archive
from ..formats.errors import InputError
from ..formats.tables import read_table


def read_vectors(scp: Path) -> tuple[list[str], np.ndarray]:
    """Keys in file order and their vectors, float32 [N, D]. InputError if they differ in size."""
    table = read_table(scp)
    with Archive() as archive:
        vectors = [archive.array(entry, key) for key, entry in table.items()]
    if not vectors:
        raise InputError("no vectors", where=scp, mend="redo stage extract")
    if len({vector.shape for vector in vectors}) != 1 or vectors[0].ndim != 1:
        raise InputError("vectors of several sizes", where=scp, mend="redo stage extract")
    return list(table), np.asarray(vectors, np.float32)
