"""Score normalisation against slow literal formulas, and what a cohort must not hold."""

from __future__ import annotations

import statistics

import numpy as np
import pytest

from pysteps.backend.plda import Plda
from pysteps.backend.scorenorm import (
    CohortStatistics,
    ScoreNorm,
    choose_cohort,
    cohort_statistics,
    cosine_block,
    normalise_scores,
    plda_block,
    refuse_evaluation_speakers,
)
from pysteps.backend.scorers import plda_scores
from pysteps.formats.errors import InputError

RANDOM = np.random.default_rng(4)


def literal_cosine(a: np.ndarray, b: np.ndarray) -> float:
    return sum(a * b) / (sum(a * a) ** 0.5 * sum(b * b) ** 0.5)


def literal_side(score: float, cohort_scores: list[float], top: int) -> float:
    best = sorted(cohort_scores, reverse=True)[:top]
    return (score - statistics.fmean(best)) / statistics.pstdev(best)


@pytest.mark.parametrize(("kind", "top"), [("z-norm", 30), ("t-norm", 30), ("s-norm", 30), ("as-norm", 7)])
def test_norms_of_cosines_are_the_literal_formula(kind, top):
    enrol, test, cohort = (RANDOM.normal(size=(n, 5)) for n in (4, 6, 30))
    pairs = np.array([[0, 0], [3, 5], [2, 5], [1, 1]])
    scores = [literal_cosine(enrol[i], test[j]) for i, j in pairs]
    expected = []
    for score, (i, j) in zip(scores, pairs, strict=True):
        z = literal_side(score, [literal_cosine(enrol[i], c) for c in cohort], top)
        t = literal_side(score, [literal_cosine(test[j], c) for c in cohort], top)
        expected.append({"z-norm": z, "t-norm": t}.get(kind, (z + t) / 2))
    sides = [cohort_statistics(cosine_block(x, cohort), len(x), top) for x in (enrol, test)]
    assert normalise_scores(kind, scores, pairs, *sides) == pytest.approx(expected, abs=1e-5)


def test_statistics_by_hand():
    table = np.array([[1.0, 5.0, 3.0], [0.0, -2.0, 2.0]])
    both = cohort_statistics(lambda part: table[part].copy(), 2, 2)
    assert both.mean.tolist() == [4.0, 1.0] and both.deviation.tolist() == [1.0, 1.0]
    every = cohort_statistics(lambda part: table[part].copy(), 2)
    assert every.mean.tolist() == [3.0, 0.0]
    assert every.deviation == pytest.approx([np.sqrt(8 / 3)] * 2)


def test_more_rows_than_a_block_are_all_done():
    x, cohort = RANDOM.normal(size=(2500, 3)), RANDOM.normal(size=(20, 3))
    whole = cohort_statistics(cosine_block(x, cohort), 2500, 5)
    last = cohort_statistics(cosine_block(x[[1023, 1024, 2499]], cohort), 3, 5)
    assert whole.mean[[1023, 1024, 2499]] == pytest.approx(last.mean, abs=1e-6)
    assert whole.deviation[[1023, 1024, 2499]] == pytest.approx(last.deviation, abs=1e-6)


@pytest.mark.parametrize("examples", [1, 3, [1, 2, 5, 2]])
@pytest.mark.parametrize("by", ["enrol", "test"])
def test_plda_blocks_are_the_scorers_scores(examples, by):
    plda = Plda(RANDOM.normal(size=6), RANDOM.normal(size=(6, 6)), np.array([9, 4, 2, 1, 0.5, 0.0]))
    enrol, test = RANDOM.normal(size=(4, 6)), RANDOM.normal(size=(7, 6))
    pairs = np.array([[i, j] for i in range(4) for j in range(7)])
    expected = plda_scores(plda, enrol, test, pairs, examples=examples).reshape(4, 7)
    block = plda_block(plda, enrol, test, examples=examples, by=by)
    assert block(slice(1, 3)) == pytest.approx((expected if by == "enrol" else expected.T)[1:3], abs=1e-4)


def test_a_side_that_scores_high_with_everybody_is_taken_down():
    # Worked by hand: 3 over means 1 and 2, deviations 1 and 0.5.
    sides = [CohortStatistics(np.array([m]), np.array([d])) for m, d in ((1.0, 1.0), (2.0, 0.5))]
    for kind, value in (("z-norm", 2.0), ("t-norm", 2.0), ("s-norm", 2.0)):
        assert normalise_scores(kind, [3.0], [[0, 0]], *sides).tolist() == [value]
    assert normalise_scores("s-norm", [4.0], [[0, 0]], *sides).tolist() == [3.5]
    assert normalise_scores("z-norm", [4.0], [[0, 0]], sides[0]).tolist() == [3.0]


def test_dropped_trials_stay_infinite():
    side = CohortStatistics(np.zeros(1), np.ones(1))
    scores = [-np.inf, np.inf]
    assert normalise_scores("s-norm", scores, [[0, 0], [0, 0]], side, side).tolist() == scores


def test_cohort_of_speaker_means():
    cohort = choose_cohort([[1.0, 0], [5, 5], [3, 2]], ["u1", "u2", "u3"], ["b", "a", "b"])
    assert cohort.keys == ["a", "b"]
    assert cohort.vectors.tolist() == [[5, 5], [2, 1]]
    assert cohort.examples.tolist() == [1, 2]


def test_a_drawn_cohort_depends_on_names_not_on_order():
    x = RANDOM.normal(size=(12, 2))
    utts, speakers = [f"u{n:02}" for n in range(12)], [f"s{n // 2}" for n in range(12)]
    order = RANDOM.permutation(12)
    shuffled = [np.array(names)[order].tolist() for names in (utts, speakers)]
    for kind in ("speakers", "utterances"):
        one = choose_cohort(x, utts, speakers, kind=kind, size=4)
        two = choose_cohort(x[order], *shuffled, kind=kind, size=4)
        assert one.keys == two.keys == sorted(one.keys) and len(one.keys) == 4
        assert one.vectors == pytest.approx(two.vectors)
        if kind == "utterances":
            assert one.vectors.tolist() == x[[utts.index(key) for key in one.keys]].tolist()


def test_evaluation_speakers_are_refused():
    refuse_evaluation_speakers(["a", "b"], {"eval": ["c"], "dev": []})
    with pytest.raises(InputError, match="1 speakers of the cohort are evaluated in eval, the first is b"):
        refuse_evaluation_speakers(["a", "b"], {"dev": ["c"], "eval": ["b", "c"]})


def test_a_vector_that_scores_the_same_with_all_is_named():
    x = np.array([[1.0, 2.0], [0.0, 0.0]])
    with pytest.raises(InputError, match="utterance silent: its cohort scores are all equal"):
        cohort_statistics(cosine_block(x, RANDOM.normal(size=(5, 2))), 2, 3, names=["good", "silent"])
    same = np.repeat([[0.6, 0.8]], 5, axis=0)
    with pytest.raises(InputError, match="all equal"):
        cohort_statistics(cosine_block(x[:1], same), 1)


def test_impossible_cohorts_are_refused():
    x, cohort = RANDOM.normal(size=(2, 3)), RANDOM.normal(size=(5, 3))
    with pytest.raises(InputError, match="top 6 cohort scores of a cohort of 5"):
        cohort_statistics(cosine_block(x, cohort), 2, 6)
    with pytest.raises(InputError, match="top 1"):
        cohort_statistics(cosine_block(x, cohort[:1]), 2)
    with pytest.raises(InputError, match="2 dimensions, a cohort of 3"):
        cosine_block(x[:, :2], cohort)
    with pytest.raises(InputError, match="not finite"):
        cohort_statistics(lambda part: np.full((1, 3), np.nan), 1)
    with pytest.raises(InputError, match="a cohort of 3 speakers, but there are 2"):
        choose_cohort(x, ["u", "v"], ["a", "b"], size=3)


def test_words_of_the_link():
    assert ScoreNorm.parse(["as-norm", "300"]) == ScoreNorm("as-norm", 300, "speakers", None)
    line = "as-norm 20 cohort=utterances size=500"
    assert str(ScoreNorm.parse(line.split())) == line
    assert ScoreNorm.parse(str(ScoreNorm("z-norm")).split()) == ScoreNorm("z-norm")


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("norm 3", "known are z-norm, t-norm, s-norm, as-norm"),
        ("as-norm", "no number of cohort scores"),
        ("s-norm 300", "known are cohort, size"),
        ("as-norm 3 4", "once each"),
        ("as-norm 1", "a whole number from 2"),
        ("as-norm 300 cohort=all", "known are speakers, utterances"),
        ("z-norm tops=3", "known are cohort, size"),
    ],
)
def test_words_it_does_not_know_are_refused(line, message):
    with pytest.raises(InputError, match=message):
        ScoreNorm.parse(line.split())
