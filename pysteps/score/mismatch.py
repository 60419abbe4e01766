"""Why a score file is not one of a list of trials: other pairs, other words for their ids, a list itself."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import numpy as np
from numpy.typing import NDArray

from ..formats.errors import InputError
from .columns import Block, Names, read_blocks
from .contrary import keys_of
from .hints import plain_id

if TYPE_CHECKING:
    from .trials import Trials


def is_labels(block: Block) -> bool:
    """Whether each line begins with the word 1 or 0, as a VoxCeleb list of trials has it."""
    return bool((block.equals(0, b"1") | block.equals(0, b"0")).all())


def check_values(values: NDArray[np.float64], path: str | Path, listed: bool) -> None:
    """InputError for no scores, for one that is no number, and where all are a list's labels (``listed``)."""
    if not len(values):
        raise InputError("no scores", where=path)
    if listed:
        _refuse_list(path)
    bad = np.flatnonzero(np.isnan(values))
    if len(bad):
        raise InputError("a score that is not a number", where=path, line=int(bad[0]) + 1)


def _refuse_list(path: str | Path) -> NoReturn:
    said = "nothing but 1 and 0 in front: a list of trials where scores should stand"
    mend = "name the scores of its trials; hard decisions can be given as enrol test 1 and enrol test 0"
    raise InputError(said, where=path, mend=mend)


def refuse_others(
    trials: Trials, given: NDArray[np.int64], path: str | Path, unknown: Mapping[int, str]
) -> NoReturn:
    """InputError: what keeps the pairs ``given`` [lines] (keys_of) from being those of ``trials``.

    ``unknown``: lines and their ids where one of them is not among the trials'.
    """
    wanted = keys_of(trials, trials.enrol, trials.test)
    order = np.argsort(given, kind="stable")
    twice = order[1:][(given[order[1:]] == given[order[:-1]]) & (given[order[1:]] >= 0)]
    lost, extra = np.flatnonzero(~np.isin(wanted, given)), np.flatnonzero(~np.isin(given, wanted))
    said = []
    if len(lost):
        first = " ".join(trials.pair(int(lost[0])))
        said.append(f"{len(lost)} of {len(trials)} trials have no score, the first: {first}")
    for lines, what in ((extra, "are of no trial"), (twice, "are of a pair that has one already")):
        if len(lines):
            line = int(lines.min())
            one, two = divmod(int(given[line]), len(trials.test_ids))
            pair = unknown.get(line) or f"{trials.enrol_ids[one]} {trials.test_ids[two]}"
            said.append(f"{len(lines)} scores {what}, the first: {pair} (line {line + 1})")
    mends = [f"the trials are those of {trials.source}"]
    if len(extra):
        mends += _reasons(trials, path, wanted)
    raise InputError("; ".join(said), where=path, mend="; ".join(mends))


def _reasons(trials: Trials, path: str | Path, wanted: NDArray[np.int64]) -> list[str]:
    # What makes trials of all pairs among the file's first ones that are none.
    block = next(read_blocks(path), None) if Path(path).is_file() else None  # a pipe has been read
    if block is None:
        return []
    sides = trials.known()
    for column in (0, 1):
        straight, swapped = (
            keys_of(trials, *(side.codes(block, place) for side, place in zip(sides, places, strict=True)))
            for places in ((column, column + 1), (column + 1, column))
        )
        odd = ~np.isin(straight, wanted)
        if odd.any() and np.isin(swapped[odd], wanted).all():
            return ["there enrolment and test stand the other way round"]
        if found := _spelling(trials, block, column, sides, odd):
            return found
    return []


def _spelling(
    trials: Trials, block: Block, column: int, sides: tuple[Names, Names], odd: NDArray[np.bool_]
) -> list[str]:
    # Ids that would be known without a file's ending, or with hyphens for slashes.
    for place, (side, ids) in enumerate(zip(sides, (trials.enrol_ids, trials.test_ids), strict=True)):
        lost = np.flatnonzero(odd & (side.codes(block, column + place) < 0))
        known = {plain_id(one): one for one in ids}
        words = block.some(lost, column + place)
        if words and all(plain_id(word) in known for word in words):
            return [f"there {known[plain_id(words[0])]} is what {words[0]} is here: write both in one way"]
    return []
