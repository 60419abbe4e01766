"""A back end: everything between x-vectors and scores, learned, kept in a folder, applied to trials."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..formats.errors import InputError
from .adapt import adapt_plda, coral_plus
from .calibration import Calibration, load_calibration, save_calibration
from .chain import Chain, check_dimensions, fit, of_set, read_description
from .cohort import load_cohort, save_cohort
from .folder import files_of, refuse_others
from .line import SCORERS, Line, PldaWords, parse_line
from .plda import Plda, fit_plda
from .scorenorm import (
    SIDES,
    Cohort,
    CohortStatistics,
    ScoreNorm,
    choose_cohort,
    cohort_statistics,
    cosine_block,
    normalise_scores,
    plda_block,
    refuse_evaluation_speakers,
)
from .scorers import check_pairs, cosine_scores, plda_scores
from .stats import Floats
from .vectors import Labelled

Ints = NDArray[np.integer]
_ROWS = 1 << 14  # x-vectors whose cohort scores are worked out at a time: memory


@dataclass(frozen=True)
class Backend:
    """Fitted ``chain``, then cosine, or ``plda`` with its ``words``; perhaps ``norm`` and ``calibration``.

    ``cohort`` belongs to ``norm`` and is transformed already.
    """

    chain: Chain
    plda: Plda | None = None
    words: tuple[str, ...] = ()
    norm: ScoreNorm | None = None
    cohort: Cohort | None = None
    calibration: Calibration | None = None

    @staticmethod
    def fit(
        line: str | Line,
        vectors: ArrayLike,
        speakers: Sequence[str],
        *,
        sets: Mapping[str, ArrayLike] | None = None,
        utterances: Sequence[str] | None = None,
        others: Labelled | None = None,
        evaluated: Mapping[str, Sequence[str]] | None = None,
        seed: int = 0,
    ) -> Backend:
        """Learn ``line`` (see line.py) from training ``vectors`` [N, D] of ``speakers`` [N].

        ``sets``: vectors [M, D] of the sets that adapt=SET names, before any transform. For a score
        normalisation: names of the ``utterances`` [N] (default: row numbers), the ``others`` that the
        cohort is taken from (default: the training vectors), the ``evaluated`` sets' speakers, who must
        not be in it, and the ``seed`` of a cohort that is drawn.
        """
        found = parse_line(line) if isinstance(line, str) else line
        chain = fit(found.transforms, vectors, speakers, sets)
        rows = chain.train(vectors)
        plda = None
        if found.scorer == "plda":
            words = found.plda
            plda = fit_plda(rows, speakers, iterations=words.iterations, rank=words.rank or None)
            target = of_set(words.adapt, sets, np.shape(vectors)[1]) if words.adapt else None
            plda = _changed(plda, words, None if target is None else chain.apply(target, target))
        if found.norm is None:
            return Backend(chain, plda, tuple(found.words))
        if others is None:
            names = [f"{n:09d}" for n in range(len(rows))] if utterances is None else list(utterances)
            others = Labelled(names, rows, list(speakers))
        else:  # they go through the chain as vectors that are scored do
            check_dimensions(others.vectors, np.shape(vectors)[1], "the cohort")
            others = replace(others, vectors=chain.apply(others.vectors, others.vectors))
        refuse_evaluation_speakers(others.speakers, evaluated or {})
        kind, size = found.norm.cohort, found.norm.size
        cohort = choose_cohort(
            others.vectors, others.utterances, others.speakers, kind=kind, size=size, seed=seed
        )
        if len(cohort.keys) < (found.norm.top or 2):
            raise InputError(
                f"{found.norm}: a cohort of {len(cohort.keys)} {kind} is too small",
                mend=f"take {found.norm.kind} {len(cohort.keys)} or less, or cohort=utterances",
            )
        return Backend(chain, plda, tuple(found.words), found.norm, cohort)

    def calibrated(self, calibration: Calibration) -> Backend:
        """The same with a calibration of its scores."""
        return replace(self, calibration=calibration)

    @property
    def gives_ratios(self) -> bool:
        """Whether ``score`` itself gives log likelihood ratios: PLDA's, not normalised."""
        return self.plda is not None and self.norm is None

    def transform(self, x: ArrayLike, population: ArrayLike | None = None) -> Floats:
        """X-vectors [N, D] through the chain; ``population`` as Chain.apply (for ``center set`` only)."""
        rows = self.chain.apply(x, population)
        dim = None if self.plda is None else len(self.plda.mean)
        if dim not in (None, rows.shape[1]):
            said = f"the transforms give {rows.shape[1]} dimensions, the PLDA has {dim}"
            raise InputError(said, mend="take transforms and PLDA from one back end")
        return rows

    def score(
        self,
        enrol: ArrayLike,
        test: ArrayLike,
        pairs: ArrayLike | tuple[Ints, Ints],
        examples: ArrayLike = 1,
        *,
        population: ArrayLike | None = None,
    ) -> Floats:
        """[N] scores, before calibration, of ``pairs`` [N, 2] of rows of x-vectors.

        ``enrol`` [n, D] are means of ``examples`` (a number or [n]) utterances each, ``test`` [m, D]
        single ones. ``population`` [M, D]: all vectors of the set (``center set``); default: ``test``.
        """
        whole = test if population is None else population
        two = self.transform(test, whole)
        one = two if enrol is test else self.transform(enrol, whole)
        return self.score_transformed(one, two, pairs, examples)

    def score_transformed(
        self,
        enrol: Floats,
        test: Floats,
        pairs: ArrayLike | tuple[Ints, Ints],
        examples: ArrayLike = 1,
        *,
        names: Sequence[str] | None = None,
        overwrite: bool = False,
    ) -> Floats:
        """``score`` of vectors that ``transform`` has done; ``names`` [m] of the rows for messages.

        ``pairs``: as scorers.check_pairs takes them. ``overwrite``: the vectors are not needed any more.
        """
        index = check_pairs(pairs, len(enrol), len(test))
        words = PldaWords.parse(self.words)
        behind = np.asarray(examples if words.enrol == "book" else 1, dtype=np.int64)
        counts = np.broadcast_to(behind, (len(enrol),))
        sides = self._sides(enrol, test, index, counts, names if enrol is test else None)
        if self.plda is None:
            scores = cosine_scores(enrol, test, index)
        else:
            kind = words.normalise
            scores = plda_scores(
                self.plda, enrol, test, index, examples=counts, normalise=kind, overwrite=overwrite
            )
        return scores if self.norm is None else normalise_scores(self.norm.kind, scores, index, *sides)

    def _sides(
        self,
        enrol: Floats,
        test: Floats,
        index: tuple[Ints, Ints],
        counts: NDArray[np.int64],
        names: Sequence[str] | None,
    ) -> list[CohortStatistics | None]:
        # Statistics of the rows that trials name; the others stay 0 over 1, and are never looked up.
        out: list[CohortStatistics | None] = [None, None]
        for column, (rows, unused) in enumerate(((enrol, "test"), (test, "enrol"))):
            if self.norm is None or SIDES[self.norm.kind] == unused:
                continue
            named = np.zeros(len(rows), bool)
            named[index[column]] = True
            mean, deviation = np.zeros(len(rows)), np.ones(len(rows))
            used = np.flatnonzero(named)
            for begin in range(0, len(used), _ROWS):
                some = used[begin : begin + _ROWS]
                said = None if names is None else [names[row] for row in some]
                found = self._cohort_statistics(rows[some], counts[some] if column == 0 else None, said)
                mean[some], deviation[some] = found
            out[column] = CohortStatistics(mean, deviation)
        return out

    def _cohort_statistics(
        self, rows: Floats, examples: NDArray[np.int64] | None, names: Sequence[str] | None
    ) -> CohortStatistics:
        # ``examples`` of the enrolment side, None for the test side.
        if self.norm is None or self.cohort is None:
            raise InputError("this back end has no cohort", mend="redo stage backend")
        others, top = self.cohort.vectors, self.norm.top
        if self.plda is None:
            return cohort_statistics(cosine_block(rows, others), len(rows), top, names=names)
        words = PldaWords.parse(self.words)
        kind = words.normalise
        if examples is not None:
            block = plda_block(self.plda, rows, others, examples=examples, normalise=kind, by="enrol")
        else:
            behind = self.cohort.examples if words.enrol == "book" else 1
            block = plda_block(self.plda, others, rows, examples=behind, normalise=kind, by="test")
        return cohort_statistics(block, len(rows), top, names=names)

    def cohort_means(self, rows: Floats, *, names: Sequence[str] | None = None) -> Floats:
        """[n] mean scores of transformed ``rows`` [n, d] with the cohort (the top ones of as-norm)."""
        return self._cohort_statistics(rows, None, names).mean

    def save(self, folder: str | Path, *, text: bool = False, replace_all: bool = False) -> None:
        """Write to ``folder``: Kaldi files, cohort.scp, calibration.json; chain.json last.

        ``text``: matrices and vectors in Kaldi's text form. What an older back end left there and this
        one has not is removed. InputError for files of such names without a chain.json, unless
        ``replace_all``: in a stage's own folder a save that was killed left them.
        """
        folder = Path(folder)
        if not replace_all:
            refuse_others(folder)
        for old in files_of(folder):  # chain.json first: it says that all is there
            old.unlink()
        if self.plda is not None:
            self.plda.save(folder / "plda", text=text)
        if self.cohort is not None:
            save_cohort(self.cohort, folder)
        if self.calibration is not None:
            save_calibration(self.calibration, folder / "calibration.json")
        scorer = {"name": "cosine" if self.plda is None else "plda", "options": list(self.words)}
        extra = {"scorer": scorer, "norm": None if self.norm is None else str(self.norm)}
        self.chain.save(folder, extra, text=text)

    @staticmethod
    def load(folder: str | Path) -> Backend:
        """Read what ``save`` wrote, or any folder with a chain.json and perhaps a Kaldi ``plda``."""
        folder = Path(folder)
        chain, path = Chain.load(folder), folder / "chain.json"
        content = read_description(folder)
        plda = Plda.load(folder / "plda") if (folder / "plda").is_file() else None
        name, words = _scorer(content.get("scorer"), path) or ("cosine" if plda is None else "plda", ())
        if (name == "plda") != (plda is not None) or name not in SCORERS:
            raise InputError(f"the scorer {name} and the file plda disagree", where=path)
        said = content.get("norm")
        try:
            PldaWords.parse(words)
            norm = None if said is None else ScoreNorm.parse(str(said).split())
        except InputError as error:
            raise InputError(str(error), where=path) from error
        cohort = None if norm is None else load_cohort(folder)
        saved = folder / "calibration.json"
        calibration = load_calibration(saved) if saved.is_file() else None
        return Backend(chain, plda, words, norm, cohort, calibration)


def _scorer(said: Any, path: Path) -> tuple[str, tuple[str, ...]] | None:
    # chain.json's scorer: {"name": "plda", "options": ["smoothing=0.1"]}, or none.
    if said is None:
        return None
    words = said.get("options", []) if isinstance(said, dict) else None
    if not (isinstance(words, list) and all(isinstance(word, str) for word in [said.get("name"), *words])):
        mend = 'a scorer is e.g. {"name": "plda", "options": []}'
        raise InputError(f"not a scorer: {said!r}", where=path, mend=mend)
    return said["name"], tuple(words)


def _changed(plda: Plda, words: PldaWords, target: Floats | None) -> Plda:
    # ``target``: the vectors of the set that it is adapted to, as the chain leaves them.
    if words.shrink:
        plda = plda.shrunk(words.shrink)
    if words.smoothing:
        plda = plda.smoothed(words.smoothing)
    if target is None:
        return plda
    shares = {"within": words.within, "between": words.between}
    if words.method == "coral+":
        return coral_plus(plda, target, **shares)
    return adapt_plda(plda, target, **shares, mean_diff=words.mean_diff)
