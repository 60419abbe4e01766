"""X-vectors of a table as one matrix, and a set's sides of trials: utterances, and models of several."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..formats.errors import InputError
from ..formats.tables import read_table
from ..formats.vectors import read_rows


def read_vectors(scp: Path) -> tuple[list[str], NDArray[np.float32]]:
    """Keys in file order and their vectors, float32 [N, D] (formats.vectors.read_rows)."""
    table = read_table(scp)
    return list(table), read_rows(table, scp)


@dataclass(frozen=True)
class Labelled:
    """``utterances`` [N], their ``vectors`` [N, D] and ``speakers`` [N].

    ``missing``: how many utterances of the table of speakers have no vector.
    """

    utterances: list[str]
    vectors: NDArray[Any]
    speakers: list[str]
    missing: int = 0


def read_labelled(scp: Path, utt2spk: Path) -> Labelled:
    """The vectors of a table and their speakers; one without a speaker is an InputError.

    Either table may be a pipe: it is read once.
    """
    return labelled(scp, utt2spk, read_table(utt2spk))


def labelled(scp: Path, utt2spk: Path, table: Mapping[str, str]) -> Labelled:
    """``read_labelled`` of a table of speakers that was read from ``utt2spk`` before."""
    entries = read_table(scp)
    if _of_vectors(table) and not _of_vectors(entries):
        said = f"a table of x-vectors, where utt2spk should stand; {scp} is none"
        raise InputError(said, where=utt2spk, mend="let the two change places")
    utts = list(entries)
    speakers = _speakers(utts, scp, utt2spk, table)
    return Labelled(utts, read_rows(entries, scp), speakers, len(table) - len(utts))


def speakers_of(utts: Collection[str], scp: Path, utt2spk: Path) -> list[str]:
    """The speakers of ``utts``, which are those of ``scp``, in their order."""
    return _speakers(utts, scp, utt2spk, read_table(utt2spk))


def _of_vectors(table: Mapping[str, str]) -> bool:
    # Whether the table's first entry is file:offset.
    _, colon, offset = next(iter(table.values()), "").rpartition(":")
    return bool(colon) and offset.isdigit()


def _speakers(utts: Collection[str], scp: Path, utt2spk: Path, table: Mapping[str, str]) -> list[str]:
    lost = [utt for utt in utts if utt not in table]
    if lost:
        mend = "complete it, or take the utt2spk of that set"
        if any(lost[0] in members.split() for members in table.values()):
            mend = "this is a spk2utt: give the utt2spk beside it, whose lines are UTTERANCE SPEAKER"
        said = f"{len(lost)} of {len(utts)} x-vectors of {scp} have no speaker here, the first: {lost[0]}"
        raise InputError(said, where=utt2spk, mend=mend)
    return [table[utt] for utt in utts]


@dataclass(frozen=True)
class Sides:
    """What trials may name: ``rows`` {id: row of ``vectors`` [n, D]}, its ``examples`` [n] utterances.

    The first ``utterances`` rows are utterances, the others models; ``members`` [n] are the utterances
    behind each. ``speakers`` {id: speaker} knows the
    ``dropped`` ids too, which have no row.
    """

    rows: dict[str, int]
    vectors: NDArray[np.float64]
    examples: NDArray[np.int64]
    members: list[list[str]]
    utterances: int
    speakers: dict[str, str]
    dropped: set[str]

    @property
    def population(self) -> NDArray[np.float64]:
        """The utterances' vectors alone."""
        return self.vectors[: self.utterances]


def sides(
    keys: list[str],
    vectors: np.ndarray,
    utt2spk: Mapping[str, str],
    models: Mapping[str, str],
    dropped: Collection[str] = (),
) -> Sides:
    """Sides from ``vectors`` [N, D] of utterances ``keys`` and ``models`` {id: its utterances}.

    A model's vector is the mean of its utterances' (those that have one); a model of ``dropped``
    utterances alone is dropped.
    """
    speakers, lost = dict(utt2spk), set(dropped) - set(keys)
    row = {key: number for number, key in enumerate(keys)}
    names, behind, rows = list(keys), [[key] for key in keys], []
    for model, members in models.items():
        present = [utt for utt in members.split() if utt in row]
        speakers[model] = speakers[members.split()[0]]
        if not present:
            lost.add(model)
            continue
        names.append(model)
        behind.append(present)
        rows.append(vectors[[row[utt] for utt in present]].mean(0, keepdims=True, dtype=np.float64))
    place = {name: number for number, name in enumerate(names)}
    examples = np.array([len(part) for part in behind], dtype=np.int64)
    whole = np.concatenate([vectors, *rows], dtype=np.float64)
    return Sides(place, whole, examples, behind, len(keys), speakers, lost)
