"""Calibration against analytic answers, other libraries and numbers worked out by hand."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pysteps.backend.calibration import (
    Logistic,
    Pav,
    fit_logistic,
    fit_pav,
    load_calibration,
    quality_measures,
    save_calibration,
)
from pysteps.formats.errors import InputError
from pysteps.metrics import cllr, min_cllr


def gaussian(
    targets: int, nontargets: int, gap: float, seed: int = 0, scale: float = 1.0, shift: float = 0.0
) -> tuple[np.ndarray, np.ndarray]:
    """Scores of N(+-gap/2, gap) log likelihood ratios, then scaled and shifted: the answer is known."""
    random = np.random.default_rng(seed)
    label = np.arange(targets + nontargets) < targets
    llr = random.normal(size=len(label)) * np.sqrt(gap) + np.where(label, gap / 2, -gap / 2)
    return llr * scale + shift, label


@pytest.mark.parametrize("p_target", [0.5, 0.05])
def test_gaussian_scores_get_their_known_slope_and_offset(p_target):
    # N(m, v) against N(-m, v) with 2m = v is its own log likelihood ratio; 3 x - 2 undoes to x/3 + 2/3.
    scores, label = gaussian(40_000, 120_000, 6.0, scale=3.0, shift=-2.0)
    model = fit_logistic(scores, label, p_target=p_target)
    assert model.weights["system1"] == pytest.approx(1 / 3, rel=0.02)
    assert model.offset == pytest.approx(2 / 3, abs=0.05)
    assert model.notes == ()


def test_calibrated_cllr_is_near_the_least_on_new_scores():
    learned = fit_logistic(*gaussian(3000, 9000, 6.0, seed=1, scale=0.1, shift=0.4))
    scores, label = gaussian(3000, 9000, 6.0, seed=2, scale=0.1, shift=0.4)
    llr = learned.apply(scores)
    least = min_cllr(scores[label], scores[~label])
    assert least <= cllr(llr[label], llr[~label]) < 1.03 * least
    assert cllr(scores[label], scores[~label]) > 2 * least


def test_weights_are_scikit_learns():
    from sklearn.linear_model import LogisticRegression

    random = np.random.default_rng(3)
    label = np.arange(500) < 80
    x = random.normal(size=(500, 2)) * [1, 20] + np.outer(label, [2, 15])
    quality = random.normal(size=500) - label
    model = fit_logistic(x, label, quality={"q": quality}, systems=["a", "b"], p_target=0.2)
    weight = np.where(label, 0.2 / 80, 0.8 / 420) * 500
    other = LogisticRegression(C=1e8, tol=1e-10, max_iter=10_000)
    other.fit(np.column_stack([x / [1, 20], quality]), label, sample_weight=weight)
    expected = other.coef_[0] / [1, 20, 1]
    assert [*model.weights.values(), *model.quality.values()] == pytest.approx(expected, rel=1e-3)
    assert model.offset == pytest.approx(other.intercept_[0] - np.log(0.2 / 0.8), abs=1e-2)


def test_two_scores_by_hand():
    # Targets at 1 (3 of 4) and 0, non-targets at 0 (3 of 4) and 1: at 1 odds are 3, at 0 1/3.
    model = fit_logistic([1, 1, 1, 0, 0, 0, 0, 1], [1, 1, 1, 1, 0, 0, 0, 0])
    assert model.apply([0.0, 1.0]) == pytest.approx([-np.log(3), np.log(3)], rel=1e-4)


def test_how_many_trials_of_a_kind_there_are_does_not_matter():
    scores, label = gaussian(200, 200, 4.0)
    many = np.concatenate([scores, np.repeat(scores[~label], 9)]), np.concatenate([label, np.zeros(1800, bool)])
    one, two = fit_logistic(scores, label), fit_logistic(*many)
    assert one.weights["system1"] == pytest.approx(two.weights["system1"], rel=1e-3)
    assert one.offset == pytest.approx(two.offset, abs=1e-3)


def test_blocks_of_trials_add_up():
    scores, label = gaussian(50_000, 100_000, 4.0)
    model = fit_logistic(scores, label)
    llr = model.apply(scores)
    # At the optimum both gradients are zero: sums over all trials, block borders or not.
    wrong = np.where(label, 1 / 50_000, -1 / 100_000) / (1 + np.exp(np.where(label, llr, -llr)))
    assert wrong.sum() == pytest.approx(0, abs=1e-5)
    assert wrong @ scores == pytest.approx(0, abs=1e-5)


def test_fusion_of_independent_systems_adds_their_ratios():
    one, label = gaussian(40_000, 40_000, 3.0, seed=1)
    two, _ = gaussian(40_000, 40_000, 5.0, seed=2, scale=0.1, shift=3.0)
    model = fit_logistic(np.column_stack([one, two]), label, systems=["one", "two"])
    assert model.weights["one"] == pytest.approx(1, rel=0.04)
    assert model.weights["two"] == pytest.approx(10, rel=0.04)
    fused = model.apply(np.column_stack([one, two]))
    assert cllr(fused[label], fused[~label]) < 0.9 * min_cllr(two[label], two[~label])


def test_a_quality_measure_undoes_a_shift():
    scores, label = gaussian(2000, 2000, 6.0)
    q = np.random.default_rng(5).normal(size=4000) * 3
    plain, helped = fit_logistic(scores + q, label), fit_logistic(scores + q, label, quality={"q": q})
    assert helped.quality["q"] == pytest.approx(-helped.weights["system1"], rel=0.05)
    llrs = plain.apply(scores + q), helped.apply(scores + q, {"q": q})
    assert cllr(llrs[1][label], llrs[1][~label]) < 0.7 * cllr(llrs[0][label], llrs[0][~label])
    with pytest.raises(InputError, match="needs the quality measures q"):
        helped.apply(scores)


def test_scores_that_can_be_parted_get_finite_ratios_and_a_note():
    model = fit_logistic([2.0, 3.0, 0.0, 1.0], [1, 1, 0, 0])
    assert np.isfinite(model.apply([0.0, 3.0])).all() and model.weights["system1"] > 0
    assert "wrong side" in model.notes[0]


def test_a_useless_measure_and_a_constant_one_do_no_harm():
    scores, label = gaussian(500, 500, 4.0)
    plain = fit_logistic(scores, label)
    model = fit_logistic(scores, label, quality={"constant": np.full(1000, 7.0), "copy": 2 * scores})
    assert model.quality["constant"] == 0
    given = {"constant": np.full(1000, 7.0), "copy": 2 * scores}
    assert model.apply(scores, given) == pytest.approx(plain.apply(scores), abs=1e-3)


def test_scores_of_the_wrong_sign_are_noted():
    scores, label = gaussian(100, 100, 4.0)
    assert "negative weight" in fit_logistic(-scores, label).notes[0]


def test_dropped_trials_stay_infinite():
    model = Logistic(1.0, {"a": 2.0, "b": 0.0}, {})
    llr = model.apply([[3, 1], [-np.inf, 1], [np.inf, np.inf]])
    assert llr.tolist() == [7.0, -np.inf, np.inf]
    with pytest.raises(InputError, match="minus infinity for one system"):
        model.apply([[np.inf, -np.inf]])
    assert Pav([0.0, 1.0], [-1.0, 1.0]).apply([-np.inf, 0.5, np.inf]).tolist() == [-np.inf, 0.0, np.inf]


def test_pav_by_hand():
    # With one more of both kinds below and above: n | n | t n | t t t | t | + ends.
    # Scores 1 n, 2 n, 3 t, 4 n, 5 t, 6 t. Blocks by hand, Laplace trials included:
    # {low: t n, 1 n, 2 n} 1/4, {3 t, 4 n} 1/2, {5 t, 6 t, high: t n} 3/4: odds 1/3, 1, 3 and 5 of each kind.
    model = fit_pav([1, 2, 3, 4, 5, 6], [0, 0, 1, 0, 1, 1])
    assert model.scores == [1, 2, 3, 4, 5, 6]
    assert model.llrs == pytest.approx(np.log([1 / 3, 1 / 3, 1, 1, 3, 3]))
    assert model.apply([-9, 2.5, 99]) == pytest.approx([-np.log(3), -np.log(3) / 2, np.log(3)])


def test_pav_reaches_the_least_cllr_on_its_own_scores():
    scores, label = gaussian(4000, 4000, 4.0)
    llr = fit_pav(scores, label).apply(scores)
    least = min_cllr(scores[label], scores[~label])
    assert least <= cllr(llr[label], llr[~label]) == pytest.approx(least, rel=0.01)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(st.integers(-5, 5), st.booleans()), min_size=4, max_size=40).filter(
        lambda rows: len({kind for _, kind in rows}) == 2 and len({score for score, _ in rows}) > 1
    )
)
def test_whatever_the_scores_both_kinds_are_finite_and_monotone(rows):
    score, label = np.array([row[0] for row in rows], float), np.array([row[1] for row in rows])
    at = np.linspace(-6, 6, 25)
    pav, logistic = fit_pav(score, label), fit_logistic(score, label)
    assert np.isfinite(pav.apply(at)).all() and (np.diff(pav.apply(at)) >= -1e-12).all()
    llr = logistic.apply(score)
    assert np.isfinite(llr).all()
    assert cllr(llr[label], llr[~label]) <= 1 + 1e-6  # never worse than saying nothing
    if logistic.weights["system1"] >= 0:
        assert cllr(llr[label], llr[~label]) >= min_cllr(score[label], score[~label]) - 1e-9


def test_files_come_back_exactly(tmp_path):
    scores, label = gaussian(50, 70, 4.0, seed=8)
    fitted = [fit_logistic(scores, label, quality={"länge": scores**2}, systems=["ä"]), fit_pav(scores, label)]
    for model in fitted:
        save_calibration(model, tmp_path / "calibration.json")
        assert load_calibration(tmp_path / "calibration.json") == model


@pytest.mark.parametrize(
    "change", [{"kind": "magic"}, {"offset": "x"}, {"weights": {"a": float("nan")}}, {"extra": 1}, {"notes": 3}]
)
def test_a_file_that_is_no_calibration_is_refused(tmp_path, change):
    path = tmp_path / "calibration.json"
    save_calibration(Logistic(1.0, {"a": 2.0}, {}), path)
    path.write_text(json.dumps({**json.loads(path.read_text()), **change}))
    with pytest.raises(InputError, match="calibration.json: not a calibration of the kinds logistic, pav"):
        load_calibration(path)


def test_no_file_is_said_so(tmp_path):
    with pytest.raises(InputError, match="no calibration"):
        load_calibration(tmp_path / "calibration.json")


@pytest.mark.parametrize(
    ("scores", "label", "message"),
    [
        ([1.0, 2.0], [1, 1], "one kind is missing"),
        ([1.0, 1.0], [1, 0], "are equal"),
        ([1.0, np.inf, 0.0], [1, 0, 0], "not finite"),
        ([1.0, np.nan], [1, 0], "not numbers"),
        ([1.0, 2.0, 3.0], [1, 0], "trial labels"),
    ],
)
def test_bad_scores_are_refused(scores, label, message):
    for fit in (fit_logistic, fit_pav):
        with pytest.raises(InputError, match=message):
            fit(scores, label)


def test_quality_measures_by_hand():
    sides = {"duration": ([1.0, np.e], [np.e**2]), "cohort": ([0.5, -1.0], [0.0])}
    made = quality_measures(sides, [[0, 0], [1, 0]])
    assert list(made) == ["duration.min", "duration.max", "cohort.min", "cohort.max"]
    assert made["duration.min"] == pytest.approx([0, 1])
    assert made["duration.max"] == pytest.approx([2, 2])
    assert made["cohort.min"].tolist() == [0, -1] and made["cohort.max"].tolist() == [0.5, 0]
    with pytest.raises(InputError, match="finite and positive"):
        quality_measures({"duration": ([0.0], [1.0])}, [[0, 0]])
    with pytest.raises(InputError, match="known are duration, magnitude, cohort"):
        quality_measures({"pitch": ([0.0], [1.0])}, [[0, 0]])
