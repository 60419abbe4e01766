"""PLDA against the model written out with full matrices."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy.stats import multivariate_normal

from pysteps.backend import Plda, fit_plda, log_likelihood, plda_scores
from pysteps.backend.plda import expectation_maximisation_step, simplified_step
from pysteps.backend.ratio import enrolment, square_weights
from pysteps.backend.stats import gather
from pysteps.formats.errors import InputError
from tests.literal import plda_ratio


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
    factor, term = enrolment(plda.psi, one, examples)
    got = factor[0] @ two[0] + square_weights(plda.psi, examples) @ two[0] ** 2 + term[0]
    assert got == pytest.approx(expected, abs=1e-6)
    assert got == pytest.approx(plda_ratio(plda.psi, one, examples, two)[0], abs=1e-9)


def _literal_ratio(plda, enrolled, test, within, between):
    """log p(all of one speaker) - log p(enrolled of one, test of another), every utterance written out."""

    def law(sizes):
        n = sum(sizes)
        same = np.zeros((n, n))
        for begin, size in zip(np.cumsum([0, *sizes[:-1]]), sizes, strict=True):
            same[begin : begin + size, begin : begin + size] = 1
        return multivariate_normal(
            np.tile(plda.mean, n), np.kron(np.eye(n), within) + np.kron(same, between), allow_singular=False
        )

    at = np.concatenate([*enrolled, test])
    return law([len(enrolled) + 1]).logpdf(at) - law([len(enrolled), 1]).logpdf(at)


@pytest.mark.parametrize("count", [1, 2, 4])
def test_scores_of_several_utterances_equal_full_matrices(count):
    plda = fit_plda(*_speech())
    within, between = _covariances(plda)
    random = np.random.default_rng(count)
    enrolled, test = random.normal(size=(count, 4)) * 3 + 5, random.normal(size=4) * 3 + 5
    expected = _literal_ratio(plda, enrolled, test, within, between)
    mean = enrolled.mean(axis=0, keepdims=True)
    got = plda_scores(plda, mean, test[None], np.array([[0, 0]]), examples=count, normalise="none")
    assert got[0] == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("count", [1, 3])
def test_scores_of_the_vbx_plda_equal_full_matrices(shared_data, count):
    plda = Plda.load(shared_data / "reference/vbx/plda")
    within, between = _covariances(plda)
    random = np.random.default_rng(0)
    voices = plda.mean + random.multivariate_normal(np.zeros(128), between, size=2)
    noise = random.multivariate_normal(np.zeros(128), within, size=(2, 3))
    x = voices[:, None] + noise
    for test in (x[0, 2], x[1, 2]):
        enrolled = np.concatenate([x[0, :2], x[0, :1] + 0.1])[:count]
        expected = _literal_ratio(plda, enrolled, test, within, between)
        mean = enrolled.mean(axis=0, keepdims=True)
        got = plda_scores(plda, mean, test[None], np.array([[0, 0]]), examples=count, normalise="none")
        assert got[0] == pytest.approx(expected, abs=1e-6)


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


def _rises(values) -> bool:
    values = np.array(values)
    return bool((np.diff(values) >= -1e-9 * np.abs(values[1:])).all())


@settings(max_examples=25, deadline=None)
@given(
    speakers=st.integers(8, 40),
    dim=st.integers(1, 6),
    most=st.integers(2, 7),
    seed=st.integers(0, 10**6),
)
def test_likelihood_rises_with_each_iteration(speakers, dim, most, seed):
    x, names = _speech(speakers, dim, seed, most)
    assume(len(x) - speakers > dim)  # else within is singular and its floor is another model
    stats = gather(x, names, "PLDA")
    plda = Plda(stats.means.mean(axis=0), np.eye(dim), np.ones(dim))
    values = [log_likelihood(plda, x, names)]
    for _ in range(8):
        plda = expectation_maximisation_step(plda, stats)
        values.append(log_likelihood(plda, x, names))
    assert _rises(values) and values[1] > values[0]


@settings(max_examples=25, deadline=None)
@given(rank=st.integers(1, 5), seed=st.integers(0, 10**6))
def test_likelihood_of_simplified_plda_rises_too(rank, seed):
    x, names = _speech(30, 5, seed)
    values = [log_likelihood(fit_plda(x, names, rank=rank, iterations=n), x, names) for n in range(1, 8)]
    assert _rises(values)


def test_simplified_plda_is_em_written_out():
    # Kenny's update with full matrices, a speaker at a time, from the same first V and within.
    x, speakers = _speech(9, 3)
    stats = gather(x, speakers, "PLDA")
    names, mean = np.array(speakers), stats.means.mean(axis=0)
    random = np.random.default_rng(0)
    voices, within = random.normal(size=(3, 2)), np.eye(3) + 0.3
    inverse = np.linalg.inv(within)
    top, bottom, moments = np.zeros((3, 2)), np.zeros((2, 2)), np.zeros((2, 2))
    for one in sorted(set(speakers)):
        rows = x[names == one] - mean
        spread = np.linalg.inv(np.eye(2) + len(rows) * voices.T @ inverse @ voices)
        centre = spread @ voices.T @ inverse @ rows.sum(axis=0)
        second = spread + np.outer(centre, centre)
        top += np.outer(rows.sum(axis=0), centre)
        bottom += len(rows) * second
        moments += second
    new = top @ np.linalg.inv(bottom)
    expected = (x - mean).T @ (x - mean) - new @ top.T
    between = new @ (moments / len(set(speakers))) @ new.T
    got = simplified_step(mean, voices, within, stats)
    np.testing.assert_allclose(got[1], expected / len(x), rtol=1e-9)
    np.testing.assert_allclose(got[0] @ got[0].T, between, rtol=1e-9)


def test_simplified_plda_of_full_rank_is_the_two_covariance_model():
    x, speakers = _speech(60, 3)
    both = [fit_plda(x, speakers, iterations=200, rank=rank) for rank in (None, 3)]
    for one, two in zip(_covariances(both[0]), _covariances(both[1]), strict=True):
        np.testing.assert_allclose(one, two, rtol=1e-4, atol=1e-4 * np.abs(one).max())


def test_rank_leaves_as_many_directions():
    plda = fit_plda(*_speech(), rank=2)
    assert (plda.psi[:2] > 0).all() and (plda.psi[2:] == 0).all()
    with pytest.raises(InputError, match="rank=5: 30 speakers and 4 dimensions allow 1 to 4"):
        fit_plda(*_speech(), rank=5)


def test_smoothing_adds_between_to_within():
    plda = fit_plda(*_speech())
    within, between = _covariances(plda)
    got = _covariances(plda.smoothed(0.3))
    np.testing.assert_allclose(got[0], within + 0.3 * between, rtol=1e-9)
    np.testing.assert_allclose(got[1], between, rtol=1e-9)


def test_shrinking_moves_to_the_mean_variance():
    plda = fit_plda(*_speech())
    for old, new in zip(_covariances(plda), _covariances(plda.shrunk(0.25)), strict=True):
        expected = 0.75 * old + 0.25 * np.trace(old) / 4 * np.eye(4)
        np.testing.assert_allclose(new, expected, rtol=1e-8, atol=1e-10)


def test_statistics_do_not_depend_on_the_size_of_blocks(monkeypatch):
    x, speakers = _speech(30, 4)
    order = np.random.default_rng(0).permutation(len(x))
    x, speakers = x[order].astype(np.float32), [speakers[number] for number in order]
    whole = gather(x, speakers, "PLDA")
    monkeypatch.setattr("pysteps.backend.stats._ROWS", 7)
    parts = gather(x, speakers, "PLDA")
    for name in ("means", "counts", "scatter", "mean"):
        np.testing.assert_allclose(getattr(parts, name), getattr(whole, name), rtol=1e-12, atol=1e-10)
    with pytest.raises(InputError, match="1 vectors are not finite, the first is row 9"):
        gather(np.where(np.arange(len(x))[:, None] == 8, np.nan, x), speakers, "PLDA")


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
    plda.save(tmp_path / "text", text=True)
    again = Plda.load(tmp_path / "text")
    assert (tmp_path / "text").read_bytes().startswith(b"<Plda>  [ ")
    for name in ("mean", "transform", "psi"):
        np.testing.assert_array_equal(getattr(again, name), getattr(plda, name))
