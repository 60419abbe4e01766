"""webrtc VAD on feature frames: the rule, the count, every rate."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile
import webrtcvad
from hypothesis import given, settings
from hypothesis import strategies as st

from pysteps.audio.filters import resample
from pysteps.formats.errors import InputError
from pysteps.formats.frames import FrameGeometry
from pysteps.vad.webrtc import webrtc_vad

GEOMETRY = FrameGeometry()


@pytest.fixture(scope="module")
def speech(shared_data: Path) -> np.ndarray:
    """1.4 s of speech with 0.7 s of nothing on each side, at 16 kHz."""
    samples, _ = soundfile.read(shared_data / "reference/kaldi_feat/test.wav", dtype="float32")
    return np.pad(samples, 11200)


@pytest.mark.parametrize("frame_ms", [10, 20, 30])
@pytest.mark.parametrize("mode", [0, 1, 2, 3])
def test_a_frame_has_the_decision_at_its_middle(speech: np.ndarray, mode: int, frame_ms: int) -> None:
    vad, size = webrtcvad.Vad(mode), 16 * frame_ms
    pcm = np.rint(speech * 32768).clip(-32768, 32767).astype(np.int16)
    count = len(pcm) // size
    theirs = [vad.is_speech(pcm[i * size : (i + 1) * size].tobytes(), 16000) for i in range(count)]
    mine = webrtc_vad(speech, 16000, GEOMETRY, mode=mode, frame_ms=frame_ms)
    assert len(mine) == GEOMETRY.num_frames(len(speech), 16000)
    for frame in range(len(mine) - 3):
        assert mine[frame] == theirs[(frame * 160 + 200) // size], frame


@pytest.mark.parametrize("rate", [8000, 11025, 16000, 32000, 44100, 48000])
def test_every_rate_finds_the_speech(speech: np.ndarray, rate: int) -> None:
    samples = resample(speech, 16000, rate)
    voiced = webrtc_vad(samples, rate, GEOMETRY, mode=2)
    assert len(voiced) == GEOMETRY.num_frames(len(samples), rate)
    assert voiced[75:200].mean() > 0.7
    assert voiced[:60].mean() < 0.2


def test_majority_removes_a_blip_and_fills_a_gap() -> None:
    from pysteps.vad.webrtc import _hung_over, _majority

    voiced = np.array([0, 0, 1, 0, 0, 0, 1, 1, 0, 1, 1], bool)
    assert _majority(voiced, 3).astype(int).tolist() == [0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1]
    assert _majority(voiced, 1) is voiced
    assert _hung_over(voiced[:6], 1).astype(int).tolist() == [0, 1, 1, 1, 0, 0]


def test_options_reach_the_decision(speech: np.ndarray) -> None:
    plain = webrtc_vad(speech, 16000, GEOMETRY, mode=3)
    longer = webrtc_vad(speech, 16000, GEOMETRY, mode=3, hangover=10)
    assert longer[plain].all() and longer.sum() > plain.sum()
    burst = speech.copy()
    burst[:16000], burst[18400:] = 0, 0  # 0.15 s: a minority of any 101 frames
    assert webrtc_vad(burst, 16000, GEOMETRY, mode=0).any()
    assert not webrtc_vad(burst, 16000, GEOMETRY, mode=0, smooth=101).any()


@pytest.mark.parametrize(
    "wrong", [{"mode": 4}, {"frame_ms": 25}, {"smooth": 4}, {"smooth": 0}, {"hangover": -1}]
)
def test_impossible_options_are_refused(wrong: dict) -> None:
    with pytest.raises(InputError):
        webrtc_vad(np.zeros(1600, np.float32), 16000, GEOMETRY, **wrong)


@settings(max_examples=40, deadline=None)
@given(
    length=st.integers(0, 3000),
    rate=st.sampled_from([8000, 16000, 22050, 48000]),
    snip=st.booleans(),
    frame_ms=st.sampled_from([10, 20, 30]),
)
def test_any_length_gives_a_decision_a_frame(length: int, rate: int, snip: bool, frame_ms: int) -> None:
    square = np.where(np.arange(length) // 40 % 2, 1.0, -1.0).astype(np.float32)
    geometry = FrameGeometry(snip_edges=snip)
    voiced = webrtc_vad(square, rate, geometry, frame_ms=frame_ms)
    assert voiced.dtype == bool and voiced.shape == (geometry.num_frames(length, rate),)
