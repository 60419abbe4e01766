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


def test_weights_are_those_of_a_general_minimiser():
    from scipy.optimize import minimize

    random = np.random.default_rng(3)
    label = np.arange(500) < 80
    x = random.normal(size=(500, 2)) * [1, 20] + np.outer(label, [2, 15])
    quality = random.normal(size=500) - label
    model = fit_logistic(x, label, quality={"q": quality}, systems=["a", "b"], p_target=0.2)

    def cost(at: np.ndarray) -> float:  # P log(1 + exp(-s - log(P / (1-P)))) over targets, and the others
        s = at[0] + x @ [at[1], at[2] / 20] + at[3] * quality
        missed = np.log1p(np.exp(-s[label]) * 0.8 / 0.2).mean()
        return 0.2 * missed + 0.8 * np.log1p(np.exp(s[~label]) * 0.2 / 0.8).mean()

    best = minimize(cost, np.zeros(4), tol=1e-10).x
    found = [model.offset, *model.weights.values(), *model.quality.values()]
    assert found == pytest.approx(best / [1, 1, 20, 1], rel=1e-3)


def test_two_scores_by_hand():
    # Targets at 1 (3 of 4) and 0, non-targets at 0 (3 of 4) and 1: at 1 odds are 3, at 0 1/3.
    model = fit_logistic([1, 1, 1, 0, 0, 0, 0, 1], [1, 1, 1, 1, 0, 0, 0, 0])
    assert model.apply([0.0, 1.0]) == pytest.approx([-np.log(3), np.log(3)], rel=1e-4)


def test_how_many_trials_of_a_kind_there_are_does_not_matter():
    scores, label = gaussian(200, 200, 4.0)
    again = np.concatenate([np.arange(400), np.repeat(np.flatnonzero(~label), 9)])
    one, two = fit_logistic(scores, label), fit_logistic(scores[again], label[again])
    assert one.weights["system1"] == pytest.approx(two.weights["system1"], rel=1e-3)
    assert one.offset == pytest.approx(two.offset, abs=1e-3)


def test_blocks_of_trials_add_up():
    scores, label = gaussian(50_000, 100_000, 4.0)
    model = fit_logistic(scores, label)
    llr = model.apply(scores)
    # At the optimum both gradients are zero: sums over all trials, block borders or not.
    wrong = np.where(label, 1 / 50_000, -1 / 100_000) / (1 + np.exp(np.where(label, llr, -llr)))
    assert wrong.sum() == pytest.approx(0, abs=1e-6)
    assert wrong @ scores == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize("p_target", [0.01, 1e-4, 0.999])
def test_rare_errors_and_far_priors_converge(p_target):
    # A whole Newton step goes astray here. At the optimum errors weighed by the prior cancel out.
    scores, label = gaussian(1000, 1000, 20.0)
    llr = fit_logistic(scores, label, p_target=p_target).apply(scores) + np.log(p_target / (1 - p_target))
    wrong = np.where(label, p_target, p_target - 1) / 1000 / (1 + np.exp(np.where(label, llr, -llr)))
    assert abs(wrong.sum()) < 1e-5 * np.abs(wrong).sum()
    assert abs(wrong @ scores) < 5e-3 * np.abs(wrong * scores).sum()


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


def test_the_ridge_keeps_parted_scores_where_its_slope_says():
    # Scores +-1: log(1 + exp(-w)) + 1e-8 w^2 / 2 is least where w (1 + exp(w)) = 1e8.
    weight = fit_logistic([1.0, 1.0, -1.0, -1.0], [1, 1, 0, 0]).weights["system1"]
    assert weight * (1 + np.exp(weight)) == pytest.approx(1e8, rel=1e-3)


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
    # Scores 1 n, 2 n, 3 t, 4 n, 5 t, 6 t, and a target and a non-target below and above them.
    # Blocks by hand, the added trials included, in order of score:
    # {low: t n, 1 n, 2 n} 1/4, {3 t, 4 n} 1/2, {5 t, 6 t, high: t n} 3/4: and five of each kind in all.
    model = fit_pav([1, 2, 3, 4, 5, 6], [0, 0, 1, 0, 1, 1])
    assert model.scores == [1, 2, 3, 4, 5, 6]
    assert model.llrs == pytest.approx(np.log([1 / 3, 1 / 3, 1, 1, 3, 3]))
    assert model.apply([-9, 2.5, 99]) == pytest.approx([-np.log(3), -np.log(3) / 2, np.log(3)])


def test_pav_takes_the_counts_of_both_kinds_out():
    # Below: 1 target of 10 trials, above: 2 of 3; of 3 targets and 10 non-targets, added ones included.
    model = fit_pav([1] * 8 + [2], [0] * 8 + [1])
    assert model.llrs == pytest.approx(np.log([1 / 9 / 0.3, 2 / 0.3]))


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
    logistic = fit_logistic(scores, label, quality={"länge": scores**2}, systems=["ä"])
    for model in (logistic, fit_pav(scores, label)):
        save_calibration(model, tmp_path / "calibration.json")
        assert load_calibration(tmp_path / "calibration.json") == model


@pytest.mark.parametrize(
    "change",
    [{"kind": "magic"}, {"offset": "x"}, {"weights": {"a": float("nan")}}, {"extra": 1}, {"notes": 3}],
)
def test_a_file_that_is_no_calibration_is_refused(tmp_path, change):
    path = tmp_path / "calibration.json"
    save_calibration(Logistic(1.0, {"a": 2.0}, {}), path)
    path.write_text(json.dumps({**json.loads(path.read_text()), **change}))
    with pytest.raises(InputError, match="calibration.json: not a calibration of the kinds logistic, pav"):
        load_calibration(path)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"scores": [], "llrs": []}, "0 scores and 0 ratios"),
        ({"llrs": [1.0]}, "2 scores and 1 ratios"),
        ({"scores": [2.0, 1.0]}, "scores that fall"),
        ({"llrs": [2.0, 1.0]}, "llrs that fall"),
        ({"llrs": [float("nan"), 1.0]}, "no finite numbers"),
        ({"scores": ["1", "2"]}, "no finite numbers"),
        ({"targets": "many"}, "no finite numbers"),
        ({"notes": [3]}, "no text"),
    ],
)
def test_a_curve_that_maps_nothing_is_refused(tmp_path, change, said):
    path = tmp_path / "calibration.json"
    save_calibration(Pav([1.0, 2.0], [-1.0, 1.0]), path)
    path.write_text(json.dumps({**json.loads(path.read_text()), **change}))
    with pytest.raises(InputError, match=f"not a calibration .*{said}"):
        load_calibration(path)


def test_no_file_is_said_so(tmp_path):
    with pytest.raises(InputError, match="the calibration is missing .redo stage backend"):
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


@pytest.mark.parametrize("size", [1e308 / 4, 1e200, 1e-170, 1e-320])
def test_scores_beyond_float64_s_squares_are_refused(size):
    scores, label = gaussian(40, 40, 4.0)
    with pytest.raises(InputError, match="cannot be worked out: the numbers are too"):
        fit_logistic(scores / 10 * size, label)
    assert np.isfinite(fit_pav(scores / 10 * size, label).llrs).all()


def test_scores_that_differ_in_the_last_digit_alone_are_refused():
    scores, label = gaussian(40, 40, 4.0, scale=1e-14, shift=1.0)
    with pytest.raises(InputError, match="equal to 12 digits"):
        fit_logistic(scores, label)


@pytest.mark.parametrize("p_target", [0.0, 1e-320, 1e-30, 1.0, 1 - 1e-12, float("nan")])
def test_a_prior_that_rounding_swallows_is_refused(p_target):
    with pytest.raises(InputError, match="p_target .* is not between 1e-09"):
        fit_logistic([1.0, 0.0, 0.5], [1, 0, 0], p_target=p_target)


def test_a_ratio_that_is_too_large_is_refused():
    with pytest.raises(InputError, match="the ratio of trial 2 is too large"):
        Logistic(0.0, {"a": 10.0, "b": 10.0}, {}).apply([[1.0, 1.0], [1e308, -1e308]])


def test_json_of_a_million_brackets_is_refused(tmp_path):
    (tmp_path / "deep.json").write_text("[" * 1_000_000)
    with pytest.raises(InputError, match="deep.json: the calibration is damaged: too deep"):
        load_calibration(tmp_path / "deep.json")
