"""A cohort on disk: cohort.ark, cohort.scp and cohort2num_utts, to be moved and copied with their folder."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ..formats.arks import Archive, ArchiveWriter, split_entry
from ..formats.atomic import replacing
from ..formats.errors import InputError
from ..formats.tables import read_table, write_table
from .scorenorm import Cohort
from .stats import Floats

FILES = ("cohort.scp", "cohort.ark", "cohort2num_utts")
_MEND = "redo stage backend, or copy the folder whole"


def save_cohort(cohort: Cohort, folder: Path) -> None:
    """Write double vectors, and a table whose entries count from ``folder`` (Kaldi reads it from there)."""
    with replacing(folder / "cohort.ark", "wb") as handle:
        writer = ArchiveWriter(handle, "cohort.ark")
        for key, vector in zip(cohort.keys, cohort.vectors, strict=True):
            writer.array(key, vector)
    counts = map(str, cohort.examples.tolist())
    write_table(folder / "cohort2num_utts", dict(zip(cohort.keys, counts, strict=True)))
    write_table(folder / "cohort.scp", writer.scp)


def load_cohort(folder: Path) -> Cohort:
    """Read what ``save_cohort`` wrote: the archive beside the table, wherever it was written.

    InputError for no vectors, vectors of several sizes or with numbers that are not finite, and for a
    vector of fewer utterances than one.
    """
    scp, counts = folder / "cohort.scp", folder / "cohort2num_utts"
    table, utterances = read_table(scp), read_table(counts)
    if not table:
        raise InputError("no vectors", where=scp, mend=_MEND)
    vectors = _vectors(table, scp)
    for key in table:
        number = utterances.get(key, "")
        if not (number.isascii() and number.isdigit() and int(number)):
            said = f"{key} has {number or 'no number of'} utterances, and must have one at least"
            raise InputError(said, where=counts, mend=_MEND)
    return Cohort(list(table), vectors, np.array([int(utterances[key]) for key in table], dtype=np.int64))


def _vectors(table: dict[str, str], scp: Path) -> Floats:
    rows: list[np.ndarray] = []
    with Archive() as archive:
        for key, entry in table.items():
            name, offset = split_entry(entry, where=scp, utt=key)
            beside = scp.with_name(Path(name).name)
            if not beside.is_file():
                raise InputError(f"{beside.name} must lie beside it", where=scp, utt=key, mend=_MEND)
            row = archive.array(f"{beside}:{offset or 0}", key)
            if row.ndim != 1 or not row.size or row.shape != (rows[0].shape if rows else row.shape):
                said = f"shape {row.shape} where a vector{f' of {len(rows[0])}' if rows else ''} should stand"
                raise InputError(said, where=scp, utt=key, mend=_MEND)
            if not np.isfinite(row).all():
                raise InputError("its vector is not finite", where=scp, utt=key, mend=_MEND)
            rows.append(row)
    return np.array(rows, dtype=np.float64)
