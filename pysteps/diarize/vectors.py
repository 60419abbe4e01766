"""X-vectors of windows, and what is done to them before they are compared."""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np

from ..formats.arks import Archive
from ..formats.errors import InputError
from ..formats.tables import read_table

Prepare = Callable[[np.ndarray], np.ndarray]
EXTRA = "pip install -r requirements/diarize.txt"


def read_index(path: str | Path) -> dict[str, str]:
    """Key to file:offset: an scp as it is, or the keys of a bare archive (.ark) of Kaldi vectors."""
    return _index_archive(Path(path)) if str(path).endswith(".ark") else read_table(path)


def _index_archive(path: Path) -> dict[str, str]:
    found: dict[str, str] = {}
    try:
        data = path.read_bytes()
    except OSError as error:
        raise InputError(f"cannot be read: {error.strerror}", where=path) from error
    at = 0
    while at < len(data):
        space = data.find(b" ", at)
        head = data[space + 1 : space + 11]
        if space < 0 or head[:5] not in (b"\0BFV ", b"\0BDV ") or head[5:6] != b"\4" or len(head) < 10:
            raise InputError(f"no Kaldi vector at byte {at}", where=path, mend="name an archive of x-vectors")
        try:
            key = data[at:space].decode()
        except UnicodeDecodeError as error:
            raise InputError(f"a key that is not UTF-8 at byte {at}", where=path) from error
        (size,) = struct.unpack("<i", head[6:])
        at = space + 11 + size * (4 if head[2:3] == b"F" else 8)
        if size < 0 or at > len(data):
            raise InputError("the archive ends early", where=path, utt=key, mend="extract it again")
        if key in found:
            raise InputError(f"{key} is there twice", where=path, mend="keep one of them")
        found[key] = f"{path}:{space + 1}"
    return found


def read_rows(index: Mapping[str, str], names: Sequence[str], where: object) -> np.ndarray:
    """X-vectors of ``names`` as float64 [N, D]; one that is missing, odd or not finite is an InputError."""
    missing = [name for name in names if name not in index]
    if missing:
        what = f"no x-vector for {len(missing)} windows, the first is {missing[0]}"
        raise InputError(what, where=where, mend="extract them, or take them out of the windows' list")
    with Archive() as archive:
        rows = [archive.array(index[name], name) for name in names]
    for name, row in zip(names, rows, strict=True):
        if row.ndim != 1 or row.shape != rows[0].shape:
            raise InputError(f"shape {row.shape} beside {rows[0].shape}", where=where, utt=name)
        if not np.isfinite(row).all():
            raise InputError("an x-vector that is not finite", where=where, utt=name, mend="extract it again")
    return np.array(rows, np.float64)


def load_transform(path: str | Path) -> Prepare:
    """What is done to x-vectors [N, D]: VBx's transform (a .h5 file) or the chain of a back end's folder.

    VBx: subtract mean1, unit length, LDA, subtract mean2, unit length. A folder is what stage backend
    wrote (chain.json and its Kaldi files).
    """
    if Path(path).is_dir():
        from ..backend.chain import Chain

        return Chain.load(path).apply
    first, lda, second = _read_h5(Path(path))

    def apply(x: np.ndarray) -> np.ndarray:
        if x.shape[1] != len(first):
            raise InputError(f"x-vectors of {x.shape[1]} dimensions, not {len(first)}", where=path)
        return unit(unit(x - first) @ lda - second)

    return apply


def unit(x: np.ndarray) -> np.ndarray:
    """Rows of ``x`` at length 1; a row of zeros stays one."""
    length = np.linalg.norm(x, axis=1, keepdims=True)
    return x / np.where(length > 0, length, 1.0)


def _read_h5(path: Path) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    try:
        import h5py
    except ImportError as error:
        raise InputError("HDF5 needs h5py", where=path, mend=EXTRA) from error
    if not path.is_file():
        raise InputError("no such transform", where=path, mend="a .h5 file of VBx, or a back end's folder")
    arrays = []
    try:
        with h5py.File(path, "r") as file:
            for name in ("mean1", "lda", "mean2"):
                # A link or a virtual data set could name any other file.
                data = file.get(name) if isinstance(file.get(name, getlink=True), h5py.HardLink) else None
                if not isinstance(data, h5py.Dataset) or data.is_virtual or data.external:
                    raise InputError(f"no data set {name}", where=path, mend="VBx's transform has one")
                arrays.append(np.asarray(data, np.float64))
    except OSError as error:
        raise InputError(f"not an HDF5 file: {error}", where=path) from error
    first, lda, second = arrays
    if lda.ndim != 2 or first.shape != lda.shape[:1] or second.shape != lda.shape[1:]:
        raise InputError(f"mean1 {first.shape}, lda {lda.shape}, mean2 {second.shape} disagree", where=path)
    if not all(np.isfinite(array).all() for array in arrays):
        raise InputError("values that are not finite", where=path)
    return first, lda, second
