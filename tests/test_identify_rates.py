"""Closed- and open-set identification rates, by hand."""

from __future__ import annotations

import numpy as np
import pytest

from pysteps.formats.errors import InputError
from pysteps.identify import Probes, dir_at_far, judge, top_k
from pysteps.identify.rates import NO_RANK, as_json, as_text

OWN = [0.9, 0.7, 0.5, 0.3]
RANK = [1, 1, 2, 1]
BEST = [0.8, 0.6, 0.4, 0.2, 0.1]


def test_top_k_counts_ranks_up_to_k():
    assert [top_k(RANK, k) for k in (1, 2)] == [3 / 4, 1]


def test_top_k_by_weight():
    assert top_k(RANK, 1, [1, 0, 3, 0]) == 1 / 4


@pytest.mark.parametrize(
    ("far", "dir_", "real"),
    [
        (0.0, 1 / 4, 0.0),  # above 0.8: only 0.9
        (0.2, 2 / 4, 0.2),  # above 0.6: 0.9 and 0.7
        (0.3, 2 / 4, 0.2),
        (0.4, 2 / 4, 0.4),  # above 0.4: 0.5 too, but its rank is 2
        (0.6, 3 / 4, 0.6),  # above 0.2: 0.3 too
        (1.0, 3 / 4, 1.0),
    ],
)
def test_dir_at_far_by_hand(far, dir_, real):
    found = dir_at_far(OWN, RANK, BEST, far)
    assert (found.dir, found.far) == (dir_, pytest.approx(real))


def test_a_stranger_at_the_threshold_is_let_in_and_just_below_it_is_not():
    threshold = dir_at_far(OWN, RANK, BEST, 0.2).threshold
    assert threshold == np.nextafter(0.6, 1)
    assert dir_at_far([0.6], [1], BEST, 0.2).dir == 0


def test_tied_strangers_are_let_in_together_or_not_at_all():
    found = dir_at_far([0.55, 0.5, 0.45], [1, 1, 1], [0.5, 0.5, 0.1, 0.1], 0.25)
    assert (found.dir, found.far) == (1 / 3, 0)


def test_weights_are_copies_of_probes():
    weights, strange = [2, 1, 0, 3], [1, 0, 2, 1, 3]
    copies = dir_at_far(np.repeat(OWN, weights), np.repeat(RANK, weights), np.repeat(BEST, strange), 0.43)
    found = dir_at_far(OWN, RANK, BEST, 0.43, weights=weights, stranger_weights=strange)
    assert found == pytest.approx(copies)


def test_a_dropped_stranger_is_a_false_alarm_at_every_threshold():
    found = dir_at_far(OWN, RANK, [np.inf, 0.1], 0.1)
    assert (found.dir, found.far) == (0, 0.5)


def _probes(**changes) -> Probes:
    parts = {"own": OWN, "rank": RANK, "speakers": list("aabb"), "best": BEST, "strangers": list("vwxyz")}
    parts |= changes
    for name in ("own", "rank", "best"):
        parts[name] = np.asarray(parts[name])
    return Probes(**parts)


def test_judge_gives_the_figures_and_their_counts():
    figures = judge(_probes(), tops=(1,), fars=(0.2,), replicates=200)
    assert figures["top_k"]["1"]["rate"] == 3 / 4
    assert figures["top_k"]["1"]["ci"] == [1 / 2, 1]  # speaker b twice, speaker a twice
    assert figures["dir_at_far"]["0.2"]["dir"] == 2 / 4
    assert (figures["probes"], figures["speakers"], figures["strangers"]) == (4, 2, 5)
    assert len(figures["caution"]) == 2


def test_a_dropped_probe_counts_as_wrong():
    probes = _probes(own=[*OWN, -np.inf], rank=[*RANK, NO_RANK], speakers=list("aabbb"))
    figures = judge(probes, tops=(1, 5), fars=(1.0,), replicates=50)
    assert figures["top_k"]["5"]["rate"] == 4 / 5
    assert figures["dir_at_far"]["1"]["dir"] == 3 / 5
    assert figures["dropped_probes"] == 1


def test_without_strangers_the_set_is_closed():
    figures = judge(_probes(best=[], strangers=[]), replicates=50)
    assert figures["dir_at_far"] == {}
    assert "closed set" in figures["caution"][-1]


def test_figures_without_a_finite_threshold_are_json():
    text = as_json(judge(_probes(), fars=(1.0,), replicates=50))
    assert '"threshold": null' in text and "Infinity" not in text and "NaN" not in text


def test_one_speaker_has_no_interval():
    figures = judge(_probes(speakers=list("aaaa")), replicates=50)
    assert figures["top_k"]["1"]["ci"] is None


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"own": [np.nan, 1, 1, 1]}, "not a number"),
        ({"own": [], "rank": [], "speakers": []}, "no probe is of an enrolled"),
        ({"speakers": ["a"]}, "differ in number"),
    ],
)
def test_what_is_no_set_of_probes_is_refused(changes, message):
    with pytest.raises(InputError, match=message):
        _probes(**changes)


@pytest.mark.parametrize("far", [-0.1, 1.5])
def test_a_rate_outside_0_to_1_is_refused(far):
    with pytest.raises(InputError, match="between 0 and 1"):
        dir_at_far(OWN, RANK, BEST, far)


@pytest.mark.parametrize("replicates", [1, 0, -1])
def test_too_few_replicates_are_refused(replicates):
    with pytest.raises(InputError, match=f"--replicates {replicates}.*at least 2"):
        judge(_probes(), replicates=replicates)


@pytest.mark.parametrize("far", [0.0, 0.2, 0.4, 0.8])
@pytest.mark.parametrize("scale", [1.0, 1e-7, 1e5])
def test_a_printed_threshold_gives_the_rates_beside_it(far, scale):
    own, best = np.array(OWN) * scale + 3, np.array(BEST) * scale + 3
    figures = judge(_probes(own=own, best=best), fars=(far,), replicates=50)
    said = figures["dir_at_far"][f"{far:g}"]
    printed = next(line for line in as_text(figures).splitlines() if line.startswith("DIR"))
    threshold = float(printed.split()[-1])
    assert threshold == said["threshold"]
    assert (best >= threshold).mean() == said["far"] <= far
    assert ((own >= threshold) & (np.array(RANK) == 1)).mean() == said["dir"]


def test_a_printed_threshold_is_short_where_scores_are_apart():
    said = judge(_probes(), fars=(0.2,), replicates=50)["dir_at_far"]["0.2"]
    assert said["threshold"] == 0.6001  # just above 0.6


def test_a_rate_that_dropped_strangers_forbid_is_said():
    figures = judge(_probes(best=[np.inf, 0.1], strangers=["v", "w"]), fars=(0.1,), replicates=50)
    assert "unreached" in as_text(figures)
    assert any("no threshold reaches a false-alarm rate of 0.1" in said for said in figures["caution"])
