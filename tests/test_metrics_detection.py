"""Error rates and costs against published values and numbers worked out by hand."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pytest

from pysteps.formats.errors import InputError
from pysteps.metrics import (
    act_dcf,
    cllr,
    det_points,
    eer,
    eer_hull,
    min_cllr,
    min_dcf,
    sweep,
    sweep_trials,
)


@pytest.fixture(scope="module")
def ru2009(shared_data: Path) -> tuple[np.ndarray, np.ndarray]:
    with gzip.open(shared_data / "reference/scores/ru.2009.table.gz", "rt") as handle:
        head, *rows = (line.rstrip("\n").replace('"', "").split("\t") for line in handle)
    score = np.array([float(row[head.index("score")]) for row in rows])
    target = np.array([row[head.index("target")] == "TRUE" for row in rows])
    return score[target], score[~target]


@pytest.fixture(scope="module")
def voxsrc2021(shared_data: Path) -> tuple[np.ndarray, np.ndarray]:
    folder = shared_data / "reference/scores"
    with gzip.open(folder / "voxsrc2021_scores.txt.gz", "rt") as handle:
        score = np.array([float(line.split()[0]) for line in handle])
    with gzip.open(folder / "voxsrc2021_trials.txt.gz", "rt") as handle:
        target = np.array([line.startswith("1 ") for line in handle])
    return score, target


# Published with all 17 digits of a double; the last depends on the order of three multiplications.
@pytest.mark.parametrize(
    ("p_target", "least", "actual"),
    [(0.01, 0.034593062385260914, 0.035877871754524004), (0.5, 0.21843024685287174, 0.23094942466561763)],
)
def test_ru2009_costs_are_the_published_ones(ru2009, p_target, least, actual):
    assert min_dcf(*ru2009, p_target, 10, 1, normalised=False) == pytest.approx(least, rel=2e-15)
    assert act_dcf(*ru2009, p_target, 10, 1, normalised=False) == pytest.approx(actual, rel=2e-15)


def test_voxsrc2021_with_ties_together(voxsrc2021):
    curve = sweep_trials(*voxsrc2021)
    assert f"{100 * curve.eer().rate:.3f}" == "5.177"
    assert f"{100 * curve.eer_hull():.3f}" == "5.161"
    assert f"{curve.min_dcf(0.05):.4f}" == "0.2928"


def test_voxsrc2021_with_ties_split_in_file_order(voxsrc2021):
    assert f"{sweep_trials(*voxsrc2021, ties='split').min_dcf(0.05):.4f}" == "0.2919"


@pytest.mark.parametrize(
    ("tar", "non", "rate"),
    [
        ([0, 2], [1], 1 / 3),
        ([1], [0, 2], 1 / 3),
        ([0], [1], 1 / 2),
        ([1], [0], 0),
        ([0, 1, 2], [1], 2 / 5),
        ([0, 1, 2], [0.5], 1 / 4),
        ([0, 1, 2], [1.5], 2 / 5),
    ],
)
def test_hull_eer_of_tiny_sets(tar, non, rate):
    assert eer_hull(tar, non) == pytest.approx(rate, abs=1e-15)


def test_eer_and_threshold_by_hand():
    # Thresholds 1, 2, 3, 4: misses 0 0 1/2 1/2 1, false alarms 1 1/2 1/2 0 0. They meet at 3.
    assert eer([2, 4], [1, 3]) == (0.5, 3.0)


def test_eer_is_interpolated():
    # From (miss 0, fa 1/3) at 5 to (1/2, 1/3) at 6: they meet after 2/3 of the way.
    rate, threshold = eer([5, 6], [1, 2, 6])
    assert rate == pytest.approx(1 / 3)
    assert threshold == pytest.approx(5 + 2 / 3)


def test_separable_scores_have_no_errors():
    assert eer([2, 3], [0, 1]).rate == 0
    assert min_dcf([2, 3], [0, 1], 0.01) == 0
    assert min_cllr([2, 3], [0, 1]) == 0


def test_equal_scores_cannot_be_parted():
    assert eer([1, 1], [1, 1]).rate == 0.5
    assert min_dcf([1, 1], [1, 1], 0.5) == 1.0


def test_split_follows_file_order():
    kind = [False, True]
    assert sweep_trials([1, 1], kind, ties="split").eer().rate == 0
    assert sweep_trials([1, 1], kind[::-1], ties="split").eer().rate == 1


def test_min_dcf_by_hand():
    # Best for p=0.1: reject below 3: one of two targets missed, no false alarm: 0.1 * 0.5 / 0.1.
    assert min_dcf([1, 3], [0, 2], 0.1) == pytest.approx(0.5)
    assert min_dcf([1, 3], [0, 2], 0.1, normalised=False) == pytest.approx(0.05)


def test_act_dcf_by_hand():
    # p=0.5: threshold 0. One of two targets missed, one of four non-targets accepted (0 is accepted).
    assert act_dcf([-1, 1], [-1, -2, -3, 0], 0.5, normalised=False) == pytest.approx(0.5 * 0.5 + 0.5 * 0.25)


def test_cllr_by_hand():
    # LRs 3 and 1 for targets, 1/7 and 1 for non-targets: bits log2(4/3), 1, log2(8/7), 1.
    tar, non = np.log([3, 1]), np.log([1 / 7, 1])
    expected = (np.log2(4 / 3) + 1 + np.log2(8 / 7) + 1) / 4
    assert cllr(tar, non) == pytest.approx(expected)
    assert cllr([0.0], [0.0]) == pytest.approx(1.0)


def test_min_cllr_by_hand():
    # PAV of tar {0, 2}, non {1}: 0 and 1 pool (1 target of 2, 1 non-target of 1: LR 1/2), 2 is pure.
    expected = (0.5 * np.log2(1 + 2) + np.log2(1 + 0.5)) / 2
    assert min_cllr([0, 2], [1]) == pytest.approx(expected)


def test_min_cllr_is_never_above_cllr(ru2009):
    assert min_cllr(*ru2009) < cllr(*ru2009)
    assert min_cllr(*(3 * part - 7 for part in ru2009)) == pytest.approx(min_cllr(*ru2009))


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_scores_that_are_not_finite_are_refused(bad):
    with pytest.raises(InputError, match="not finite"):
        eer([1, bad], [0])
    with pytest.raises(InputError, match="not finite"):
        cllr([1], [0, bad])


def test_nan_is_refused_even_where_infinities_are_allowed():
    with pytest.raises(InputError, match="not finite"):
        eer([1, np.nan], [0], infinite=True)


@pytest.mark.parametrize(("tar", "non"), [([], [1.0]), ([1.0], [])])
def test_one_kind_of_trials_is_refused(tar, non):
    for figure in (eer, eer_hull, cllr, min_cllr):
        with pytest.raises(InputError, match="no .*target trials"):
            figure(tar, non)
    with pytest.raises(InputError, match="no .*target trials"):
        act_dcf(tar, non, 0.5)


def test_impossible_costs_are_refused():
    for costs in ((0, 1, 1), (1, 1, 1), (0.5, 0, 1), (0.5, 1, -1), (0.5, np.inf, 1), (0.5, 1, np.nan)):
        with pytest.raises(InputError, match="no detection cost"):
            min_dcf([1], [0], *costs)


def test_dropped_trials_are_wrong():
    tar, non = [5, 6, 7, -np.inf], [1, 2, 3, np.inf]
    assert eer(tar, non, infinite=True).rate == pytest.approx(0.25)
    assert np.isfinite(eer(tar, non, infinite=True).threshold)
    assert min_dcf(tar, non, 0.5, infinite=True) == pytest.approx(0.5)
    assert act_dcf(tar, non, 0.5, infinite=True) == pytest.approx(0.25 + 1.0)
    assert cllr(tar, non, infinite=True) == np.inf
    assert 0 < min_cllr(tar, non, infinite=True) <= 1


def test_when_all_trials_are_dropped_all_are_wrong():
    assert eer([-np.inf], [np.inf], infinite=True).rate == 1
    assert min_dcf([-np.inf], [np.inf], 0.01, infinite=True) == 1


def test_det_points_keep_the_curve(ru2009):
    curve = sweep(*ru2009)
    few, all_points = det_points(curve, 300), det_points(curve, 10**9)
    assert len(few) <= 300 < len(all_points) < len(curve.p_fa)
    assert few[0].tolist() == [1, 0] and few[-1].tolist() == [0, 1]
    area = [float(np.trapezoid(points[::-1, 1], points[::-1, 0])) for points in (few, all_points)]
    whole = float(np.trapezoid(curve.p_miss[::-1], curve.p_fa[::-1]))
    assert area[1] == pytest.approx(whole, rel=1e-9)
    assert area[0] == pytest.approx(whole, rel=0.02)
