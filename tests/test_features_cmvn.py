"""CMVN against hand-computed numbers and a slow loop that says what Kaldi's SlidingWindowCmn does."""

from __future__ import annotations

import numpy as np
import pytest

from pysteps.features.cmvn import apply_cmvn, cmvn_stats, select_voiced, sliding_cmn, sliding_frames
from pysteps.formats.errors import InputError


def test_statistics_by_hand() -> None:
    features = np.array([[1, 2], [3, 4], [100, 100]], np.float32)
    stats = cmvn_stats(features, np.array([True, True, False]))
    np.testing.assert_array_equal(stats, [[4, 6, 2], [10, 20, 0]])


def test_mean_of_voiced_frames_is_taken_from_all() -> None:
    features = np.array([[1, 2], [3, 4], [100, 100]], np.float32)
    stats = cmvn_stats(features, np.array([True, True, False]))
    np.testing.assert_allclose(apply_cmvn(features, stats), [[-1, -1], [1, 1], [98, 97]])
    np.testing.assert_allclose(apply_cmvn(features, stats, norm_vars=True)[:2], [[-1, -1], [1, 1]])


def test_no_voiced_frame_is_refused() -> None:
    features = np.ones((3, 2), np.float32)
    with pytest.raises(InputError, match="0 frames"):
        apply_cmvn(features, cmvn_stats(features, np.zeros(3, bool)))


def test_vad_of_another_length_is_refused() -> None:
    with pytest.raises(InputError, match="2 VAD decisions for 3 frames"):
        select_voiced(np.ones((3, 2)), np.ones(2, bool))


def slow(features: np.ndarray, window: int, min_window: int, center: bool, norm_vars: bool) -> np.ndarray:
    out = np.zeros(features.shape)
    for t in range(len(features)):
        if center:
            start = t - window // 2
            end = start + window
        else:
            start, end = t - window, t + 1
        if start < 0:
            end, start = end - start, 0
        if not center and end > t:
            end = max(t + 1, min_window)
        if end > len(features):
            start, end = max(start - (end - len(features)), 0), len(features)
        part = features[start:end].astype(np.float64)
        out[t] = features[t] - part.mean(0)
        if norm_vars:
            out[t] = 0 if len(part) == 1 else out[t] / np.sqrt(np.maximum(part.var(0), 1e-10))
    return out


@pytest.mark.parametrize("norm_vars", [False, True])
@pytest.mark.parametrize("center", [False, True])
@pytest.mark.parametrize("frames", [0, 1, 2, 7, 29, 30, 31, 95])
def test_sliding_equals_the_slow_loop(frames: int, center: bool, norm_vars: bool) -> None:
    features = np.random.default_rng(frames).standard_normal((frames, 3)) * 3 + 15
    mine = sliding_cmn(features, window=30, min_window=10, center=center, norm_vars=norm_vars)
    np.testing.assert_allclose(mine, slow(features, 30, 10, center, norm_vars), atol=1e-5)


def test_sliding_window_is_kaldis_by_default() -> None:
    features = np.random.default_rng(0).standard_normal((700, 2)).astype(np.float32)
    mine = sliding_cmn(features)
    np.testing.assert_allclose(mine[400], features[400] - features[250:550].mean(0), atol=1e-5)


@pytest.mark.parametrize("center", [False, True])
def test_blocks_leave_no_seam(center: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    features = np.random.default_rng(5).standard_normal((95, 3)).astype(np.float32) * 3 + 15
    voiced = np.random.default_rng(6).random(95) < 0.6
    expected = slow(features, 30, 10, center, True)
    monkeypatch.setattr("pysteps.features.cmvn.BLOCK", 8)
    mine = sliding_cmn(features, window=30, min_window=10, center=center, norm_vars=True)
    np.testing.assert_allclose(mine, expected, atol=1e-5)
    stats = cmvn_stats(features, voiced)
    kept = features[voiced].astype(np.float64)
    np.testing.assert_allclose(stats, [[*kept.sum(0), len(kept)], [*(kept**2).sum(0), 0]], rtol=1e-12)
    np.testing.assert_allclose(
        apply_cmvn(features, stats, norm_vars=True), (features - kept.mean(0)) / kept.std(0), atol=1e-5
    )


@pytest.mark.parametrize("frames", [29, 30, 31, 95])
def test_some_frames_of_the_sliding_mean_read_only_their_neighbours(frames: int) -> None:
    features = np.random.default_rng(frames).standard_normal((frames, 2))
    wanted = np.array([3, 9, 20])
    asked = []

    def read(first: int, last: int) -> np.ndarray:
        asked.append((first, last))
        return features[first:last]

    found = sliding_frames(read, wanted, frames, 30, True)
    np.testing.assert_allclose(found, slow(features, 30, 30, True, True)[wanted], atol=1e-5)
    assert asked == [(0, min(frames, 35))]  # the window of frame 20 is 5 ... 34


def test_a_constant_feature_does_not_become_noise() -> None:
    # What two-byte archives make of a constant differs from it in the last digits.
    stored = np.full((50, 1), 14.2, np.float32) + np.float32(2e-4) * (np.arange(50)[:, None] % 2)
    stats = cmvn_stats(np.full((50, 1), 14.2, np.float32))
    assert np.abs(apply_cmvn(stored, stats, norm_vars=True)).max() < 1


def test_a_feature_that_is_constantly_0_does_not_become_noise() -> None:
    # As with pitch where there is none: the statistics say exactly 0, a two-byte archive gives back 1.5e-4.
    rng = np.random.default_rng(0)
    features = np.concatenate((rng.normal(12, 5, (500, 20)), np.zeros((500, 1))), axis=1).astype(np.float32)
    stats = cmvn_stats(features)
    step = (features.max() - features.min()) / 65535
    stored = np.round((features - features.min()) / step) * step + features.min()
    found = apply_cmvn(stored, stats, norm_vars=True)
    assert 0 < np.abs(stored[:, -1]).max() and np.abs(found[:, -1]).max() < 1
    speech = features[:, :-1].astype(np.float64)
    wanted = (speech - speech.mean(0)) / speech.std(0)
    np.testing.assert_allclose(found[:, :-1], wanted, atol=1e-3)  # the others are not held back
