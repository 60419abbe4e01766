"""Affinities, trees and spectral clustering against slow or full-matrix versions."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import multivariate_normal

from pysteps.backend.plda import Plda
from pysteps.diarize.affinity import cosine_affinity, crossing, plda_affinity
from pysteps.diarize.cluster import build_tree, by_appearance
from pysteps.diarize.options import DiarizeOptions
from pysteps.diarize.spectral import laplacian, pruned, spectral_labels
from pysteps.diarize.system import assign, compare
from pysteps.formats.errors import InputError


def _voices(
    counts: list[int], dim: int = 8, noise: float = 0.2, seed: int = 0
) -> tuple[np.ndarray, list[int]]:
    random = np.random.default_rng(seed)
    centres = np.linalg.qr(random.normal(size=(dim, dim)))[0][: len(counts)]
    truth = [label for label, count in enumerate(counts) for _ in range(count)]
    return centres[truth] + noise * random.normal(size=(len(truth), dim)) / np.sqrt(dim), truth


def _plda(dim: int = 4) -> tuple[Plda, np.ndarray, np.ndarray]:
    random = np.random.default_rng(3)
    transform = random.normal(size=(dim, dim))
    psi = np.array([5.0, 2.0, 0.7, 0.1])
    back = np.linalg.inv(transform)
    return Plda(random.normal(size=dim), transform, psi), back @ back.T, (back * psi) @ back.T


def _ratio(one: np.ndarray, two: np.ndarray, within: np.ndarray, between: np.ndarray) -> float:
    total, none = within + between, np.zeros_like(between)
    same, apart = np.block([[total, between], [between, total]]), np.block([[total, none], [none, total]])
    pair = np.concatenate([one, two])
    return multivariate_normal(cov=same).logpdf(pair) - multivariate_normal(cov=apart).logpdf(pair)


def test_plda_affinity_equals_full_matrices() -> None:
    plda, within, between = _plda()
    x = np.random.default_rng(4).normal(size=(3, 4)) * 2
    centred = x - plda.mean
    lengths = np.einsum("nd,de,ne->n", centred, np.linalg.inv(within + between), centred)
    scaled = centred * np.sqrt(4 / lengths)[:, None]
    expected = [[_ratio(one, two, within, between) for two in scaled] for one in scaled]
    np.testing.assert_allclose(plda_affinity(x, plda), expected, atol=1e-6)


def test_plda_affinity_in_the_recordings_principal_components() -> None:
    plda, within, between = _plda()
    x = np.random.default_rng(5).normal(size=(40, 4)) * [9, 3, 1, 0.3]
    values, vectors = np.linalg.eigh(np.cov((x - plda.mean).T))
    axes = vectors[:, ::-1][:, :3].T  # the largest holds more than half: one below, and two more: 2 of 4
    share = np.cumsum(values[::-1]) / values.sum()
    energy = (share[0] + share[1]) / 2  # one value below: 1 + 2 = 3 axes
    centred = (x - plda.mean) @ axes.T
    inner, outer = axes @ within @ axes.T, axes @ between @ axes.T
    lengths = np.einsum("nd,de,ne->n", centred, np.linalg.inv(inner + outer), centred)
    scaled = centred * np.sqrt(3 / lengths)[:, None]
    found = plda_affinity(x, plda, float(energy))
    for i, j in ((0, 0), (0, 1), (7, 30)):
        assert found[i, j] == pytest.approx(_ratio(scaled[i], scaled[j], inner, outer), abs=1e-6)


def test_cosine_of_a_zero_vector_is_zero() -> None:
    found = cosine_affinity(np.array([[3.0, 4.0], [0.0, 0.0], [4.0, 3.0]]))
    np.testing.assert_allclose(found, [[1, 0, 0.96], [0, 0, 0], [0.96, 0, 1]], atol=1e-12)


def test_crossing_of_two_known_humps() -> None:
    # N(0, 1) and N(8, 1), three to one: equally likely at 4 + log(3) / 8.
    random = np.random.default_rng(0)
    scores = np.concatenate([random.normal(0, 1, 60000), random.normal(8, 1, 20000)])
    assert crossing(scores) == pytest.approx(4 + np.log(3) / 8, abs=0.02)
    assert crossing(10 * scores - 5) == pytest.approx(10 * crossing(scores) - 5, abs=1e-6)


@pytest.mark.parametrize("value", [0.7, -300.0])
def test_equal_scores_have_no_crossing(value: float) -> None:
    noise = np.random.default_rng(0).uniform(-1, 1, (40, 40)) * 1e-7 * abs(value)
    assert crossing(value + noise) == -np.inf


@pytest.mark.parametrize(
    "options", [{"affinity": "plda", "plda_energy": 0.1, "relative": False}, {"threshold": 0.2}]
)
@pytest.mark.parametrize("noise", [0.0, 1e-7])
def test_windows_that_cannot_be_told_apart_are_one_speaker(options: dict, noise: float) -> None:
    random = np.random.default_rng(5)
    plda, chosen = _plda()[0], DiarizeOptions(**options)
    own = random.normal(size=4)
    apart = random.uniform(-1, 1, (30, 4))  # at right angles to what they share
    apart -= np.outer(apart @ (own - plda.mean), own - plda.mean) / ((own - plda.mean) ** 2).sum()
    x = own + noise * apart
    assert assign(compare("r", x, chosen, plda), chosen, plda).tolist() == [0] * 30


def test_a_plda_that_cannot_be_inverted_is_refused() -> None:
    plda = Plda(np.zeros(2), np.array([[1.0, 1.0], [1.0, 1.0]]), np.array([1.0, 0.5]))
    with pytest.raises(InputError, match="can be inverted"):
        plda_affinity(np.random.default_rng(0).normal(size=(5, 2)), plda, 0.5)


def _naive_upgma(affinity: np.ndarray, threshold: float) -> list[set[int]]:
    clusters = [{index} for index in range(len(affinity))]
    while len(clusters) > 1:
        means = {
            (i, j): affinity[np.ix_(sorted(clusters[i]), sorted(clusters[j]))].mean()
            for i in range(len(clusters))
            for j in range(i)
        }
        (i, j), best = max(means.items(), key=lambda item: item[1])
        if best < threshold:
            break
        clusters[j] |= clusters.pop(i)
    return clusters


@pytest.mark.parametrize("threshold", [-0.2, 0.1, 0.4, 0.9])
def test_tree_equals_merging_written_out(threshold: float) -> None:
    x = np.random.default_rng(1).normal(size=(14, 3))
    affinity = cosine_affinity(x)
    tree = build_tree(affinity)
    labels = tree.labels(tree.clusters(threshold))
    found = {frozenset(np.flatnonzero(labels == label).tolist()) for label in set(labels.tolist())}
    assert found == {frozenset(cluster) for cluster in _naive_upgma(affinity, threshold)}


def test_a_known_number_of_speakers_is_kept_to_even_with_ties() -> None:
    tree = build_tree(np.ones((6, 6)))  # all merges at one height: no threshold gives three
    assert len(set(tree.labels(3).tolist())) == 3
    with pytest.raises(InputError, match="7 clusters of 6 windows"):
        tree.labels(7)


def test_labels_count_from_the_first_to_appear() -> None:
    assert by_appearance([5, 5, 2, 9, 2]).tolist() == [0, 0, 1, 2, 1]


@pytest.mark.parametrize("clustering", ["ahc", "spectral"])
def test_clear_voices_are_found_with_their_number(clustering: str) -> None:
    x, truth = _voices([30, 20, 25])
    options = DiarizeOptions(clustering=clustering, max_speakers=6)
    labels = assign(compare("r", x, options), options)
    assert labels.tolist() == truth


@pytest.mark.parametrize("clustering", ["ahc", "spectral"])
def test_a_known_number_goes_before_the_threshold(clustering: str) -> None:
    x, _ = _voices([30, 20, 25])
    options = DiarizeOptions(clustering=clustering, speakers=2, threshold=5.0, relative=False)
    assert set(assign(compare("r", x, options), options).tolist()) == {0, 1}


@pytest.mark.parametrize("clustering", ["ahc", "spectral"])
@pytest.mark.parametrize("count", [1, 2, 3])
def test_very_short_recordings(clustering: str, count: int) -> None:
    options = DiarizeOptions(clustering=clustering, max_speakers=4)
    labels = assign(compare("r", np.ones((count, 4)), options), options)
    assert labels.tolist() == [0] * count  # equal vectors are one speaker


def test_spectral_clustering_repeats_itself() -> None:
    x = np.random.default_rng(2).normal(size=(60, 5))  # no clusters at all: the start decides
    first = spectral_labels(cosine_affinity(x), speakers=4, seed=1, name="r")
    again = spectral_labels(cosine_affinity(x), speakers=4, seed=1, name="r")
    np.testing.assert_array_equal(first, again)


def test_laplacian_by_hand() -> None:
    # Each of three windows keeps itself and its nearest: 0-1 mutual, 2 -> 1 only one way.
    affinity = np.array([[1.0, 0.9, 0.1], [0.9, 1.0, 0.2], [0.1, 0.2, 1.0]])
    joined = pruned(affinity, 2)
    assert joined.tolist() == [[1, 1, 0], [1, 1, 0.5], [0, 0.5, 1]]
    assert laplacian(joined).tolist() == [[1, -1, 0], [-1, 1.5, -0.5], [0, -0.5, 0.5]]


def test_what_cannot_be_is_refused() -> None:
    with pytest.raises(InputError, match="5 windows, max_windows is 4"):
        compare("r", np.ones((5, 2)), DiarizeOptions(max_windows=4))
    options = DiarizeOptions(speakers=3)
    with pytest.raises(InputError, match="r: 3 speakers in 2 windows"):
        assign(compare("r", np.ones((2, 2)), options), options)
    with pytest.raises(InputError, match="--plda FILE"):
        compare("r", np.ones((2, 2)), DiarizeOptions(affinity="plda"))
    with pytest.raises(InputError, match="unknown clustering kmeans .one of ahc, spectral"):
        DiarizeOptions(clustering="kmeans")
    with pytest.raises(InputError, match="not finite"):
        build_tree(np.array([[1.0, np.nan], [np.nan, 1.0]]))
    with pytest.raises(InputError, match="set max_speakers"):
        spectral_labels(np.eye(4), max_speakers=0)
