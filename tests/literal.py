"""Definitions written out, slow and without any of our code, for tests to compare with."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import norm

from pysteps.formats.rng import generator


def plda_ratio(psi, enrol, examples, test) -> np.ndarray:
    """[N] log p(test | enrol, one speaker) - log p(test), rows [N, D] where within is 1 and between psi."""
    count = np.broadcast_to(np.asarray(examples, dtype=float), (len(enrol),))[:, None]
    posterior = 1 / (1 / np.maximum(psi, 1e-300) + count)  # variance of the speaker's y, given the enrolment
    same = norm.logpdf(test, posterior * count * enrol, np.sqrt(1 + posterior))
    return (same - norm.logpdf(test, 0, np.sqrt(1 + psi))).sum(axis=1)


def check_differences(found, trials, first, second, people, replicates, ratios=False) -> None:
    """``found`` is what paired_differences says of the scores ``first`` and ``second`` [N] of ``trials``."""
    pairs = [[people[one] for one in trials.pair(number)] for number in range(len(trials))]
    place = {name: number for number, name in enumerate(sorted({one for pair in pairs for one in pair}))}
    sides = np.array([[place[one] for one in pair] for pair in pairs]).T
    # Which speakers are drawn is the one thing that cannot be known otherwise.
    shares = np.full(len(place), 1 / len(place))
    draws = generator(0, "speakers", "bootstrap").multinomial(len(place), shares, size=replicates)
    expected = paired_differences(first, second, trials.is_target, sides, draws)
    assert found["eer_difference"] == pytest.approx(expected["eer"], abs=1e-5)
    assert found["eer_difference_ci"] == pytest.approx(expected["eer_ci"], abs=1e-5)
    for cost in ("0.01", "0.05", "0.001"):
        assert found["min_dcf_difference"][cost] == pytest.approx(expected[cost], abs=1e-6)
        assert found["min_dcf_difference_ci"][cost] == pytest.approx(expected[f"{cost}_ci"], abs=1e-6)
    assert ratios or found["cllr_difference"] is None
    if ratios:
        assert found["cllr_difference"] == pytest.approx(expected["cllr"], abs=1e-5)
        assert found["cllr_difference_ci"] == pytest.approx(expected["cllr_ci"], abs=1e-5)


def paired_differences(first, second, is_target, sides, draws) -> dict:
    """Figures of ``first`` [N] minus ``second`` [N], and their 95 % ends over ``draws`` [R, S] of speakers.

    EER in points, minDCF by cost, Cllr. ``sides`` [2, N]: both speakers' places in the draws. A draw in which
    a kind of trials is gone is left out; an end is a drawn value.
    """
    drawn = np.where(is_target, draws[:, sides[0]], draws[:, sides[0]] * draws[:, sides[1]])
    weights = np.vstack([np.ones(len(is_target)), drawn])
    weights = weights[(weights @ is_target > 0) & (weights @ ~is_target > 0)]
    one, two = (_figures(np.asarray(scores), is_target, weights) for scores in (first, second))
    out = {}
    for key in one:
        change = one[key] - two[key]
        ends = ((0.025, "lower"), (0.975, "higher"))
        out[key] = change[0]
        out[f"{key}_ci"] = [np.quantile(change[1:], tail, method=way) for tail, way in ends]
    return out


def _figures(scores, is_target, weights) -> dict[str, np.ndarray]:
    # Each figure of each row of weights.
    at = np.append(np.unique(scores), np.inf)
    same, other = weights * is_target, weights * ~is_target
    miss = same @ (scores[:, None] < at) / same.sum(axis=1, keepdims=True)
    alarm = other @ (scores[:, None] >= at) / other.sum(axis=1, keepdims=True)
    bits = np.log2(1 + np.exp(np.where(is_target, -scores, scores)))
    out = {"eer": 100 * np.array([np.interp(0, m - a, m) for m, a in zip(miss, alarm, strict=True)])}
    for p in (0.01, 0.05, 0.001):
        out[f"{p:g}"] = (p * miss + (1 - p) * alarm).min(axis=1) / p
    out["cllr"] = (same @ bits / same.sum(axis=1) + other @ bits / other.sum(axis=1)) / 2
    return out
