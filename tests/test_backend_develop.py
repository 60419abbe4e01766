"""Development trials: drawn without building all of them, and read without guessing."""

from __future__ import annotations

import itertools
import tracemalloc
from collections import Counter

import numpy as np
import pytest

from pysteps.backend import develop
from pysteps.backend.develop import all_pairs, dev_trials
from pysteps.backend.vectors import Sides, sides
from pysteps.formats.errors import InputError


@pytest.fixture
def dev() -> Sides:
    return sides(["a1", "a2", "b1"], np.eye(3), {"a1": "a", "a2": "a", "b1": "b"}, {}, ["gone"])


def test_all_pairs_of_a_small_set_are_there_once():
    speakers = ["b", "a", "c", "a", "b", "a"]
    pairs, is_target = all_pairs(speakers)
    assert sorted(map(tuple, pairs.tolist())) == list(itertools.combinations(range(6), 2))
    assert [speakers[a] == speakers[b] for a, b in pairs] == is_target.tolist()


@pytest.mark.parametrize("speakers", [[], ["a"], ["a", "a"], ["a", "b"]])
def test_the_smallest_sets_have_the_pairs_they_have(speakers):
    pairs, is_target = all_pairs(speakers)
    assert pairs.shape == (max(len(speakers) - 1, 0), 2)
    assert is_target.tolist() == [len(set(speakers)) == 1] * len(pairs)


@pytest.mark.parametrize("most", [50, 200, 300])
def test_of_a_large_set_as_many_as_wanted_are_drawn(monkeypatch, most):
    # 5 speakers of 12: 330 pairs of one speaker, 1440 of two.
    monkeypatch.setattr(develop, "MOST", most)
    speakers = [f"s{number % 5}" for number in range(60)]
    pairs, is_target = all_pairs(speakers, 0)
    assert is_target.sum() == most == (~is_target).sum()
    assert [speakers[a] == speakers[b] for a, b in pairs] == is_target.tolist()
    assert (pairs[:, 0] < pairs[:, 1]).all() and len(np.unique(pairs, axis=0)) == len(pairs)
    assert all_pairs(speakers, 0)[0].tolist() == pairs.tolist() != all_pairs(speakers, 1)[0].tolist()


@pytest.mark.parametrize("most", [4, 7])  # by rejection, and by permutation
def test_every_pair_is_drawn_as_often_as_any_other(monkeypatch, most):
    monkeypatch.setattr(develop, "MOST", most)
    speakers = list("aabbbcccc")  # 10 pairs of one speaker, 26 of two
    seen = Counter(tuple(pair) for seed in range(1500) for pair in all_pairs(speakers, seed)[0].tolist())
    for same, total in ((True, 10), (False, 26)):
        every = itertools.combinations(range(9), 2)
        counts = [seen[a, b] for a, b in every if (speakers[a] == speakers[b]) is same]
        expected = 1500 * most / total
        assert len(counts) == total
        # Chi-squared with total - 1 degrees of freedom: 60 is beyond one in 10,000 for 25 of them.
        assert sum((count - expected) ** 2 for count in counts) / (expected * (1 - most / total)) < 60


def test_memory_does_not_grow_with_the_pairs_that_are_not_drawn(monkeypatch):
    monkeypatch.setattr(develop, "MOST", 1000)
    speakers = ["a"] * 6000 + ["b"] * 6000  # 36 million pairs of either kind: 576 MB
    tracemalloc.start()
    pairs, _ = all_pairs(speakers)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert len(pairs) == 2000 and peak < 4e6


def test_both_forms_of_lists_are_read_and_dropped_ids_left_out(tmp_path, dev):
    (tmp_path / "one").write_text("a1 a2 target\na1 b1 nontarget\ngone b1 target\n")
    (tmp_path / "two").write_text("1 a2 a1\n0 b1 a2\n")
    pairs, is_target = dev_trials([tmp_path / "one", tmp_path / "two"], dev)
    assert pairs.tolist() == [[0, 1], [0, 2], [1, 0], [2, 1]]
    assert is_target.tolist() == [True, False, True, False]


@pytest.mark.parametrize("line", ["a1 b1 impostor", "a1 a2 1", "2 a1 a2", "yes a1 a2", "a1 b1 Target"])
def test_a_label_that_is_none_is_refused_with_its_line(tmp_path, dev, line):
    (tmp_path / "trials").write_text(f"a1 a2 target\n{line}\n")
    with pytest.raises(InputError, match=f"trials:2: '{line}' is no trial"):
        dev_trials([tmp_path / "trials"], dev)


def test_an_id_without_a_vector_is_refused_with_its_line(tmp_path, dev):
    (tmp_path / "trials").write_text("a1 a2 target\na1 c1 target\n")
    with pytest.raises(InputError, match="trials:2: c1 has no vector"):
        dev_trials([tmp_path / "trials"], dev)


def test_a_pair_of_both_kinds_is_refused(dev, tmp_path):
    (tmp_path / "trials").write_text("a1 a2 target\n1 a1 b1\na1 b1 nontarget\n")
    with pytest.raises(InputError, match="trials: a1 b1 is listed as target and as nontarget"):
        dev_trials([tmp_path / "trials"], dev)
