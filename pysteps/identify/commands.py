"""What the command line does: enrol, search, evaluate, over tables and archives."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..backend.vectors import read_vectors
from ..formats.errors import InputError
from ..formats.tables import read_table
from .gallery import RECORD, Gallery
from .rates import NO_RANK, Probes
from .search import Search
from .space import Space

UNKNOWN = "<unknown>"


def enrol(
    gallery: Path, xvectors: Path, backend: Path | None, spk2utt: Path | None, dropped: Path | None
) -> tuple[int, int, list[str]]:
    """Enrol the people of ``spk2utt`` (Kaldi's, or a set's enrol table; without it every key is a person).

    The gallery is made with ``backend`` if there is none, and only if all that is enrolled is right; a
    ``backend`` that is not the gallery's is refused.
    Utterances that stand in the table ``dropped`` are left out; people of them alone are not enrolled.
    Returns (people enrolled now, people in the gallery, people left out).
    """
    utts, vectors = read_vectors(xvectors)
    table = _people(spk2utt) if spk2utt else {utt: [utt] for utt in utts}
    lost = set(read_table(dropped)) - set(utts) if dropped else set()
    kept = {person: [utt for utt in members if utt not in lost] for person, members in table.items()}
    left_out = [person for person, members in kept.items() if not members]
    for person in left_out:
        del kept[person]
    if spk2utt:
        _check_people(kept, set(utts), xvectors, spk2utt)
    if (gallery / RECORD).exists() or backend is None:
        there = _opened(gallery, backend)
        _check_fit(there.space, vectors, xvectors, there.folder, there.dim if len(there) else None)
        people = there.enrol(kept, utts, vectors)
    else:
        space = Space.load(backend)
        _check_fit(space, vectors, xvectors, backend)
        people = Gallery.begin(gallery, space, kept, utts, vectors)
    return len(kept), people, left_out


def _people(path: Path) -> dict[str, list[str]]:
    return {person: members.split() for person, members in read_table(path).items()}


def _check_people(people: Mapping[str, Sequence[str]], utts: Collection[str], scp: Path, where: Path) -> None:
    # Every utterance has its x-vector; a table the other way round is told by its first line.
    for person, members in people.items():
        for utt in members:
            if utt in utts:
                continue
            if person in utts and len(members) == 1:
                said = f"an utt2spk where a spk2utt should stand: {person} is an utterance of {scp}"
                mend = "give the set's spk2utt: a line is PERSON UTTERANCE ..."
                raise InputError(said, where=where, mend=mend)
            mend = "extract it, take it out, or name the set's dropped file with --dropped"
            raise InputError(f"no x-vector in {scp}, for {person}", where=where, utt=utt, mend=mend)


def _check_fit(
    space: Space, x: NDArray[np.float32], xvectors: Path, made: Path, dim: int | None = None
) -> None:
    # One x-vector stands for all, which have one size; ``dim``: that of the people in the gallery.
    mend = f"take x-vectors of the extractor that {made} was made with"
    try:
        found = space.embed(x[:1]).shape[1]
    except InputError as error:
        said = f"x-vectors of {x.shape[1]} dimensions are not for {made}: {error}"
        raise InputError(said, where=xvectors, mend=mend) from error
    if dim is not None and found != dim:
        said = f"x-vectors of {found} dimensions in a gallery of {dim}"
        raise InputError(said, where=xvectors, mend=mend)


def _opened(folder: Path, backend: Path | None) -> Gallery:
    found = Gallery(folder)
    if backend is not None and Space.load(backend).fingerprint() != found.space.fingerprint():
        mend = "leave --backend out, or enrol into another gallery"
        raise InputError("the gallery was made with another back end", where=backend, mend=mend)
    return found


def search(
    gallery: Path, xvectors: Path, *, top: int = 5, threshold: float | None = None, indexed: bool = False
) -> Iterator[str]:
    """``utterance person score`` of the ``top`` best, best first.

    With a ``threshold`` only people at it or above; if there is none, ``utterance <unknown> score`` with the
    best score.
    """
    people = Gallery(gallery)
    utts, vectors = read_vectors(xvectors)
    _check_fit(people.space, vectors, xvectors, gallery, people.dim if len(people) else None)
    found = Search(people, indexed=indexed).find(vectors, top)
    for utt, rows, scores in zip(utts, found.people.tolist(), found.scores.tolist(), strict=True):
        pairs = [(people.names[row], score) for row, score in zip(rows, scores, strict=True)]
        if threshold is not None:
            pairs = [pair for pair in pairs if pair[1] >= threshold] or [(UNKNOWN, scores[0])]
        yield from (f"{utt} {person} {score:.8g}" for person, score in pairs)


def probe(gallery: Path, xvectors: Path, utt2spk: Path, dropped: Path | None = None) -> Probes:
    """Compare the utterances of ``utt2spk`` with everybody in the gallery.

    A speaker who is enrolled is looked for (closed set), one who is not is a stranger (open set). An
    utterance that was enrolled is refused: it would find itself. One without an x-vector is refused unless
    it stands in the table ``dropped``; then it counts as wrong.
    """
    people = Gallery(gallery)
    keys, vectors = read_vectors(xvectors)
    speaker_of, row_of = read_table(utt2spk), {key: row for row, key in enumerate(keys)}
    lost = set(read_table(dropped)) - set(keys) if dropped else set()
    _check_probes(speaker_of, row_of, lost, people, utt2spk)
    _check_fit(people.space, vectors, xvectors, gallery, people.dim if len(people) else None)
    place = {name: row for row, name in enumerate(people.names)}
    utts = [utt for utt in speaker_of if utt not in lost]
    own_row = np.array([place.get(speaker_of[utt], -1) for utt in utts], np.int64)
    known, tested = own_row >= 0, vectors[[row_of[utt] for utt in utts]]
    search, own, rank, best = Search(people), np.empty(0), np.empty(0, np.int64), np.empty(0)
    if known.any():
        own, rank = search.rank(tested[known], own_row[known])
    if not known.all():
        best = search.find(tested[~known]).scores[:, 0]  # the very scores that search compares
    speakers = np.array([speaker_of[utt] for utt in utts])
    gone = [speaker_of[utt] for utt in speaker_of if utt in lost]
    gone_known = [speaker for speaker in gone if speaker in place]
    gone_strange = [speaker for speaker in gone if speaker not in place]
    return Probes(
        np.append(own, np.full(len(gone_known), -np.inf)),
        np.append(rank, np.full(len(gone_known), NO_RANK)).astype(np.int64),
        [*speakers[known].tolist(), *gone_known],
        np.append(best, np.full(len(gone_strange), np.inf)),
        [*speakers[~known].tolist(), *gone_strange],
    )


def _check_probes(
    speaker_of: Mapping[str, str], row_of: Mapping[str, int], lost: set[str], people: Gallery, where: Path
) -> None:
    enrolled = people.utterances()
    for utt in speaker_of:
        if utt in enrolled:
            mend = "leave it out of the probes"
            raise InputError(f"was enrolled, for {enrolled[utt]}", where=where, utt=utt, mend=mend)
        if utt not in row_of and utt not in lost:
            if speaker_of[utt].split()[0] in row_of:
                said = f"a spk2utt where an utt2spk should stand: {utt} is a person"
                mend = "give the set's utt2spk: a line is UTTERANCE PERSON"
                raise InputError(said, where=where, mend=mend)
            mend = "extract it, leave it out, or name the set's dropped file with --dropped"
            raise InputError("no x-vector", where=where, utt=utt, mend=mend)
    if not any(utt in row_of for utt in speaker_of):
        raise InputError("no probe has an x-vector", where=where)
