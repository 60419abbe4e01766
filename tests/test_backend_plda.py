"""PLDA against the model written out with full matrices."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import multivariate_normal

from pysteps.backend import Plda, fit_plda, log_likelihood
from pysteps.backend.plda import expectation_maximisation_step
from pysteps.backend.stats import gather
from pysteps.formats.errors import InputError


def _speech(speakers: int = 30, dim: int = 4, seed: int = 0, most: int = 6):
    random = np.random.default_rng(seed)
    mix = random.normal(size=(dim, dim))
    counts = random.integers(1, most + 1, speakers)
    names = np.repeat([f"s{number:03d}" for number in range(speakers)], counts)
    voice = np.repeat(random.normal(size=(speakers, dim)) * np.linspace(3, 0.5, dim), counts, axis=0)
    return (voice + random.normal(size=voice.shape)) @ mix.T + 5, names.tolist()


def _covariances(plda: Plda) -> tuple[np.ndarray, np.ndarray]:
    back = np.linalg.inv(plda.transform)
    return back @ back.T, back @ np.diag(plda.psi) @ back.T


@pytest.mark.parametrize("examples", [1, 2, 5])
def test_ratio_equals_full_matrices(examples):
    plda = fit_plda(*_speech())
    within, between = _covariances(plda)
    enrol, test = np.random.default_rng(1).normal(size=(2, 4)) * 3 + 5
    # Joint law of (mean of n utterances, test utterance) for one speaker and for two.
    own = [between + within / examples, between + within]
    same = np.block([[own[0], between], [between, own[1]]])
    apart = np.block([[own[0], 0 * between], [0 * between, own[1]]])
    at, both = np.concatenate([enrol, test]), np.tile(plda.mean, 2)
    expected = multivariate_normal(both, same).logpdf(at) - multivariate_normal(both, apart).logpdf(at)
    one, two = plda.project(enrol[None], examples, "none"), plda.project(test[None], 1, "none")
    assert plda.log_likelihood_ratio(one, examples, two)[0] == pytest.approx(expected, abs=1e-6)


def test_total_log_likelihood_equals_full_matrices():
    x, speakers = _speech(8, 3)
    plda = fit_plda(x, speakers)
    within, between = _covariances(plda)
    expected = 0.0
    for speaker in set(speakers):
        rows = x[np.array(speakers) == speaker]
        n = len(rows)
        law = np.kron(np.eye(n), within) + np.kron(np.ones((n, n)), between)
        expected += multivariate_normal(np.tile(plda.mean, n), law).logpdf(rows.ravel())
    assert log_likelihood(plda, x, speakers) == pytest.approx(expected, rel=1e-9)


def test_likelihood_rises_with_each_iteration():
    x, speakers = _speech(40, 6)
    stats = gather(x, speakers, "PLDA")
    plda = Plda(stats.means.mean(axis=0), np.eye(6), np.ones(6))
    before = log_likelihood(plda, x, speakers)
    for _ in range(10):
        plda = expectation_maximisation_step(plda, stats)
        after = log_likelihood(plda, x, speakers)
        assert after > before
        before = after


def test_one_iteration_is_kaldis_written_out():
    # Kaldi's GetStatsFromIntraClass and GetStatsFromClassMeans with full matrices, from 1 and 1.
    x, speakers = _speech(9, 3)
    names = np.array(speakers)
    means = np.array([x[names == one].mean(axis=0) for one in sorted(set(speakers))])
    within, between = np.zeros((3, 3)), np.zeros((3, 3))
    for mean, one in zip(means, sorted(set(speakers)), strict=True):
        rows = x[names == one]
        n, offset = len(rows), mean - means.mean(axis=0)
        mixed = np.linalg.inv(np.eye(3) + n * np.eye(3))
        centre = mixed @ (n * offset)
        between += mixed + np.outer(centre, centre)
        within += (rows - mean).T @ (rows - mean) + n * (mixed + np.outer(offset - centre, offset - centre))
    got = _covariances(fit_plda(x, speakers, iterations=1))
    np.testing.assert_allclose(got[0], within / len(x), rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(got[1], between / len(means), rtol=1e-9, atol=1e-12)


def test_known_variances_are_found():
    random = np.random.default_rng(0)
    voice = np.repeat(random.normal(size=(3000, 2)) * [2.0, 0.5], 5, axis=0)
    plda = fit_plda(
        voice + random.normal(size=voice.shape), np.repeat(np.arange(3000), 5).astype(str).tolist()
    )
    np.testing.assert_allclose(plda.psi, [4.0, 0.25], rtol=0.1)
    np.testing.assert_allclose(np.abs(plda.transform), np.eye(2), atol=0.08)


def test_length_norms_are_kaldis():
    plda = fit_plda(*_speech())
    x = np.random.default_rng(2).normal(size=(3, 4)) + 5
    plain, simple, model = (plda.project(x, [1, 2, 3], kind) for kind in ("none", "simple", "model"))
    np.testing.assert_allclose(np.linalg.norm(simple, axis=1), 2.0)
    variance = plda.psi + 1 / np.array([[1.0], [2.0], [3.0]])
    np.testing.assert_allclose((model**2 / variance).sum(axis=1), 4.0)
    np.testing.assert_allclose(model / plain, np.repeat((model / plain)[:, :1], 4, axis=1))
    with pytest.raises(InputError, match="known are model, simple, none"):
        plda.project(x, 1, "l2")


def test_vbx_plda_is_read_and_written_with_equal_bytes(shared_data, tmp_path):
    source = shared_data / "reference/vbx/plda"
    plda = Plda.load(source)
    assert plda.transform.shape == (128, 128) and (np.diff(plda.psi) <= 0).all()
    plda.save(tmp_path / "plda")
    assert (tmp_path / "plda").read_bytes() == source.read_bytes()


@pytest.mark.parametrize(
    ("x", "speakers", "said"),
    [
        (np.eye(4), list("abcd"), "each of the 4 speakers has one"),
        (np.eye(4), list("aaaa"), "at least two speakers"),
        (np.ones((4, 2)), list("aabb"), "equal"),
        (np.eye(4), list("aab"), "4 vectors but 3"),
        (np.full((4, 2), np.nan), list("aabb"), "not finite"),
        (np.empty((0, 2)), [], "shape"),
    ],
)
def test_what_cannot_be_learned_from_is_refused(x, speakers, said):
    with pytest.raises(InputError, match=said):
        fit_plda(x, speakers)


def test_fewer_vectors_than_dimensions_give_a_finite_answer():
    x = np.random.default_rng(0).normal(size=(6, 20))
    plda = fit_plda(x, list("aabbcc"))
    one = plda.project(x)
    assert np.isfinite(plda.log_likelihood_ratio(one, 1, one[::-1])).all()


def test_a_dead_dimension_gives_a_finite_answer():
    x, speakers = _speech(20, 3)
    x = np.column_stack([x, np.zeros(len(x)), x[:, 0]])
    plda = fit_plda(x, speakers)
    one = plda.project(x)
    assert np.isfinite(plda.log_likelihood_ratio(one, 1, one[::-1])).all()


def test_a_mean_of_no_utterances_is_refused():
    plda = fit_plda(*_speech())
    with pytest.raises(InputError, match="one at least"):
        plda.project(np.ones((1, 4)), 0)
