"""A threshold to deploy, worked out by hand and against other libraries."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest

from pysteps.backend.threshold import choose_threshold
from pysteps.formats.errors import InputError

SCORES = [1, 2, 3, 4, 5, 6, 7, 8]
LABEL = [0, 0, 1, 0, 0, 1, 1, 1]


def made(speakers: int, seed: int = 0) -> dict[str, np.ndarray]:
    """All pairs of two sides of ``speakers``, three test utterances each; some speakers score higher."""
    random = np.random.default_rng(seed)
    easy = random.normal(size=speakers)
    one, two = (side.ravel() for side in np.indices((speakers, 3 * speakers)))
    two = two // 3
    score = 3.0 * (one == two) + random.normal(size=len(one)) + 0.5 * (easy[one] + easy[two])
    return {"scores": score, "is_target": one == two, "enrol_speaker": one, "test_speaker": two}


def test_a_false_alarm_rate_by_hand():
    # Non-targets 1 2 4 5: one of four may be accepted, so between 4 and 5; the target at 3 is missed.
    found = choose_threshold(SCORES, LABEL, p_fa=0.25)
    assert (found["threshold"], found["p_fa"], found["p_miss"]) == (4.5, 0.25, 0.25)
    assert found["cost"] is None and (found["targets"], found["nontargets"]) == (4, 4)
    assert choose_threshold(SCORES, LABEL, p_fa=0.24)["threshold"] == 5.5
    assert choose_threshold(SCORES, LABEL, p_fa=0.5)["threshold"] == 2.5


def test_a_cost_by_hand():
    # p 0.5, misses twice as dear: at 2.5 two of four false alarms, 0.25; at 5.5 a miss of four, 0.25;
    # with c_fa 0.9 the first is cheaper, with c_fa 1.2 the second. Normalised by the lesser of p C.
    cheap, dear = (choose_threshold(SCORES, LABEL, cost=(0.5, 2, c)) for c in (0.9, 1.2))
    assert (cheap["threshold"], dear["threshold"]) == (2.5, 5.5)
    assert cheap["cost"] == pytest.approx(0.5 * 0.9 * 0.5 / 0.45)
    assert dear["cost"] == pytest.approx(0.5 * 2 * 0.25 / 0.6)


def test_calibrated_scores_get_the_bayes_threshold():
    found = choose_threshold(SCORES, LABEL, cost=(0.01, 1, 1), calibrated=True)
    assert found["threshold"] == pytest.approx(math.log(99))  # 4.6: 3 is missed, 5 accepted
    assert (found["p_miss"], found["p_fa"]) == (0.25, 0.25)
    assert found["cost"] == pytest.approx(0.25 + 99 * 0.25)


def test_equal_scores_stay_together_and_the_threshold_parts_what_it_says():
    found = choose_threshold([1, 2, 2, 3], [0, 0, 1, 0], p_fa=0.5)
    assert found["threshold"] == 2.5 and found["p_fa"] == pytest.approx(1 / 3) and found["p_miss"] == 1
    close = np.nextafter(1.0, 2.0)
    found = choose_threshold([1.0, close], [0, 1], p_fa=0.5)
    assert found["threshold"] == close and (found["p_fa"], found["p_miss"]) == (0, 0)


def test_where_only_rejecting_all_will_do():
    found = choose_threshold([0.0, 1.0, 2.0], [0, 1, 0], p_fa=0.3)
    assert found["threshold"] > 2.0 and (found["p_fa"], found["p_miss"]) == (0, 1)


def test_dropped_trials_are_left_out_and_counted():
    found = choose_threshold([*SCORES, -np.inf, np.inf], [*LABEL, 1, 0], p_fa=0.25)
    assert found["threshold"] == 4.5 and found["p_fa"] == 0.25 and found["dropped_trials"] == 2


def test_intervals_without_speakers_are_clopper_and_pearsons():
    from scipy.stats import binomtest

    found = choose_threshold(SCORES, LABEL, p_fa=0.25)
    exact = binomtest(1, 4).proportion_ci(0.95, "exact")
    assert found["p_fa_ci"] == pytest.approx([exact.low, exact.high])
    none = choose_threshold(SCORES, LABEL, p_fa=0.1)
    assert none["p_fa_ci"] == pytest.approx([0, 1 - 0.025**0.25])  # no error in four: 1 - (tail)^(1/4)
    assert any("too narrow" in note for note in none["notes"])


def test_intervals_over_speakers_are_a_slow_bootstraps():
    trials = made(12)
    found = choose_threshold(**trials, p_fa=0.1, replicates=400)
    random, rates = np.random.default_rng(1), []
    accepted = trials["scores"] >= found["threshold"]
    for _ in range(400):
        drawn = random.integers(12, size=12)
        count = [int((drawn == speaker).sum()) for speaker in range(12)]
        hits = total = 0
        for a, b, target, yes in zip(
            trials["enrol_speaker"], trials["test_speaker"], trials["is_target"], accepted, strict=True
        ):
            if not target:
                total += count[a] * count[b]
                hits += count[a] * count[b] * int(yes)
        rates.append(hits / total)
    assert found["p_fa_ci"] == pytest.approx(np.quantile(rates, [0.025, 0.975]), abs=0.02)
    assert found["speakers"] == 12 and found["interval"] == "bootstrap over speakers"
    assert any("below 30" in note for note in found["notes"])


def test_intervals_hold_the_truth_of_new_speakers():
    held = 0
    for seed in range(20):
        found = choose_threshold(**made(30, seed), p_fa=0.05, replicates=200, seed=seed)
        new = made(60, 1000 + seed)
        alarms = (new["scores"] >= found["threshold"])[~new["is_target"]].mean()
        held += found["p_fa_ci"][0] * 0.9 <= alarms <= found["p_fa_ci"][1] * 1.1
    assert held >= 12  # new speakers scatter too, so less than 95 % of 20


def test_names_of_speakers_do_as_well_as_numbers():
    trials = made(8)
    named = trials | {k: np.array([f"s{n:02}" for n in trials[k]]) for k in ("enrol_speaker", "test_speaker")}
    args = {"cost": (0.1, 1, 1), "replicates": 50}
    assert choose_threshold(**trials, **args) == choose_threshold(**named, **args)


def test_the_answer_is_ready_for_json():
    found = choose_threshold(**made(6), cost=(0.1, 1, 1), replicates=50)
    assert json.loads(json.dumps(found, allow_nan=False)) == found
    assert found["cost_ci"][0] <= found["cost"] <= found["cost_ci"][1]


def test_a_rate_that_the_trials_cannot_show_is_noted():
    notes = choose_threshold(SCORES, LABEL, p_fa=1e-3)["notes"]
    assert any("4 non-target trials cannot show a false-alarm rate of 0.001" in note for note in notes)
    searched = choose_threshold(SCORES, LABEL, cost=(0.5, 1, 1))["notes"]
    assert any("same scores" in note for note in searched)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({}, "one of the two"),
        ({"p_fa": 0.1, "cost": (0.1, 1, 1)}, "one of the two"),
        ({"p_fa": 1.0}, "between 0 and 1"),
        ({"cost": (0.0, 1, 1)}, "no detection cost"),
        ({"p_fa": 0.1, "is_target": [1] * 8}, "no non-target trials"),
        ({"p_fa": 0.1, "is_target": [1, 0]}, "trial labels"),
        ({"p_fa": 0.1, "scores": [*SCORES[:7], np.nan]}, "not finite"),
        ({"p_fa": 0.1, "enrol_speaker": [0] * 8, "test_speaker": [0] * 8}, "must have one speaker"),
        ({"p_fa": 0.1, "enrol_speaker": [0], "test_speaker": [0]}, "differ in number"),
        ({"p_fa": 0.1, "level": 1.5}, "level"),
    ],
)
def test_what_cannot_be_answered_is_refused(change, message):
    with pytest.raises(InputError, match=message):
        choose_threshold(**({"scores": SCORES, "is_target": LABEL} | change))


def test_no_error_seen_is_not_a_rate_of_nought_for_sure():
    trials = made(6) | {"scores": made(6)["is_target"].astype(float)}
    found = choose_threshold(**trials, p_fa=0.5, replicates=50)
    targets, nontargets = found["targets"], found["nontargets"]
    assert (found["p_miss"], found["p_fa"]) == (0, 0)
    assert found["p_miss_ci"] == pytest.approx([0, 1 - 0.025 ** (1 / targets)])
    assert found["p_fa_ci"] == pytest.approx([0, 1 - 0.025 ** (1 / nontargets)])
