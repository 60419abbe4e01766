"""The extraction plan: batches of one length; long utterances in equal parts."""

from __future__ import annotations

import numpy as np

from pysteps.extract.vectors import batches, embed_all, mean_and_deviation, parts


def test_batches_hold_one_length_in_order_of_length() -> None:
    lengths = {"a": 5, "b": 3, "c": 5, "d": 5, "e": 3}
    assert batches(lengths, 2) == [["b", "e"], ["a", "c"], ["d"]]


def test_long_utterances_are_cut_into_equal_parts() -> None:
    assert parts(10, 0) == [(0, 10)] and parts(10, 10) == [(0, 10)]
    assert parts(10, 4) == [(0, 3), (3, 7), (7, 10)]


def test_parts_are_averaged_with_their_lengths() -> None:
    matrix = np.arange(10, dtype=np.float32)[:, None]

    def embed(batch: list[np.ndarray]) -> np.ndarray:
        assert len({len(one) for one in batch}) == 1
        return np.stack([one.mean(0) for one in batch])

    # The mean of parts weighted by length is the mean of all frames: 4.5.
    assert embed_all({"u": matrix}, embed, 8, 4)["u"].tolist() == [4.5]


def test_every_utterance_gets_its_own_vector() -> None:
    features = {f"u{n}": np.full((3 + n % 2, 2), n, np.float32) for n in range(7)}
    vectors = embed_all(features, lambda batch: np.stack([one[0] for one in batch]), 3, 0)
    assert {utt: vector[0] for utt, vector in vectors.items()} == {f"u{n}": n for n in range(7)}


def test_baseline_vector_by_hand() -> None:
    vector = mean_and_deviation(np.asarray([[1.0, 2.0], [3.0, 2.0]], np.float32))
    assert vector.tolist() == [2.0, 2.0, 1.0, 0.0]
