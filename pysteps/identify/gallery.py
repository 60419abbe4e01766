"""Enrolled people in files: one more person costs one line and one vector, nobody else is touched.

A gallery is a folder:

- backend/: its own copy of the back end, so that it can be carried elsewhere whole;
- xvector.ark: a Kaldi archive of float vectors, person -> mean of the utterances through the transforms;
- spk2utt: a Kaldi table, person -> the utterances enrolled, in the archive's order;
- gallery.json: how many people and how many bytes of the two files above count.

The two files are only ever appended to, and gallery.json is replaced last. So whoever enrols and is killed
leaves at most bytes that do not count; the next enrolment cuts them off. Readers need no lock: what they
see is a whole gallery, before or after. Writers wait for each other at .lock.
"""

from __future__ import annotations

import fcntl
import json
import os
import struct
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..formats.atomic import sync_folder, write_text
from ..formats.errors import InputError
from ..formats.records import read_json
from .space import Singles, Space

VERSION = 1
RECORD, VECTORS, PEOPLE = "gallery.json", "xvector.ark", "spk2utt"
_MEND = "restore the folder from a copy, or enrol everybody again into a new one"
_AT_ONCE = 16384  # people


class Gallery:
    """The people of a folder as they stood when it was opened, or last ``refresh``-ed.

    ``names`` [N] in the order of enrolment, ``examples`` [N] the utterances behind each.
    """

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)
        mend = "enrol somebody with --backend first" if not (self.folder / RECORD).exists() else _MEND
        record = read_json(self.folder / RECORD, "the gallery", mend)
        self.space = Space.load(self.folder / "backend")
        self.names: list[str] = []
        self.examples: NDArray[np.int64] = np.empty(0, np.int64)
        self._table_end = 0
        self._starts: NDArray[np.int64] = np.zeros(1, np.int64)
        if not isinstance(record, dict) or record.get("version") != VERSION:
            raise InputError(f"no gallery of version {VERSION}", where=self.folder / RECORD, mend=_MEND)
        if record.get("backend") != self.space.fingerprint():
            raise InputError("backend/ is not what people were enrolled with", where=folder, mend=_MEND)
        self.refresh()

    @staticmethod
    def create(folder: str | Path, space: Space) -> Gallery:
        """A new gallery without people; a folder that already is one is an InputError."""
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        with _locked(folder):
            if (folder / RECORD).exists():
                raise InputError("there is a gallery already", where=folder, mend="enrol into it")
            space.save(folder / "backend")
            for name in (VECTORS, PEOPLE):
                (folder / name).touch()
            _commit(folder, space.fingerprint(), 0, 0, {VECTORS: 0, PEOPLE: 0})
        return Gallery(folder)

    @staticmethod
    def begin(
        folder: str | Path,
        space: Space,
        spk2utt: Mapping[str, Sequence[str]],
        utts: Sequence[str],
        x: ArrayLike,
    ) -> int:
        """A new gallery with its first people (see ``enrol``): whole, or nothing is left behind."""
        folder = Path(folder)
        with (
            _parents(folder),
            TemporaryDirectory(prefix=f".{folder.name}.part.", dir=folder.parent) as beside,
        ):
            part = Path(beside) / folder.name
            people = Gallery.create(part, space).enrol(spk2utt, utts, x)
            try:
                part.rename(folder)  # over an empty folder too
            except OSError as error:
                mend = "name another folder, or enrol again if it has just become a gallery"
                raise InputError(f"there is something: {error.strerror}", where=folder, mend=mend) from error
        sync_folder(folder.parent)
        return people

    def __len__(self) -> int:
        return len(self.names)

    def refresh(self) -> int:
        """Take in who was enrolled since; returns how many."""
        record = read_json(self.folder / RECORD, "the gallery", _MEND)
        try:
            people, self.dim = int(record["people"]), int(record["dim"])
            ends = {name: int(record["bytes"][name]) for name in (VECTORS, PEOPLE)}
        except (KeyError, TypeError, ValueError) as error:
            raise InputError(f"damaged: {error}", where=self.folder / RECORD, mend=_MEND) from error
        before = len(self)
        with open(self.folder / PEOPLE, "rb") as handle:
            handle.seek(self._table_end)
            lines = self._lines(handle.read(ends[PEOPLE] - self._table_end))
        words = [line.split(" ") for line in lines]
        names = [one[0] for one in words]
        rest = len(_head(self.dim)) + 4 * self.dim
        sizes = [len(name.encode()) + rest for name in names]
        starts = self._starts[-1] + np.cumsum([0, *sizes])
        if before + len(names) != people or starts[-1] != ends[VECTORS]:
            raise InputError(f"not the {people} people of {RECORD}", where=self.folder / PEOPLE, mend=_MEND)
        self.names += names
        self.examples = np.append(self.examples, [len(one) - 1 for one in words]).astype(np.int64)
        self._starts = np.append(self._starts[:-1], starts)
        self._table_end = ends[PEOPLE]
        return len(names)

    def utterances(self) -> dict[str, str]:
        """Every enrolled utterance and its person."""
        with open(self.folder / PEOPLE, "rb") as handle:
            lines = self._lines(handle.read(self._table_end))
        return {utt: person for line in lines for person, *utts in [line.split(" ")] for utt in utts}

    def _lines(self, table: bytes) -> list[str]:
        try:
            return table.decode("utf-8").removesuffix("\n").split("\n") if table else []
        except UnicodeDecodeError as error:
            raise InputError("not UTF-8", where=self.folder / PEOPLE, mend=_MEND) from error

    def vectors(self, first: int = 0) -> Iterator[Singles]:
        """Vectors of people ``first``... in order, [n, d] at a time; a damaged archive is an InputError."""
        path = self.folder / VECTORS
        head = _head(self.dim)
        with open(path, "rb") as handle:
            for begin in range(first, len(self), _AT_ONCE):
                end = min(begin + _AT_ONCE, len(self))
                handle.seek(self._starts[begin])
                data = handle.read(self._starts[end] - self._starts[begin])
                places = (self._starts[begin:end] - self._starts[begin]).tolist()
                out = np.empty((end - begin, self.dim), np.float32)
                for row, (name, at) in enumerate(zip(self.names[begin:end], places, strict=True)):
                    key = name.encode() + head
                    stop = at + len(key) + 4 * self.dim
                    if data[at : at + len(key)] != key or stop > len(data):
                        raise InputError(f"not the vector of {name} at its place", where=path, mend=_MEND)
                    out[row] = np.frombuffer(data, "<f4", self.dim, at + len(key))
                if not np.isfinite(out).all():
                    raise InputError("values that are not finite", where=path, mend=_MEND)
                yield out

    def enrol(self, spk2utt: Mapping[str, Sequence[str]], utts: Sequence[str], x: ArrayLike) -> int:
        """Add people: a person's x-vectors are averaged, then go through the transforms. All or nobody.

        ``x`` [n, D] are the x-vectors of ``utts`` [n]. A person or an utterance that is there already, a
        name with a space, an utterance without a vector and a person without an utterance are an
        InputError. Returns how many people the gallery has now. Cost: reading the names, writing the new.
        """
        vectors = np.asarray(x)
        if vectors.ndim != 2 or len(vectors) != len(utts):
            raise InputError(f"x-vectors {vectors.shape} for {len(utts)} utterances")
        rows = {utt: row for row, utt in enumerate(utts)}
        with _locked(self.folder):
            self.refresh()
            self._check(spk2utt, rows)
            if not spk2utt:
                return len(self)
            self._append(spk2utt, rows, vectors)
        self.refresh()
        return len(self)

    def _check(self, spk2utt: Mapping[str, Sequence[str]], rows: Mapping[str, int]) -> None:
        there, seen = set(self.names), self.utterances()
        for person, members in spk2utt.items():
            if not members:
                raise InputError(f"no utterance of {person}", mend="leave the person out")
            if person in there:
                mend = "each person is enrolled once: take a new name"
                raise InputError(f"{person} is enrolled already", where=self.folder, mend=mend)
            for word in (person, *members):
                if not word or word.split() != [word]:
                    raise InputError(f"{word!r} is no name: it must be one word", mend="rename it")
            for utt in members:
                if utt in seen:
                    said, mend = f"enrolled already, for {seen[utt]}", "enrol an utterance once"
                    raise InputError(said, where=self.folder, utt=utt, mend=mend)
                if utt not in rows:
                    raise InputError(f"no x-vector for {person}", utt=utt, mend="extract it, or leave it out")
                seen[utt] = person

    def _append(self, spk2utt: Mapping[str, Sequence[str]], rows: Mapping[str, int], x: np.ndarray) -> None:
        ends = {VECTORS: int(self._starts[-1]), PEOPLE: self._table_end}
        people, dim = list(spk2utt), self.dim
        with open(self.folder / VECTORS, "r+b") as ark, open(self.folder / PEOPLE, "r+b") as table:
            for handle in (ark, table):
                end = ends[VECTORS if handle is ark else PEOPLE]
                if handle.seek(0, os.SEEK_END) < end:
                    raise InputError("shorter than it was", where=handle.name, mend=_MEND)
                handle.truncate(end)  # what a killed enrolment left
                handle.seek(end)
            for begin in range(0, len(people), _AT_ONCE):
                part = people[begin : begin + _AT_ONCE]
                means = _means([[rows[utt] for utt in spk2utt[one]] for one in part], x)
                bad = np.flatnonzero(~np.isfinite(means).all(axis=1))
                if len(bad):
                    raise InputError(f"an x-vector of {part[bad[0]]} is not finite", mend="extract it again")
                embedded = self.space.embed(means)
                if len(self) and embedded.shape[1] != dim:
                    said = f"vectors of {embedded.shape[1]} dimensions in a gallery of {dim}"
                    raise InputError(said, where=self.folder)
                dim = embedded.shape[1]
                head = _head(dim)
                ark.writelines(
                    one.encode() + head + row.tobytes() for one, row in zip(part, embedded, strict=True)
                )
                table.write("".join(f"{one} {' '.join(spk2utt[one])}\n" for one in part).encode())
            for handle in (ark, table):
                handle.flush()
                os.fsync(handle.fileno())
            ends = {VECTORS: ark.tell(), PEOPLE: table.tell()}
        sync_folder(self.folder)
        _commit(self.folder, self.space.fingerprint(), len(self) + len(people), dim, ends)


def _head(dim: int) -> bytes:
    # What stands between a key and its float32 numbers in a Kaldi archive of vectors.
    return b" \0BFV \4" + struct.pack("<i", dim)


def _means(members: list[list[int]], x: np.ndarray) -> NDArray[np.float64]:
    counts = np.array([len(rows) for rows in members])
    taken = x[np.concatenate(members)].astype(np.float64)
    return np.add.reduceat(taken, np.cumsum(counts) - counts, axis=0) / counts[:, None]


def _commit(folder: Path, backend: str, people: int, dim: int, ends: Mapping[str, int]) -> None:
    record = {"version": VERSION, "backend": backend, "people": people, "dim": dim, "bytes": dict(ends)}
    write_text(folder / RECORD, json.dumps(record, indent=1) + "\n")


@contextmanager
def _parents(folder: Path) -> Iterator[None]:
    # The folders above, taken away again where they were made for nothing.
    missing = [one for one in folder.parents if not one.exists()]
    folder.parent.mkdir(parents=True, exist_ok=True)
    try:
        yield
    except BaseException:
        for one in missing:
            with suppress(OSError):  # somebody else uses it already
                one.rmdir()
        raise


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    # The kernel drops the lock of a killed process; the file itself stays and means nothing.
    if not folder.is_dir():
        raise InputError("no such gallery", where=folder)
    with open(folder / ".lock", "w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
