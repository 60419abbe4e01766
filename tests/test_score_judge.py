"""Scores of pairs, and the figures made of them."""

from __future__ import annotations

import json

import numpy as np
import pytest

from pysteps.backend import fit_plda
from pysteps.formats.errors import InputError
from pysteps.metrics import eer
from pysteps.score import Trials, cosine_scores, judge, plda_scores
from tests.literal import plda_ratio

RANDOM = np.random.default_rng(0)
IDS = [f"s{number % 8}-{number}" for number in range(40)]
SPEAKER = {one: one.split("-")[0] for one in IDS}


@pytest.fixture(scope="module")
def trials() -> Trials:
    pairs = [(a, b) for a in range(40) for b in range(a)]
    enrol, test = np.array(pairs, dtype=np.int32).T
    return Trials(IDS, IDS, enrol, test, enrol % 8 == test % 8, "list")


@pytest.fixture(scope="module")
def scores(trials) -> np.ndarray:
    return np.random.default_rng(1).normal(size=len(trials)) + 2 * trials.is_target


def test_cosine_is_the_definition():
    enrol, test = RANDOM.normal(size=(30, 7)), RANDOM.normal(size=(50, 7))
    pairs = np.column_stack([RANDOM.integers(0, 30, 5000), RANDOM.integers(0, 50, 5000)])
    got = cosine_scores(enrol, test, pairs)
    whole = enrol @ test.T / np.outer(np.linalg.norm(enrol, axis=1), np.linalg.norm(test, axis=1))
    np.testing.assert_allclose(got, whole[pairs[:, 0], pairs[:, 1]], atol=1e-14)


def test_a_score_does_not_depend_on_its_neighbours():
    x = RANDOM.normal(size=(30, 7))
    pairs = RANDOM.integers(0, 30, (3000, 2))
    whole, alone = cosine_scores(x, x, pairs), cosine_scores(x, x, pairs[1500:1503])
    assert whole[1500:1503].tobytes() == alone.tobytes()


def test_zero_vectors_score_zero():
    assert cosine_scores([[0.0, 0.0]], [[1.0, 0.0]], [[0, 0]]).tolist() == [0.0]


@pytest.mark.parametrize("pairs", [[[0, 2]], [[-1, 0]], [[0.5, 1]], [0, 1]])
def test_bad_pairs_are_refused(pairs):
    with pytest.raises(InputError, match="pair"):
        cosine_scores(np.eye(2), np.eye(2), pairs)


@pytest.mark.parametrize("normalise", ["model", "simple", "none"])
def test_plda_scores_are_the_ratio_of_each_row(normalise):
    names = np.repeat(np.arange(20), 4).astype(str).tolist()
    plda = fit_plda(RANDOM.normal(size=(80, 5)) + np.repeat(RANDOM.normal(size=(20, 5)), 4, axis=0), names)
    enrol, test, examples = RANDOM.normal(size=(6, 5)), RANDOM.normal(size=(9, 5)), [1, 3, 1, 2, 3, 10]
    pairs = np.array([(a, b) for a in range(6) for b in range(9)])
    got = plda_scores(plda, enrol, test, pairs, examples=examples, normalise=normalise)
    one, two = plda.project(enrol, examples, normalise), plda.project(test, 1, normalise)
    expected = plda_ratio(plda.psi, one[pairs[:, 0]], np.array(examples)[pairs[:, 0]], two[pairs[:, 1]])
    np.testing.assert_allclose(got, expected, rtol=1e-9, atol=1e-10)


def test_judge_has_the_shape_of_results_json(trials, scores):
    result = judge(trials, scores, (), SPEAKER, seed=0, replicates=100).figures
    rate, threshold = eer(scores[trials.is_target], scores[~trials.is_target])
    assert result["eer"] == pytest.approx(100 * rate) and result["threshold"] == threshold
    assert result["eer_ci"][0] < result["eer"] < result["eer_ci"][1]
    assert set(result["min_dcf"]) == set(result["min_dcf_ci"]) == {"0.01", "0.05", "0.001"}
    assert (result["targets"], result["nontargets"], result["speakers"]) == (80, 700, 8)
    assert result["dropped_trials"] == 0
    assert json.loads(json.dumps(result, allow_nan=False)) == result


def test_trials_of_dropped_utterances_are_scored_as_wrong(trials, scores):
    scores = scores.copy()
    scores[trials.enrol == 39] = np.nan
    perfect = np.where(trials.is_target, 5.0, -5.0)
    result = judge(trials, perfect, {IDS[39]}, SPEAKER, seed=0, replicates=50, likelihood_ratios=True).figures
    assert result["dropped_trials"] == 39
    # 4 of 80 targets are missed at every threshold, 35 of 700 non-targets accepted: both 5 %.
    assert result["eer"] == pytest.approx(5.0)
    assert result["cllr"] is None and result["min_cllr"] > 0
    assert judge(trials, scores, {IDS[39]}, SPEAKER, seed=0, replicates=50).figures["dropped_trials"] == 39
    json.dumps(result, allow_nan=False)


def test_more_dropped_trials_than_allowed_fail(trials, scores):
    with pytest.raises(InputError, match="39 of 780 trials are of dropped utterances, above 1.00%"):
        judge(trials, scores, {IDS[39]}, SPEAKER, seed=0, max_dropped=0.01)


def test_a_score_that_is_not_finite_is_refused(trials, scores):
    broken = scores.copy()
    broken[0] = np.nan
    with pytest.raises(InputError, match=f"first {IDS[1]} {IDS[0]}"):
        judge(trials, broken, (), SPEAKER, seed=0)


def test_labels_that_contradict_utt2spk_are_refused(trials, scores):
    with pytest.raises(InputError, match="contradict utt2spk"):
        judge(trials, scores, (), {**SPEAKER, IDS[0]: "s1"}, seed=0)


def test_an_id_without_speaker_is_refused(trials, scores):
    with pytest.raises(InputError, match=f"{IDS[0]} has no speaker"):
        judge(trials, scores, (), {one: SPEAKER[one] for one in IDS[1:]}, seed=0)


def test_calibrated_figures_on_request(trials, scores):
    result = judge(trials, 2 * scores - 2, (), SPEAKER, seed=0, replicates=50, likelihood_ratios=True).figures
    assert result["min_cllr"] < result["cllr"] < 1
    assert result["act_dcf"]["0.05"] >= result["min_dcf"]["0.05"]
