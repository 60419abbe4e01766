"""Speech to sliding windows: by hand, against VBx's own windows, and what must always hold."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pysteps.diarize.turns import read_regions
from pysteps.diarize.windows import name_windows, read_windows, sliding_windows, speech_regions
from pysteps.formats.errors import InputError
from pysteps.formats.frames import FrameGeometry


def test_the_windows_of_vbx_on_real_speech(shared_data: Path) -> None:
    folder = shared_data / "reference" / "vbx"
    theirs = read_windows(folder / "ES2005a.segments")["ES2005a"].times
    ours = sliding_windows(read_regions(folder / "ES2005a.vad.lab"), 1.44, 0.24)
    assert ours.shape == (1025, 2)
    np.testing.assert_array_equal(ours, theirs)


def test_last_window_ends_with_the_speech_and_short_speech_is_one_window() -> None:
    times = sliding_windows([(0.0, 3.5), (10.0, 10.5), (20.0, 20.05)], length=2.0, shift=1.0)
    assert times.tolist() == [[0, 2], [1, 3], [2, 3.5], [10, 10.5]]  # 50 ms are no window


@given(
    st.lists(st.tuples(st.integers(0, 3000), st.integers(1, 9000)), max_size=5),
    st.integers(200, 2000),
    st.integers(50, 200),
)
def test_every_instant_of_speech_is_in_a_window(gaps: list[tuple[int, int]], length: int, shift: int) -> None:
    regions, at = [], 0
    for pause, speech in gaps:
        regions.append(((at + pause) / 1000, (at + pause + speech) / 1000))
        at += pause + speech
    windows = np.round(sliding_windows(regions, length / 1000, shift / 1000) * 1000).astype(int)
    covered = {ms for start, end in windows for ms in range(start, end)}
    for start, end in regions:
        inside = range(round(start * 1000), round(end * 1000))
        assert len(inside) < 100 or covered.issuperset(inside)
    speech = {ms for start, end in regions for ms in range(round(start * 1000), round(end * 1000))}
    assert covered <= speech
    assert all(0 < end - start <= length for start, end in windows)


def test_frames_become_seconds() -> None:
    # 25 ms every 10 ms: frame 2 is 20-45 ms, its middle 32.5, and it stands for 27.5-37.5 ms.
    decisions = [1, 0, 1, 1, 0, 0, 0, 0, 1]
    regions = speech_regions(decisions, FrameGeometry(), 16000)
    np.testing.assert_allclose(regions, [(0.0, 0.0175), (0.0275, 0.0475), (0.0875, 0.0975)])


def test_short_pauses_are_closed() -> None:
    regions = speech_regions([1, 0, 1, 1, 0, 0, 0, 0, 1], FrameGeometry(), 16000, least_gap=0.02)
    np.testing.assert_allclose(regions, [(0.0, 0.0475), (0.0875, 0.0975)])


def test_silence_has_no_windows() -> None:
    assert speech_regions(np.zeros(50), FrameGeometry(), 16000) == []
    assert sliding_windows([]).shape == (0, 2)


def test_names_sort_as_time_does() -> None:
    names = name_windows("r", np.array([[0, 1.5], [9.25, 10.75], [100, 101.5]]))
    assert names == ["r-00000000-00001500", "r-00009250-00010750", "r-00100000-00101500"]


def test_segments_file(tmp_path: Path) -> None:
    path = tmp_path / "segments"
    path.write_text("w2 a 1 2.5\nw1 a 0 1.5\nv b 3 4\n")
    found = read_windows(path)
    assert found["a"].names == ["w1", "w2"]  # by time
    assert found["a"].times.tolist() == [[0, 1.5], [1, 2.5]]
    for text, message in (
        ("w a 1\n", "segments:1: not `window"),
        ("w a 2 1\n", "no interval"),
        ("w a 0 1\nw a 1 2\n", "w is there twice"),
        ("", "no windows"),
    ):
        path.write_text(text)
        with pytest.raises(InputError, match=message):
            read_windows(path)


def test_a_shift_beyond_the_window_is_refused() -> None:
    with pytest.raises(InputError, match="shift <= length"):
        sliding_windows([(0, 5)], length=1.0, shift=1.5)
