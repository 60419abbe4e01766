"""The bootstrap over speakers, against trials that are really repeated."""

from __future__ import annotations

import numpy as np
import pytest

from pysteps.formats.errors import InputError
from pysteps.formats.rng import generator
from pysteps.metrics import (
    act_dcf,
    cllr,
    eer,
    eer_hull,
    interval,
    min_cllr,
    min_dcf,
    paired,
    replicate,
)


def _trials(seed: int = 0, speakers: int = 7, size: int = 300, ties: bool = False):
    random = np.random.default_rng(seed)
    a = random.integers(0, speakers, size)
    b = np.where(random.random(size) < 0.4, a, random.integers(0, speakers, size))
    scores = random.normal(size=size) + 2 * (a == b)
    return (np.round(scores * 2) / 2 if ties else scores), a == b, a, b


@pytest.mark.parametrize("ties", [False, True])
def test_a_replicate_is_what_repeated_trials_give(ties):
    scores, label, a, b = _trials(ties=ties)
    drawn = replicate(scores, label, a, b, p_targets=(0.05,), replicates=40, seed=3)
    weights = generator(3, "speakers", "bootstrap").multinomial(7, np.full(7, 1 / 7), size=40)
    for number, weight in enumerate(weights):
        times = np.where(label, weight[a], weight[a] * weight[b])
        tar, non = (np.repeat(scores[kind], times[kind]) for kind in (label, ~label))
        assert drawn.eer[number] == pytest.approx(eer(tar, non).rate, abs=1e-12)
        assert drawn.min_dcf[0.05][number] == pytest.approx(min_dcf(tar, non, 0.05), abs=1e-12)


@pytest.mark.parametrize("ties", [False, True])
def test_every_figure_of_a_replicate_is_what_repeated_trials_give(ties):
    scores, label, a, b = _trials(8, ties=ties)
    cost, keys = (0.02, 5.0, 2.0), {"hull": True, "likelihood_ratios": True}
    drawn = replicate(scores, label, a, b, p_targets=(cost,), replicates=30, seed=3, **keys)
    weights = generator(3, "speakers", "bootstrap").multinomial(7, np.full(7, 1 / 7), size=30)
    for number, weight in enumerate(weights):
        times = np.where(label, weight[a], weight[a] * weight[b])
        tar, non = (np.repeat(scores[kind], times[kind]) for kind in (label, ~label))
        assert drawn.min_dcf[cost][number] == pytest.approx(min_dcf(tar, non, *cost), abs=1e-12)
        assert drawn.act_dcf[cost][number] == pytest.approx(act_dcf(tar, non, *cost), abs=1e-12)
        assert drawn.eer_hull[number] == pytest.approx(eer_hull(tar, non), abs=1e-9)
        assert drawn.min_cllr[number] == pytest.approx(min_cllr(tar, non), abs=1e-9)
        assert drawn.cllr[number] == pytest.approx(cllr(tar, non), abs=1e-9)


def test_chunks_do_not_change_the_figures(monkeypatch):
    trials = _trials(1)
    whole = replicate(*trials, p_targets=(0.01,), replicates=50)
    monkeypatch.setattr("pysteps.metrics.intervals._CHUNK_BYTES", 1)
    pieces = replicate(*trials, p_targets=(0.01,), replicates=50)
    assert whole.eer.tobytes() == pieces.eer.tobytes()
    assert whole.min_dcf[0.01].tobytes() == pieces.min_dcf[0.01].tobytes()


def test_sums_in_pieces_do_not_change_the_figures(monkeypatch):
    trials = _trials(9)
    keys = {"p_targets": (0.05,), "replicates": 30, "likelihood_ratios": True}
    whole = replicate(*trials, **keys)
    monkeypatch.setattr("pysteps.metrics.intervals._TRIALS", 7)  # 300 trials: the last piece is smaller
    pieces = replicate(*trials, **keys)
    np.testing.assert_array_equal(whole.act_dcf[0.05], pieces.act_dcf[0.05])  # counts
    np.testing.assert_allclose(whole.cllr, pieces.cllr, rtol=1e-12)  # sums in another order


def test_order_of_trials_and_codes_of_speakers_do_not_matter():
    scores, label, a, b = _trials(2)
    turned = replicate(scores[::-1], label[::-1], 10 * a[::-1] + 5, 10 * b[::-1] + 5, replicates=30)
    np.testing.assert_allclose(turned.eer, replicate(scores, label, a, b, replicates=30).eer, atol=1e-12)


def test_seed_decides():
    trials = _trials(3)
    first = replicate(*trials, replicates=30, seed=1).eer
    assert first.tobytes() == replicate(*trials, replicates=30, seed=1).eer.tobytes()
    assert first.tobytes() != replicate(*trials, replicates=30, seed=2).eer.tobytes()


def test_interval_holds_the_figure_and_narrows_with_speakers():
    widths = []
    for speakers in (10, 80):
        scores, label, a, b = _trials(4, speakers, 6000)
        scores += np.random.default_rng(4).normal(size=speakers)[a] * label  # easy and hard voices
        low, high = interval(replicate(scores, label, a, b, replicates=200).eer)
        assert low < eer(scores[label], scores[~label]).rate < high
        widths.append(high - low)
    assert widths[1] < widths[0]


def test_interval_is_the_central_share():
    assert interval(np.arange(101.0), 0.5) == (25.0, 75.0)
    assert interval(np.array([1.0, np.nan, 2.0])) == (1.0, 2.0)
    with pytest.raises(InputError, match="too few speakers"):
        interval(np.array([np.nan, 1.0]))


def test_replicates_without_a_kind_of_trial_are_nan():
    # Two speakers: half of the draws hold one of them twice and leave no non-target trial.
    drawn = replicate([2, 2, 1], [True, True, False], [0, 1, 0], [0, 1, 1], replicates=200).eer
    assert 50 < np.isnan(drawn).sum() < 150
    assert set(drawn[~np.isnan(drawn)]) == {0.0}


def test_a_system_does_not_differ_from_itself():
    drawn = replicate(*_trials(5), replicates=50).eer
    found = paired(drawn, drawn, (0.2, 0.2))
    assert found == (0.0, (0.0, 0.0), 1.0, (1.0, 1.0))


def test_pairing_sees_a_difference_that_single_intervals_hide():
    scores, label, a, b = _trials(6, 20, 3000)
    scores = scores + np.random.default_rng(0).normal(size=20)[a]
    worse = scores - 0.35 * label
    one, two = (replicate(part, label, a, b, replicates=300).eer for part in (scores, worse))
    rates = tuple(eer(part[label], part[~label]).rate for part in (scores, worse))
    assert interval(one)[1] > interval(two)[0]
    assert paired(one, two, rates).difference_ci[1] < 0
    assert paired(one, two, rates).ratio_ci[1] < 1


def test_labels_that_contradict_speakers_are_refused():
    with pytest.raises(InputError, match="one speaker"):
        replicate([1, 0], [True, False], [0, 1], [1, 1])
    with pytest.raises(InputError, match="differ in number"):
        replicate([1, 0], [True, False], [0], [1])


def test_infinite_scores_are_counted_as_wrong():
    scores, label, a, b = _trials(7)
    scores = np.where(np.arange(len(scores)) % 10 == 0, np.where(label, -np.inf, np.inf), scores)
    worse = replicate(scores, label, a, b, replicates=20, infinite=True).eer
    assert (worse > replicate(*_trials(7), replicates=20).eer).all()
