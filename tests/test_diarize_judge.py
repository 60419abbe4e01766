"""DER and JER of small conversations, counted by hand."""

from __future__ import annotations

import pytest

pytest.importorskip("pyannote.metrics", reason="pip install -r requirements/diarize.txt")

from pysteps.diarize.judge import judge, table
from pysteps.diarize.turns import Turn
from pysteps.formats.errors import InputError

# A speaks 0-10, B 10-20; both 8-12 would be overlap.
REFERENCE = {"r": [Turn(0, 10, "A"), Turn(10, 20, "B")]}


def test_each_kind_of_error_in_percent_of_speech() -> None:
    # 0-1 missed, 10-12 said to be A, 20-21 false: 1, 2 and 1 of 20 s.
    found = {"r": [Turn(1, 12, "1"), Turn(12, 21, "2")]}
    row = judge(REFERENCE, found)["recordings"]["r"]
    assert row["missed"] == pytest.approx(5)
    assert row["confusion"] == pytest.approx(10)
    assert row["false_alarm"] == pytest.approx(5)
    assert row["der"] == pytest.approx(20)
    assert row["speech_seconds"] == pytest.approx(20)
    assert (row["speakers_reference"], row["speakers_found"]) == (2, 2)


def test_jaccard_error_is_the_mean_over_speakers() -> None:
    # A and 1: 9 s in common of 12 together; B and 2: 8 of 11.
    found = {"r": [Turn(1, 12, "1"), Turn(12, 21, "2")]}
    assert judge(REFERENCE, found)["all"]["jer"] == pytest.approx(100 * ((1 - 9 / 12) + (1 - 8 / 11)) / 2)


def test_the_collar_is_on_each_side() -> None:
    # A border found 0.25 s late costs nothing with a collar of 0.25, and 0.1 s where it is 0.35 s late;
    # 0-0.25, 9.75-10.25 and 19.75-20 are not scored: 19 s are left.
    late = {"r": [Turn(0, 10.25, "1"), Turn(10.25, 20, "2")]}
    assert judge(REFERENCE, late, collar=0.25)["all"]["der"] == pytest.approx(0, abs=1e-9)
    later = {"r": [Turn(0, 10.35, "1"), Turn(10.35, 20, "2")]}
    assert judge(REFERENCE, later, collar=0.25)["all"]["der"] == pytest.approx(100 * 0.1 / 19)


def test_overlap_is_missed_speech_or_not_scored() -> None:
    both = {"r": [Turn(0, 10, "A"), Turn(8, 20, "B")]}
    found = {"r": [Turn(0, 9, "1"), Turn(9, 20, "2")]}  # one at a time
    assert judge(both, found)["all"]["missed"] == pytest.approx(100 * 2 / 22)
    assert judge(both, found, skip_overlap=True)["all"]["der"] == pytest.approx(0, abs=1e-9)


def test_overlapping_turns_of_one_speaker_count_once() -> None:
    twice = {"r": [Turn(0, 6, "A"), Turn(4, 10, "A"), Turn(10, 20, "B")]}
    assert judge(twice, REFERENCE)["all"]["speech_seconds"] == pytest.approx(20)


def test_recordings_are_weighted_by_speech_and_a_missing_one_is_missed() -> None:
    reference = {**REFERENCE, "s": [Turn(0, 5, "A")]}
    result = judge(reference, REFERENCE)
    assert result["recordings"]["s"]["missed"] == pytest.approx(100)
    assert result["all"]["der"] == pytest.approx(100 * 5 / 25)


def test_a_uem_says_what_is_scored() -> None:
    found = {"r": [Turn(1, 12, "1"), Turn(12, 21, "2")]}
    row = judge(REFERENCE, found, uem={"r": [(2.0, 9.0), (12.0, 20.0)]})["all"]
    assert row["der"] == pytest.approx(0, abs=1e-9)
    assert row["speech_seconds"] == pytest.approx(15)


def test_no_speech_has_no_rate() -> None:
    result = judge({}, {"r": [Turn(0, 1, "1")]}, uem={"r": [(0.0, 5.0)]})
    assert result["all"]["der"] is None and result["all"]["jer"] is None
    assert "-" in table(result)


def test_what_the_reference_does_not_have_is_refused() -> None:
    with pytest.raises(InputError, match="1 recordings are not in the reference: x"):
        judge(REFERENCE, {"x": []})
    with pytest.raises(InputError, match="no recordings"):
        judge({}, {})
    with pytest.raises(InputError, match="collar of -1"):
        judge(REFERENCE, REFERENCE, collar=-1)
