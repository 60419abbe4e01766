"""RTTM, UEM and label files; turns out of labelled windows, by hand."""

from __future__ import annotations

from pathlib import Path

import pytest

from pysteps.diarize.turns import Turn, join_windows, read_regions, read_rttm, read_uem, write_rttm
from pysteps.formats.errors import InputError


def test_rttm_is_read_by_recording_in_order_of_time(tmp_path: Path) -> None:
    path = tmp_path / "a.rttm"
    path.write_text(
        ";; a comment\n"
        "SPKR-INFO b 1 <NA> <NA> <NA> adult_male bob <NA> <NA>\n"
        "SPEAKER b 1 2.5 1.25 <NA> <NA> bob <NA> <NA>\n"
        "\n"
        "SPEAKER a 1 0 1 <NA> <NA> ann <NA>\n"
        "SPEAKER b 1 0.5 1 <NA> <NA> cy <NA> <NA>\n"
    )
    assert read_rttm(path) == {
        "a": [Turn(0.0, 1.0, "ann")],
        "b": [Turn(0.5, 1.5, "cy"), Turn(2.5, 3.75, "bob")],
    }


def test_rttm_is_written_as_nist_has_it(tmp_path: Path) -> None:
    path = tmp_path / "out.rttm"
    write_rttm(path, {"b": [Turn(3.0, 4.0, "x"), Turn(0.1, 1.35, "y")], "B": [Turn(0, 1, "z")]})
    assert path.read_text().splitlines() == [
        "SPEAKER B 1 0.000 1.000 <NA> <NA> z <NA> <NA>",
        "SPEAKER b 1 0.100 1.250 <NA> <NA> y <NA> <NA>",
        "SPEAKER b 1 3.000 1.000 <NA> <NA> x <NA> <NA>",
    ]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("SPEAKER a 1 0 1 <NA> <NA>", r"a\.rttm:2: not `SPEAKER"),
        ("SPEKER a 1 0 1 <NA> <NA> x <NA> <NA>", r"a\.rttm:2: not `SPEAKER"),
        ("SPEAKER a 1 zero 1 <NA> <NA> x <NA> <NA>", r"a\.rttm:2: not a time: zero"),
        ("SPEAKER a 1 0 nan <NA> <NA> x <NA> <NA>", r"a\.rttm:2: not a time"),
        ("SPEAKER a 1 3 -1 <NA> <NA> x <NA> <NA>", r"a\.rttm:2: start 3, duration -1"),
    ],
)
def test_bad_rttm_names_the_line(tmp_path: Path, line: str, message: str) -> None:
    path = tmp_path / "a.rttm"
    path.write_text(f"SPEAKER a 1 0 1 <NA> <NA> x <NA> <NA>\n{line}\n")
    with pytest.raises(InputError, match=message):
        read_rttm(path)


def test_missing_rttm_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no.rttm: cannot be read"):
        read_rttm(tmp_path / "no.rttm")


def test_uem_and_labels(tmp_path: Path) -> None:
    (tmp_path / "a.uem").write_text("a 1 0 10\na 1 20 30.5\n")
    assert read_uem(tmp_path / "a.uem") == {"a": [(0.0, 10.0), (20.0, 30.5)]}
    (tmp_path / "a.lab").write_text("0.5 1.5 sp\n2 3 sp\n")
    assert read_regions(tmp_path / "a.lab") == [(0.5, 1.5), (2.0, 3.0)]
    (tmp_path / "a.uem").write_text("a 1 10 10\n")
    with pytest.raises(InputError, match="no interval"):
        read_uem(tmp_path / "a.uem")
    (tmp_path / "a.lab").write_text("0.5 1.5 sp\n1 3 sp\n")
    with pytest.raises(InputError, match=r"a\.lab:2: .* no stretch behind the last"):
        read_regions(tmp_path / "a.lab")


def test_windows_of_one_speaker_become_one_turn() -> None:
    times = [[0, 2], [1, 3], [3, 4], [5, 6]]  # overlap, touch, then a pause
    assert join_windows(times, [7, 7, 7, 7]) == [Turn(0, 4, "1"), Turn(5, 6, "1")]


def test_the_border_is_the_middle_of_the_overlap() -> None:
    # Overlaps 1-2 and 2-3 (middles 1.5 and 2.5); the speaker of the first window comes back.
    times = [[0, 2], [1, 3], [2, 4]]
    assert join_windows(times, [4, 0, 4]) == [Turn(0, 1.5, "1"), Turn(1.5, 2.5, "2"), Turn(2.5, 4, "1")]


def test_no_windows_no_turns() -> None:
    assert join_windows([], []) == []


def test_a_window_inside_another_is_refused() -> None:
    with pytest.raises(InputError, match="window 2 begins or ends before window 1"):
        join_windows([[0, 5], [1, 2]], [0, 1])
