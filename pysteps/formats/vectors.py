"""Many Kaldi vectors as one matrix: 150,000 of them in well under a second."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from .arks import Archive, split_entry
from .checkout import located
from .errors import InputError

_MEND = "redo the extraction that wrote it"
_RELATIVE = "a relative path counts from the folder that the command is started in, not from the scp's"


def read_rows(table: Mapping[str, str], where: object) -> NDArray[np.float32]:
    """The vectors of a table {key: entry} as float32 [keys, D], in its order; ``where``: the table's file.

    InputError for no vectors, vectors of several sizes, numbers that are not finite, a missing archive, and
    whatever Archive.array refuses.
    """
    if not table:
        raise InputError("no vectors", where=where, mend=_MEND)
    keys, entries = list(table), list(table.values())
    files = _places(keys, entries, where)
    with Archive() as archive:
        first = archive.array(entries[0], keys[0])
        if first.ndim != 1:
            raise InputError("matrices, not vectors", where=where, utt=keys[0], mend=_MEND)
        out = np.empty((len(table), len(first)), np.float32)
        left = np.ones(len(table), bool)
        for file, places in files.items():
            _straight(file, np.array(places, np.int64), out, left)
        for row in np.flatnonzero(left).tolist():
            vector = archive.array(entries[row], keys[row])
            if vector.shape != out.shape[1:]:
                said = f"a vector of shape {vector.shape} among those of {out.shape[1]}"
                raise InputError(said, where=where, utt=keys[row], mend=_MEND)
            out[row] = vector
    _check_finite(out, keys, where)
    return out


def _places(keys: list[str], entries: list[str], where: object) -> dict[str, list[tuple[int, int]]]:
    # {archive: [(row, offset)]}; InputError for an archive that is not there.
    files: dict[str, list[tuple[int, int]]] = {}
    for row, entry in enumerate(entries):
        file, colon, offset = entry.rpartition(":")
        if not (colon and offset.isascii() and offset.isdigit()):
            if entry.startswith("["):
                said = "numbers where a file:offset should stand: a text archive, not its table"
                mend = "Kaldi's copy-vector ark,t:X.ark ark,scp:Y.ark,Y.scp writes one"
                raise InputError(said, where=where, utt=keys[row], mend=mend)
            file, place = split_entry(entry, where=where, utt=keys[row])
            offset = str(place or 0)
        files.setdefault(file, []).append((row, int(offset)))
    found: dict[str, list[tuple[int, int]]] = {}
    for file, places in files.items():
        there = located(file)
        if not Path(there).is_file():
            mend = _MEND if Path(file).is_absolute() else _RELATIVE
            if ":" not in entries[places[0][0]]:  # a list of people, say, in the table's place
                mend = f"a line of a table of x-vectors is KEY FILE:OFFSET: is this one? {mend}"
            raise InputError(f"there is no archive {file}", where=where, utt=keys[places[0][0]], mend=mend)
        found.setdefault(there, []).extend(places)
    return found


def _check_finite(rows: NDArray[np.float32], keys: list[str], where: object) -> None:
    # Both ends are NaN where there is one: no table of truths as long as the vectors.
    if rows.size and not (np.isfinite(rows.min()) and np.isfinite(rows.max())):
        bad = np.flatnonzero(~np.isfinite(rows).all(axis=1))
        said = f"{len(bad)} vectors have numbers that are not finite, the first here"
        raise InputError(said, where=where, utt=keys[int(bad[0])], mend="extract it again, or leave it out")


def _straight(
    file: str, places: NDArray[np.int64], out: NDArray[np.float32], left: NDArray[np.bool_]
) -> None:
    # Rows that are float32 vectors of the right size, copied from the mapped file; the others stay ``left``.
    head = b"\0BFV \4" + out.shape[1].to_bytes(4, "little")
    size = out.shape[1] * 4
    path = Path(file)
    if not size or not path.is_file() or path.stat().st_size < len(head) + size:
        return
    data = np.memmap(path, np.uint8, "r")
    fits = places[places[:, 1] <= len(data) - len(head) - size]
    heads = np.ndarray(len(data) - len(head) + 1, f"S{len(head)}", data, strides=(1,))
    fits = fits[heads[fits[:, 1]] == head]
    vectors = np.ndarray(len(data) - size + 1, f"V{size}", data, strides=(1,))
    for begin in range(0, len(fits), 4096):
        some = fits[begin : begin + 4096]
        out[some[:, 0]] = vectors[some[:, 1] + len(head)].view("<f4").reshape(len(some), -1)
    left[fits[:, 0]] = False
