"""Adaptation without labels: Kaldi's, CORAL+, and CORAL of training vectors."""

from __future__ import annotations

import numpy as np
import pytest

from pysteps.backend import Plda, fit, fit_plda
from pysteps.backend.adapt import adapt_plda, coral_plus
from pysteps.formats.errors import InputError

RANDOM = np.random.default_rng(7)


def _plda(dim: int = 5) -> Plda:
    voice = np.repeat(RANDOM.normal(size=(40, dim)) * np.linspace(3, 0.3, dim), 4, axis=0)
    x = (voice + RANDOM.normal(size=voice.shape)) @ RANDOM.normal(size=(dim, dim)) + 2
    return fit_plda(x, np.repeat(np.arange(40), 4).astype(str).tolist())


def _covariances(plda: Plda) -> tuple[np.ndarray, np.ndarray]:
    back = np.linalg.inv(plda.transform)
    return back @ back.T, back @ np.diag(plda.psi) @ back.T


def _kaldi(plda: Plda, x: np.ndarray, within: float, between: float, mean_diff: float) -> Plda:
    """PldaUnsupervisedAdaptor::UpdatePlda step by step, in its own order and with its loops."""
    dim = len(plda.mean)
    mean, variance = np.zeros(dim), np.zeros((dim, dim))
    for row in x:
        mean += row
        variance += np.outer(row, row)
    mean, variance = mean / len(x), variance / len(x)
    variance -= np.outer(mean, mean)
    difference = mean - plda.mean
    variance += mean_diff * np.outer(difference, difference)
    transform = plda.transform.copy()
    for i in range(dim):
        transform[i] *= 1 / np.sqrt(1 + plda.psi[i])
    s, p = np.linalg.eigh(transform @ variance @ transform.T)
    s, p = s[::-1], p[:, ::-1]
    w, b = np.zeros((dim, dim)), np.zeros((dim, dim))
    for i in range(dim):
        w[i, i] = 1 / (1 + plda.psi[i])
        b[i, i] = plda.psi[i] / (1 + plda.psi[i])
    w, b = p.T @ w @ p, p.T @ b @ p
    for i in range(dim):
        if s[i] > 1:
            w[i, i] += (s[i] - 1) * within
            b[i, i] += (s[i] - 1) * between
    inverse = np.linalg.inv(p.T @ transform)
    w, b = inverse @ w @ inverse.T, inverse @ b @ inverse.T
    c = np.linalg.inv(np.linalg.cholesky(w))
    psi, q = np.linalg.eigh(c @ b @ c.T)
    return Plda(mean, q[:, ::-1].T @ c, psi[::-1])


@pytest.mark.parametrize("scales", [(0.3, 0.7, 1.0), (0.75, 0.25, 0.0), (0.0, 0.0, 1.0)])
def test_adaptation_is_kaldis_written_out(scales):
    plda = _plda()
    x = RANDOM.normal(size=(60, 5)) * [9, 0.1, 3, 1, 5] + 1
    got = adapt_plda(plda, x, within=scales[0], between=scales[1], mean_diff=scales[2])
    expected = _kaldi(plda, x, *scales)
    np.testing.assert_allclose(got.mean, expected.mean, rtol=1e-9)
    np.testing.assert_allclose(got.psi, expected.psi, rtol=1e-7)
    for one, two in zip(_covariances(got), _covariances(expected), strict=True):
        np.testing.assert_allclose(one, two, rtol=1e-7, atol=1e-9)


def test_defaults_are_kaldis():
    plda, x = _plda(), RANDOM.normal(size=(60, 5)) * 9
    np.testing.assert_allclose(adapt_plda(plda, x).psi, _kaldi(plda, x, 0.3, 0.7, 1.0).psi, rtol=1e-7)


def test_vectors_that_vary_no_more_than_the_model_change_only_the_mean():
    plda = _plda()
    x = RANDOM.normal(size=(60, 5)) * 1e-3
    got = adapt_plda(plda, x, mean_diff=0.0)
    np.testing.assert_allclose(got.mean, x.mean(axis=0))
    for one, two in zip(_covariances(got), _covariances(plda), strict=True):
        np.testing.assert_allclose(one, two, rtol=1e-7, atol=1e-9)


def test_coral_plus_is_the_paper_written_out():
    plda = _plda(4)
    x = RANDOM.normal(size=(200, 4)) @ RANDOM.normal(size=(4, 4)) * 3
    old = _covariances(plda)
    from scipy.linalg import inv, sqrtm

    recolour = sqrtm(np.cov(x.T, bias=True)) @ inv(sqrtm(old[0] + old[1]))
    for one, got in zip(old, _covariances(coral_plus(plda, x, within=0.6, between=0.6)), strict=True):
        # Q by two steps: whiten one, then turn to the eigenvectors of the other.
        values, vectors = np.linalg.eigh(one)
        half = vectors / np.sqrt(values)
        gains, turn = np.linalg.eigh(half.T @ recolour @ one @ recolour.T @ half)
        q = np.linalg.inv(half @ turn)
        largest = q.T @ np.diag(np.maximum(gains, 1.0)) @ q
        np.testing.assert_allclose(got, 0.4 * one + 0.6 * largest, rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("adapt", [adapt_plda, coral_plus])
def test_what_cannot_be_adapted_to_is_refused(adapt):
    plda = _plda()
    with pytest.raises(InputError, match="3 dimensions for a PLDA of 5"):
        adapt(plda, np.ones((4, 3)))
    with pytest.raises(InputError, match="two vectors"):
        adapt(plda, np.ones((1, 5)))
    with pytest.raises(InputError, match="within"):
        adapt(plda, np.eye(5), within=-1)
    for few in (np.eye(5)[:2], np.ones((9, 5))):
        got = adapt(plda, few)
        assert np.isfinite(got.transform).all() and np.isfinite(got.psi).all()


def test_a_plda_of_few_directions_is_adapted():
    x = RANDOM.normal(size=(40, 5))
    plda = fit_plda(x, np.repeat(np.arange(10), 4).astype(str).tolist(), rank=2)
    for adapt in (adapt_plda, coral_plus):
        got = adapt(plda, RANDOM.normal(size=(50, 5)) * 4)
        assert np.isfinite(got.transform).all() and (got.psi >= 0).all()


def test_coral_gives_training_vectors_the_sets_moments_and_leaves_others():
    x, other = RANDOM.normal(size=(300, 3)) * [1, 2, 3] + 4, RANDOM.normal(size=(200, 3)) * [5, 1, 1] - 2
    chain = fit("coral adapt=new regularise=0", x, ["a"] * 300, {"new": other})
    moved = chain.train(x)
    np.testing.assert_allclose(moved.mean(axis=0), other.mean(axis=0), atol=1e-9)
    np.testing.assert_allclose(np.cov(moved.T), np.cov(other.T) * (299 / 300) ** -1 * 199 / 200, atol=1e-8)
    assert chain.apply(x).tolist() == x.tolist()


def test_links_behind_coral_are_learned_in_the_sets_domain():
    x, other = RANDOM.normal(size=(30, 3)), RANDOM.normal(size=(20, 3)) + 9
    chain = fit("coral adapt=new | center", x, ["a"] * 30, {"new": other})
    np.testing.assert_allclose(chain.apply(other).mean(axis=0), 0, atol=1e-12)


def test_coral_regularised_is_suns_formula():
    from scipy.linalg import inv, sqrtm

    x, other = RANDOM.normal(size=(50, 3)) * [1, 2, 3], RANDOM.normal(size=(40, 3)) * [5, 1, 1]
    chain = fit("coral adapt=new regularise=0.5", x, ["a"] * 50, {"new": other})
    roots = []
    for rows in (x, other):
        covariance = np.cov(rows.T, bias=True)
        roots.append(sqrtm(covariance + 0.5 * np.trace(covariance) / 3 * np.eye(3)))
    expected = (x - x.mean(axis=0)) @ inv(roots[0]) @ roots[1] + other.mean(axis=0)
    np.testing.assert_allclose(chain.train(x), expected, atol=1e-8)


def test_a_set_that_is_not_there_is_refused():
    with pytest.raises(InputError, match="adapt=new: no such set here, known are old"):
        fit("coral adapt=new", np.eye(3), list("aab"), {"old": np.eye(3)})
    with pytest.raises(InputError, match="say coral adapt=SET"):
        fit("coral", np.eye(3), list("aab"))
