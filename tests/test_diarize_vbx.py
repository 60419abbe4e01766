"""VBx against all paths written out, and what variational Bayes must do."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest

from pysteps.diarize.vbx import forward_backward, smoothed, vbx
from pysteps.formats.errors import InputError


def _paths(evidence: np.ndarray, priors: np.ndarray, loop: float) -> tuple[np.ndarray, np.ndarray, float]:
    """Posteriors, draws and log likelihood by the sum over all paths, each step stayed or drawn."""
    windows, states = evidence.shape
    gamma, entries, total = np.zeros((windows, states)), np.zeros(states), 0.0
    for path in product(range(states), repeat=windows):
        for drawn in product([False, True], repeat=windows - 1):
            weight = priors[path[0]] * np.exp(evidence[0, path[0]])
            for t in range(1, windows):
                stays = loop * (path[t] == path[t - 1])
                weight *= (1 - loop) * priors[path[t]] if drawn[t - 1] else stays
                weight *= np.exp(evidence[t, path[t]])
            total += weight
            for t, state in enumerate(path):
                gamma[t, state] += weight
                entries[state] += weight * (t == 0 or drawn[t - 1])
    return gamma / total, entries / total, float(np.log(total))


@pytest.mark.parametrize("loop", [0.0, 0.6, 0.99])
def test_forward_backward_equals_the_sum_over_paths(loop: float) -> None:
    evidence = np.random.default_rng(0).normal(size=(4, 3)) * 3
    priors = np.array([0.5, 0.2, 0.3])
    for found, expected in zip(
        forward_backward(evidence, priors, loop), _paths(evidence, priors, loop), strict=True
    ):
        np.testing.assert_allclose(found, expected, rtol=1e-9)


def test_forward_backward_stands_evidence_of_any_size() -> None:
    evidence = np.array([[0.0, -1e5], [-1e5, 0.0], [-3e4, -5e4]])
    gamma, entries, likelihood = forward_backward(evidence, np.array([1.0, 1e-12]), 0.99)
    assert np.isfinite(gamma).all() and np.isfinite(entries).all() and np.isfinite(likelihood)
    np.testing.assert_allclose(gamma.sum(axis=1), 1)


def _conversation(seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    psi = np.linspace(30, 1, 6)
    voices = random.normal(size=(2, 6)) * np.sqrt(psi)
    truth = np.repeat([0, 1, 0, 1], 15)
    return voices[truth] + random.normal(size=(60, 6)), psi, truth


@pytest.mark.parametrize(("fa", "fb"), [(1, 1), (0.3, 17)])
def test_the_bound_rises_with_every_iteration(fa: float, fb: float) -> None:
    x, psi, _ = _conversation()
    start = np.random.default_rng(1).dirichlet(np.ones(5), len(x))
    bound = vbx(x, psi, start, fa=fa, fb=fb, loop=0.9, iterations=15, least_gain=-np.inf).bound
    assert len(bound) == 15
    assert (np.diff(bound) > -1e-8).all() and bound[-1] > bound[0] + 1


def test_superfluous_speakers_die_out() -> None:
    x, psi, truth = _conversation()
    start = smoothed((np.arange(60) // 10) % 6)  # six speakers, cut where nobody changes
    posterior = vbx(x, psi, start, fa=1, fb=3, loop=0.5)
    labels = posterior.speakers.argmax(axis=1)
    assert len(set(labels.tolist())) == 2
    assert (posterior.priors > 1e-3).sum() == 2
    assert len({(one, two) for one, two in zip(truth, labels, strict=True)}) == 2


def test_one_iteration_written_out() -> None:
    # Equations (16), (17), (23) with full matrices; the posterior of a chain that always draws anew.
    random = np.random.default_rng(2)
    x, psi, start = random.normal(size=(5, 3)), np.array([2.0, 1.0, 0.5]), random.dirichlet([1, 1], 5)
    fa, fb, v = 0.4, 3.0, np.diag(np.sqrt([2.0, 1.0, 0.5]))
    evidence, divergence = np.empty((5, 2)), 0.0
    for s in range(2):
        precision = np.eye(3) + fa / fb * start[:, s].sum() * v.T @ v
        mean = fa / fb * np.linalg.solve(precision, sum(start[t, s] * v.T @ x[t] for t in range(5)))
        spread = np.linalg.inv(precision)
        # (25): minus the divergence of a speaker's posterior from N(0, 1).
        divergence += 0.5 * (np.linalg.slogdet(spread)[1] - np.trace(spread) - mean @ mean + 3)
        for t in range(5):
            square = np.trace(v.T @ v @ (spread + np.outer(mean, mean)))
            constant = -1.5 * np.log(2 * np.pi) - 0.5 * x[t] @ x[t]
            evidence[t, s] = fa * (mean @ v.T @ x[t] - 0.5 * square + constant)
    weight = np.exp(evidence) / 2
    found = vbx(x, psi, start, loop=0.0, fa=fa, fb=fb, iterations=1)
    np.testing.assert_allclose(found.speakers, weight / weight.sum(axis=1, keepdims=True), rtol=1e-9)
    assert found.bound[0] == pytest.approx(np.log(weight.sum(axis=1)).sum() + fb * divergence)


def test_smoothing_is_a_softmax() -> None:
    high, low = np.e**5 / (np.e**5 + 2), 1 / (np.e**5 + 2)
    np.testing.assert_allclose(smoothed(np.array([0, 2])), [[high, low, low], [low, low, high]])


def test_bad_numbers_are_refused() -> None:
    x, psi, start = np.ones((3, 2)), np.ones(2), np.ones((3, 2))
    with pytest.raises(InputError, match="0 <= loop < 1"):
        vbx(x, psi, start, loop=1.0)
    with pytest.raises(InputError, match="psi"):
        vbx(x, np.ones(3), start)
