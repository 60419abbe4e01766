"""Deletion and insertion where the truth is known, bands, and a trial's table: plain numbers in and out."""

from __future__ import annotations

import numpy as np
import pytest

from pysteps.analyse.bands import as_lines, averaged, bin_hertz, bin_rows, share_of_bins, strongest
from pysteps.analyse.faithful import RANDOM, as_table, block_means, compared, curves, ranked
from pysteps.analyse.system import on_time_axis
from pysteps.features.contract import FeaturesOptions
from pysteps.features.mel import mel_filters
from pysteps.formats.errors import InputError

# Eight cells about a mean of 0 in each bin; what is measured is how much of their weights is there.
FEATURES = np.array([[1.0, 1.0], [-1.0, -1.0], [1.0, 1.0], [-1.0, -1.0]], np.float32)
WEIGHTS = np.array([[8.0, 0.0], [4.0, 0.0], [2.0, 0.0], [2.0, 0.0]])


def measure(batch: np.ndarray) -> np.ndarray:
    return (batch * FEATURES * WEIGHTS).sum((1, 2)) / WEIGHTS.sum()


def drawn(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def test_the_best_order_deletes_and_inserts_by_hand() -> None:
    found = curves(FEATURES, ranked(WEIGHTS, (1, 1), drawn()), measure, steps=8)
    # 16 in all: after cells of 8, 4, 2 and 2 there is nothing left, and nothing more comes back.
    assert found.deletion == pytest.approx([1, 0.5, 0.25, 0.125, 0, 0, 0, 0, 0])
    assert found.insertion == pytest.approx([0, 0.5, 0.75, 0.875, 1, 1, 1, 1, 1])
    # Trapezia of 1/8: (1/2 + 0.5 + 0.25 + 0.125) / 8 and (0.5 + 0.75 + 0.875 + 4 + 1/2) / 8.
    assert found.areas == pytest.approx((0.171875, 0.828125))


def test_the_truth_beats_chance_and_its_contrary_loses() -> None:
    chance = [curves(FEATURES, ranked(0 * WEIGHTS, (1, 1), drawn(n)), measure, 8).areas for n in range(200)]
    deletion, insertion = np.mean(chance, axis=0)
    assert (deletion, insertion) == pytest.approx((0.5, 0.5), abs=0.03)
    best, worst = (
        curves(FEATURES, ranked(sign * WEIGHTS, (1, 1), drawn()), measure, 8).areas for sign in (1, -1)
    )
    assert best[0] < 0.2 < deletion < 0.8 < worst[0] and worst[1] < 0.2 < insertion < 0.8 < best[1]


def test_deleted_cells_have_their_bins_mean() -> None:
    features = np.array([[1.0, 10.0], [3.0, 20.0]], np.float32)
    seen: list[np.ndarray] = []

    def remember(batch: np.ndarray) -> np.ndarray:
        seen.append(batch)
        return np.zeros(len(batch))

    curves(features, ranked(np.array([[4.0, 3.0], [2.0, 1.0]]), (1, 1), drawn()), remember, steps=4)
    deleted, inserted = seen
    assert deleted[1].tolist() == [[2, 10], [3, 20]] and deleted[4].tolist() == [[2, 15], [2, 15]]
    assert inserted[0].tolist() == [[2, 15], [2, 15]] and inserted[2].tolist() == [[1, 10], [2, 15]]


def test_equals_go_in_a_random_order() -> None:
    places = [ranked(np.zeros((4, 5)), (1, 1), drawn(n)).ravel() for n in range(2)]
    assert not np.array_equal(*places)
    assert all(np.array_equal(np.sort(place), np.arange(20) / 20) for place in places)


def test_blocks_go_together_and_the_last_may_be_smaller() -> None:
    values = np.arange(15.0).reshape(5, 3)
    # Rows 0-1, 2-3 and 4; bins 0-1 and 2.
    assert block_means(values, (2, 2)).tolist() == [[2.0, 3.5], [8.0, 9.5], [12.5, 14.0]]
    place = ranked(values, (2, 2), drawn())
    assert place[4, 2] == 0 and (place[:2, :2] == place[0, 0]).all() and place[0, 0] == pytest.approx(5 / 6)


def test_gains_are_means_with_an_interval_over_speakers() -> None:
    areas = {"a": [(0.1, 0.9), (0.3, 0.7)], RANDOM: [(0.5, 0.5), (0.5, 0.5)]}
    figures = compared(areas, ["s1", "s2"])
    found = figures["a"]
    assert (found.deletion, found.insertion) == pytest.approx((0.2, 0.8))
    # Of two speakers a draw takes one, the other, or both: gains of 0.4, 0.2 and 0.3.
    assert found.deletion_gain == pytest.approx((0.3, 0.2, 0.4))
    table = as_table(figures, {"a": "A"}, "cosine")
    assert table[2] == "| A | 0.200 | 0.300 [0.200, 0.400] | 0.800 | 0.300 [0.200, 0.400] |"
    assert table[3] == "| random | 0.500 |  | 0.500 |  |"


def test_one_speaker_has_no_interval() -> None:
    with pytest.raises(InputError, match="one speaker"):
        compared({RANDOM: [(0.0, 0.0)]}, ["s"])
    with pytest.raises(InputError, match="one speaker"):
        averaged({"u": np.ones(2), "v": np.ones(2)}, {"u": "s", "v": "s"}, np.ones(2))


def test_shares_of_bins_count_sizes_and_are_averaged() -> None:
    one = share_of_bins(np.array([[1.0, -2.0], [0.0, 1.0]]))
    assert one.tolist() == [0.25, 0.75]
    bands = averaged({"u": one, "v": np.array([0.75, 0.25])}, {"u": "s", "v": "t"}, np.array([100.0, 3000.0]))
    assert bands.share.tolist() == [0.5, 0.5] and bands.low.tolist() == [0.25, 0.25]
    assert as_lines(bands, "x")[1:] == [
        "0 100.0 0.500000 0.250000 0.750000\n",
        "1 3000.0 0.500000 0.250000 0.750000\n",
    ]
    assert strongest(bands)[0] == "0-500 Hz 50.0 % (of 50.0 % of the bins)"


def test_a_map_of_zeros_has_no_bands() -> None:
    with pytest.raises(InputError, match="0 everywhere"):
        share_of_bins(np.zeros((3, 2)))


def test_the_centre_of_a_bin_is_where_its_filter_is_highest() -> None:
    options = FeaturesOptions(num_mel_bins=40)
    peaks = mel_filters(options.acoustic()).argmax(1) * 16000 / 512
    assert bin_hertz(options) == pytest.approx(peaks, abs=32)  # to one FFT bin


def test_the_energy_is_no_bin() -> None:
    assert bin_rows(FeaturesOptions(use_energy=True)) == slice(1, 81)
    assert bin_rows(FeaturesOptions()) == slice(0, 80)
    with pytest.raises(InputError, match="mfcc have no mel bins"):
        bin_rows(FeaturesOptions(kind="mfcc", num_mel_bins=30))


def test_a_map_goes_back_to_where_its_frames_were() -> None:
    voiced = np.array([False, True, True, False, True])
    found = on_time_axis(np.array([[1.0], [2.0], [3.0]], np.float32), voiced)
    assert found.tolist() == [[0.0], [1.0], [2.0], [0.0], [3.0]]
