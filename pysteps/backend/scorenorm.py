"""Score normalisation: a trial's score against what its two sides score with a cohort of other speakers.

z-norm uses the enrolment side, t-norm the test side, s-norm the mean of both (P. Kenny, "Bayesian speaker
verification with heavy-tailed priors", Odyssey 2010); as-norm is s-norm on each side's own ``top`` highest
cohort scores (S. Cumani et al., Interspeech 2011; "S-norm1" in P. Matejka et al., Interspeech 2017).

Cohort scores come from the back end that scores the trials, as blocks of a matrix: a function of a slice of
rows that gives their scores [rows, C]. ``cosine_block`` and ``plda_block`` make such functions.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..formats.errors import InputError
from ..formats.rng import generator
from .plda import Plda
from .ratio import enrolment, square_weights
from .stats import Floats, check_vectors

Block = Callable[[slice], NDArray[Any]]
Ints = NDArray[np.integer]
SIDES = {"z-norm": "enrol", "t-norm": "test", "s-norm": "both", "as-norm": "both"}
COHORTS = ("speakers", "utterances")
_ROWS = 1024  # of a block: 25 MB of float32 scores against 6,000 cohort vectors
_PAIRS = 1 << 20  # trials at a time
_LEAST = 1e-6  # a deviation below this share of the scores is float32's rounding


@dataclass(frozen=True)
class ScoreNorm:
    """The last link of a back end: ``as-norm 300 [cohort=speakers|utterances] [size=N]``.

    ``top``: cohort scores a side is normalised by, None for all; ``cohort``: speakers' means or single
    utterances; ``size``: how many of them are drawn, None for all.
    """

    kind: str
    top: int | None = None
    cohort: str = "speakers"
    size: int | None = None

    @classmethod
    def parse(cls, words: Sequence[str]) -> ScoreNorm:
        """From the link's words; a name, a word or a number that it does not know is an InputError."""
        kind = words[0] if words else ""
        if kind not in SIDES:
            raise InputError(f"unknown score normalisation {kind!r}: known are {', '.join(SIDES)}")
        given = dict(word.partition("=")[::2] if "=" in word else ("top", word) for word in words[1:])
        known = {"cohort", "size"} | ({"top"} if kind == "as-norm" else set())
        strange = sorted(set(given) - known)
        if strange or len(given) < len(words) - 1:
            names = ", ".join(sorted(known))
            raise InputError(f"{kind}: cannot read {' '.join(words[1:])!r}: known are {names}, once each")
        if kind == "as-norm" and "top" not in given:
            raise InputError("as-norm: no number of cohort scores", mend="say e.g. as-norm 300, or s-norm")
        cohort = given.get("cohort", "speakers")
        if cohort not in COHORTS:
            raise InputError(f"{kind}: unknown cohort={cohort}: known are {', '.join(COHORTS)}")
        return cls(kind, _number(kind, given, "top"), cohort, _number(kind, given, "size"))

    def __str__(self) -> str:
        words = [self.kind] + ([] if self.top is None else [str(self.top)]) + [f"cohort={self.cohort}"]
        return " ".join(words + ([] if self.size is None else [f"size={self.size}"]))


def _number(kind: str, given: Mapping[str, str], name: str) -> int | None:
    if name not in given:
        return None
    if not given[name].isdecimal() or int(given[name]) < 2:
        raise InputError(f"{kind}: {name} must be a whole number from 2, not {given[name]!r}")
    return int(given[name])


class Cohort(NamedTuple):
    """``keys`` [C], ``vectors`` [C, D] and ``examples`` [C], the utterances behind each vector."""

    keys: list[str]
    vectors: Floats
    examples: NDArray[np.int64]


def choose_cohort(
    vectors: ArrayLike,
    utterances: Sequence[str],
    speakers: Sequence[str],
    *,
    kind: str = "speakers",
    size: int | None = None,
    seed: int = 0,
) -> Cohort:
    """A cohort from ``vectors`` [N, D] (transformed already) of ``utterances`` [N] and ``speakers`` [N].

    ``kind`` "speakers" takes each speaker's mean, "utterances" the vectors as they are. ``size`` draws so
    many without replacement: which depends on the names and ``seed``, not on their order. Sorted by key.
    """
    array = check_vectors(vectors)
    if not (len(array) == len(utterances) == len(speakers)):
        raise InputError(f"{len(array)} vectors, {len(utterances)} utterances, {len(speakers)} speakers")
    if kind not in COHORTS:
        raise InputError(f"unknown cohort {kind!r}: known are {', '.join(COHORTS)}")
    labels = np.asarray(speakers if kind == "speakers" else utterances, dtype=object)
    keys = sorted(set(labels))
    if kind == "utterances" and len(keys) < len(labels):
        raise InputError(f"{len(labels) - len(keys)} utterances of the cohort stand there twice")
    if size is not None and size > len(keys):
        raise InputError(
            f"a cohort of {size} {kind}, but there are {len(keys)}", mend=f"say size={len(keys)} or less"
        )
    if size is not None:
        drawn = generator(seed, kind, "cohort").choice(len(keys), size, replace=False)
        keys = [keys[index] for index in np.sort(drawn)]
    row = {key: index for index, key in enumerate(keys)}
    place = np.array([row.get(label, -1) for label in labels])
    order = np.flatnonzero(place >= 0)
    order = order[np.argsort(place[order], kind="stable")]
    counts = np.bincount(place[order])
    starts = np.concatenate(([0], np.cumsum(counts)[:-1]))
    return Cohort(keys, np.add.reduceat(array[order], starts, axis=0) / counts[:, None], counts)


def refuse_evaluation_speakers(cohort: Iterable[str], evaluation: Mapping[str, Iterable[str]]) -> None:
    """InputError if a speaker of ``cohort`` is one of ``evaluation`` (name of a set: its speakers)."""
    ours = set(cohort)
    for name, speakers in evaluation.items():
        both = sorted(ours & set(speakers))
        if both:
            raise InputError(
                f"{len(both)} speakers of the cohort are evaluated in {name}, the first is {both[0]}",
                mend="take the cohort from training speakers",
            )


class CohortStatistics(NamedTuple):
    """``mean`` [n] and ``deviation`` [n] (of the population, above 0) of each row's cohort scores."""

    mean: Floats
    deviation: Floats


def cohort_statistics(
    block: Block, rows: int, top: int | None = None, *, names: Sequence[str] | None = None
) -> CohortStatistics:
    """Statistics of ``rows`` vectors' scores with a cohort: of the ``top`` highest, or of all (None).

    ``block(slice)`` gives the scores [length of slice, C] of some rows and may be written over; memory is
    bounded by 1,024 rows. Refused: more ``top`` than cohort, fewer than two, scores that are not finite,
    and a row whose cohort scores are all equal (``names`` [n] says whose it is).
    """
    mean, deviation = np.empty(rows), np.empty(rows)
    for begin in range(0, rows, _ROWS):
        part = slice(begin, min(begin + _ROWS, rows))
        scores = block(part)
        cohort = scores.shape[1]
        kept = cohort if top is None else top
        if not 2 <= kept <= cohort:
            raise InputError(
                f"top {kept} cohort scores of a cohort of {cohort}",
                mend=f"take 2 to {cohort}, or a larger cohort",
            )
        if not np.isfinite(scores).all():
            bad = begin + int(np.flatnonzero(~np.isfinite(scores).all(axis=1))[0])
            raise InputError("cohort scores are not finite", utt=_name(names, bad))
        if kept < cohort:
            scores.partition(cohort - kept, axis=1)
            scores = scores[:, cohort - kept :]
        mean[part] = scores.mean(axis=1, dtype=np.float64)
        deviation[part] = scores.std(axis=1, dtype=np.float64)
        flat = deviation[part] <= _LEAST * np.abs(scores).max(axis=1)
        if flat.any():
            raise InputError(
                "its cohort scores are all equal: nothing to normalise its scores by",
                utt=_name(names, begin + int(np.flatnonzero(flat)[0])),
                mend="look at its x-vector and at the cohort",
            )
    return CohortStatistics(mean, deviation)


def _name(names: Sequence[str] | None, row: int) -> str:
    return f"number {row + 1}" if names is None else names[row]


def normalise_scores(
    kind: str,
    scores: ArrayLike,
    pairs: ArrayLike | tuple[Ints, Ints],
    enrol: CohortStatistics | None = None,
    test: CohortStatistics | None = None,
) -> Floats:
    """[N] normalised ``scores`` [N] of ``pairs`` [N, 2] (enrolment row, test row), or its two columns.

    (score - mean) / deviation of the side that ``kind`` names, or the mean of both sides' values; the
    statistics of a side that is not used may be None. Infinite scores (dropped trials) stay what they are.
    """
    if kind not in SIDES:
        raise InputError(f"unknown score normalisation {kind!r}: known are {', '.join(SIDES)}")
    score = np.asarray(scores, dtype=np.float64)
    columns = pairs if isinstance(pairs, tuple) else tuple(np.asarray(pairs).T)
    if [np.shape(column) for column in columns] != [score.shape] * 2:
        raise InputError(f"{len(score)} scores but pairs of shape {np.shape(pairs)}")
    used = [(enrol, 0)] * (SIDES[kind] != "test") + [(test, 1)] * (SIDES[kind] != "enrol")
    out = np.zeros(len(score))
    for side, column in used:
        if side is None:
            raise InputError(f"{kind} needs cohort statistics of the {('enrolment', 'test')[column]} side")
        for begin in range(0, len(score), _PAIRS):
            part = slice(begin, begin + _PAIRS)
            rows = columns[column][part]
            out[part] += (score[part] - side.mean[rows]) / side.deviation[rows]
    out /= len(used)
    return out


def cosine_block(x: ArrayLike, cohort: ArrayLike) -> Block:
    """Cosines of rows of ``x`` [n, D] with ``cohort`` [C, D], in float32 (to 1e-6); zeros score 0."""
    rows, other = np.asarray(x), _unit(np.asarray(cohort))
    _same_size(rows.shape[1], other.shape[1])
    return lambda part: _unit(rows[part]) @ other.T


def _unit(rows: NDArray[Any]) -> NDArray[Any]:
    length = np.linalg.norm(rows, axis=1, keepdims=True)
    return (rows / np.where(length > 0, length, 1)).astype(np.float32)


def plda_block(
    plda: Plda,
    enrol: ArrayLike,
    test: ArrayLike,
    *,
    examples: ArrayLike = 1,
    normalise: str = "model",
    by: str = "enrol",
) -> Block:
    """PLDA's log likelihood ratios of ``enrol`` [n, D], means of ``examples`` each, with ``test`` [m, D].

    ``by`` says whose rows the blocks have: "enrol" for the enrolment side (the cohort is ``test``), "test"
    for the test side (the cohort is ``enrol``). float32; ``normalise`` as in Plda.project.
    """
    if by not in ("enrol", "test"):
        raise InputError(f"unknown side {by!r}: known are enrol, test")
    one, two = np.asarray(enrol), np.asarray(test)
    _same_size(one.shape[1], two.shape[1])
    counts = np.broadcast_to(np.asarray(examples, dtype=np.float64), (len(one),))
    # With one number of examples the squares of a test vector weigh the same in all its scores.
    common = square_weights(plda.psi, counts[0]) if len(np.unique(counts)) == 1 else None

    # The ratio is [factor, weights, term, 1] * [test, test^2, 1, common weights * test^2].
    def enrolled(part: slice) -> tuple[Floats, Floats]:
        count = counts[part]
        factor, term = enrolment(plda.psi, plda.project(one[part], count, normalise), count)
        return (factor if common is not None else np.hstack([factor, square_weights(plda.psi, count)])), term

    def tested(part: slice) -> tuple[Floats, Floats]:
        rows = plda.project(two[part], 1, normalise)
        if common is None:
            return np.hstack([rows, rows**2]), np.zeros(len(rows))
        return rows, rows**2 @ common

    whole, side = (tested, enrolled) if by == "enrol" else (enrolled, tested)
    columns, column_term = whole(slice(None))
    turned, added = columns.T.astype(np.float32), column_term.astype(np.float32)

    def block(part: slice) -> NDArray[Any]:
        rows, row_term = side(part)
        scores = rows.astype(np.float32) @ turned
        scores += added
        scores += row_term[:, None].astype(np.float32)
        return scores

    return block


def _same_size(one: int, two: int) -> None:
    if one != two:
        raise InputError(f"vectors of {one} dimensions, a cohort of {two}")
