"""PLDA at its limits: what nothing can be learned from is refused, what is scarce gives finite scores."""

from __future__ import annotations

import numpy as np
import pytest

from pysteps.backend import fit_plda, log_likelihood, plda_scores
from pysteps.formats.errors import InputError


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
    assert np.isfinite(plda_scores(plda, x, x[::-1], np.column_stack([np.arange(len(x))] * 2))).all()


@pytest.mark.parametrize("rank", [None, 2])
@pytest.mark.parametrize("iterations", [1, 10, 50])
def test_more_dimensions_than_speakers_and_a_singular_scatter_give_finite_scores(rank, iterations):
    # 3 speakers, 7 vectors in a plane of 12 dimensions.
    random = np.random.default_rng(0)
    x = random.normal(size=(7, 2)) @ random.normal(size=(2, 12))
    plda = fit_plda(x, list("aabbbcc"), rank=rank, iterations=iterations)
    every = np.array([(a, b) for a in range(7) for b in range(7)])
    for kind in ("model", "simple", "none"):
        assert np.isfinite(plda_scores(plda, x, x, every, normalise=kind)).all()
    for other in (plda.smoothed(0.5), plda.shrunk(0.5), plda.shrunk(1.0)):
        assert np.isfinite(plda_scores(other, x, x, every)).all()
    assert np.isfinite(log_likelihood(plda, x, list("aabbbcc")))


def test_a_dead_dimension_gives_a_finite_answer():
    x, speakers = np.random.default_rng(0).normal(size=(60, 3)), [f"s{number // 3}" for number in range(60)]
    x = np.column_stack([x, np.zeros(len(x)), x[:, 0]])
    plda = fit_plda(x, speakers)
    assert np.isfinite(plda_scores(plda, x, x[::-1], np.column_stack([np.arange(len(x))] * 2))).all()


def test_a_mean_of_no_utterances_is_refused():
    plda = fit_plda(np.random.default_rng(0).normal(size=(8, 4)), list("aabbccdd"))
    with pytest.raises(InputError, match="one at least"):
        plda.project(np.ones((1, 4)), 0)
