"""What is learned on the development set: its trials, a calibration of their scores."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..formats.errors import InputError
from ..formats.pairs import contrary
from ..formats.rng import generator
from ..formats.tables import read_words
from .backend import Backend
from .calibration import Calibration, fit_logistic, fit_pav
from .stats import Floats
from .vectors import Sides

MOST = 1_000_000  # pairs of a kind: more do not sharpen two numbers
Pairs = NDArray[np.int64]
Truth = NDArray[np.bool_]


def dev_trials(lists: Iterable[Path], sides: Sides, seed: int = 0) -> tuple[Pairs, Truth]:
    """Pairs [N, 2] of rows of ``sides`` and whether each is of one speaker [N].

    All trials of ``lists`` together; without a list all pairs of utterances (a million of each kind drawn
    with ``seed`` where there are more). Trials of dropped ids are left out; a line that is no trial, or names
    an id without vector, is an InputError, and so is a pair that is there as target and as nontarget.
    """
    paths = list(lists)
    if not paths:
        utts = list(sides.rows)[: sides.utterances]
        return all_pairs([sides.speakers[utt] for utt in utts], seed)
    pairs, labels = [], []
    for path in paths:
        for number, words in read_words(path, 3):
            one, two, target = _trial(words, path, number)
            unknown = [name for name in (one, two) if name not in sides.rows and name not in sides.dropped]
            if unknown:
                raise InputError(f"{unknown[0]} has no vector", where=path, line=number)
            if one in sides.rows and two in sides.rows:
                pairs.append((sides.rows[one], sides.rows[two]))
                labels.append(target)
    found = np.array(pairs, dtype=np.int64).reshape(-1, 2), np.array(labels, dtype=bool)
    _refuse_contrary(*found, list(sides.rows), paths)
    return found


def _refuse_contrary(pairs: Pairs, is_target: Truth, names: Sequence[str], paths: Sequence[Path]) -> None:
    both = contrary(pairs[:, 0] * len(names) + pairs[:, 1], is_target)
    if len(both):
        one, two = (names[int(row)] for row in divmod(both[0], len(names)))
        said = f"{one} {two} is listed as target and as nontarget"
        raise InputError(said, where=", ".join(map(str, paths)), mend="keep the line that is true")


def _trial(words: Sequence[str], path: Path, line: int) -> tuple[str, str, bool]:
    first, second, third = words
    if third in ("target", "nontarget"):
        return first, second, third == "target"
    if first in ("0", "1"):
        return second, third, first == "1"
    raise InputError(
        f"{' '.join(words)!r} is no trial",
        where=path,
        line=line,
        mend="write enrol test target|nontarget, or 1|0 enrol test",
    )


def all_pairs(speakers: Sequence[str], seed: int = 0) -> tuple[Pairs, Truth]:
    """Pairs [N, 2] of rows, the lesser first, and whether each is of one speaker: first those that are.

    All there are of either kind, or MOST of them, drawn with ``seed``, any as likely as any other.
    """
    number = {name: index for index, name in enumerate(sorted(set(speakers)))}
    label = np.array([number[name] for name in speakers], dtype=np.int64)
    same, other = _pairs(label, seed, same=True), _pairs(label, seed, same=False)
    return np.concatenate([same, other]), np.repeat([True, False], [len(same), len(other)])


def _pairs(label: NDArray[np.int64], seed: int, *, same: bool) -> Pairs:
    # Pairs are numbered, and only those whose numbers are drawn are made. With rows in the order of their
    # speakers, row p of a speaker who begins at row b is in a pair with the b rows before it that are of
    # other speakers, and with p - b of its own.
    order = np.argsort(label, kind="stable")
    begin = np.searchsorted(label[order], label[order])
    first, count = (begin, np.arange(len(order)) - begin) if same else (np.zeros_like(begin), begin)
    ends = np.cumsum(count)
    numbers = _drawn(int(ends[-1]) if len(ends) else 0, generator(seed, "same" if same else "other", "dev"))
    place = np.searchsorted(ends, numbers, side="right")
    partner = first[place] + numbers - (ends[place] - count[place])
    return np.sort(np.stack([order[partner], order[place]], axis=1), axis=1)


def _drawn(total: int, random: np.random.Generator) -> NDArray[np.int64]:
    # MOST different numbers below ``total``, ascending, in memory that does not grow with ``total``.
    if total <= MOST:
        return np.arange(total)
    if total <= 2 * MOST:
        return np.sort(random.permutation(total)[:MOST])
    numbers = np.empty(0, np.int64)
    while True:  # the first MOST different ones of a long row of draws: once, mostly
        numbers = np.concatenate([numbers, random.integers(0, total, 2 * MOST)])
        found, at = np.unique(numbers, return_index=True)
        if len(found) >= MOST:
            return np.sort(numbers[np.sort(at)[:MOST]])


def one_kind(is_target: Truth) -> str:
    """``no`` or ``nothing but``: the pairs of one speaker among all [N]; empty where there are both kinds."""
    return "no" if not is_target.any() else "nothing but" if is_target.all() else ""


def calibrated(
    backend: Backend,
    name: str,
    kind: str,
    dev: Sides,
    trials: tuple[Pairs, Truth],
    *,
    of: str,
    quality: Callable[[Floats], Mapping[str, Floats]] | None = None,
) -> Backend:
    """``backend`` with a calibration (``kind``: logistic or pav) of its scores of ``trials`` of ``dev``.

    ``name`` and ``of``, the set, are for messages, which go to stderr. ``quality``: measures of the trials
    from the transformed vectors [n, d]. Trials of one kind alone give no calibration, and a message.
    """
    pairs, is_target = trials
    if which := one_kind(is_target):
        print(f"backend {name}: no calibration, {of} has {which} pairs of one speaker", file=sys.stderr)
        return backend
    rows = backend.transform(dev.vectors, dev.population)
    scores = backend.score_transformed(rows, rows, pairs, dev.examples, names=list(dev.rows))
    measures = {} if quality is None else quality(rows)
    try:
        learned: Calibration = (
            fit_pav(scores, is_target)
            if kind == "pav"
            else fit_logistic(scores, is_target, quality=measures, systems=[name])
        )
    except InputError as error:
        raise InputError(f"calibration of {name} on {of}: {error}") from error
    for note in learned.notes:
        print(f"backend {name}: calibration: {note}", file=sys.stderr)
    return backend.calibrated(learned)
