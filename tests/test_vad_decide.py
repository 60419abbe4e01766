"""What all methods of stage 2 share: names, confs, a decision a feature frame, tables, memory."""

from __future__ import annotations

import tracemalloc
from dataclasses import asdict
from pathlib import Path

import kaldi_native_fbank
import kaldiio
import numpy as np
import pytest
import soundfile
import soxr
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from pysteps.formats.errors import InputError
from pysteps.formats.frames import FrameGeometry
from pysteps.vad import webrtc
from pysteps.vad.decide import decide_set, decider
from pysteps.vad.options import METHODS, VadOptions, relevant
from pysteps.vad.windows import blocks


def test_an_unknown_method_is_refused_with_the_known_ones() -> None:
    with pytest.raises(InputError, match="unknown VAD method loudness .*energy, silero, none"):
        VadOptions(method="loudness")


@pytest.mark.parametrize(
    "wrong",
    [
        {"mode": 4},
        {"smooth": 2},
        {"proportion": 0},
        {"silero_threshold": 1},
        {"frame_shift_ms": 0},
        {"frame_length_ms": -25},
        {"min_voiced": -1},
        {"max_dropped": 5},
        {"max_dropped": -1},
        {"max_dropped": np.nan},
        {"shard_utterances": 0},
    ],
)
def test_impossible_options_are_refused_before_any_work(wrong: dict) -> None:
    with pytest.raises(InputError):
        VadOptions(**wrong)


def test_every_method_has_a_conf(repo: Path) -> None:
    found = {
        path.stem: VadOptions(**yaml.safe_load(path.read_text())) for path in repo.glob("conf/vad/*.yaml")
    }
    assert {options.method for options in found.values()} == set(METHODS)
    kaldi = found["energy"]
    assert (kaldi.energy_threshold, kaldi.energy_mean_scale) == (5.5, 0.5)
    assert (kaldi.context, kaldi.proportion) == (2, 0.12)


@settings(max_examples=80, deadline=None)
@given(
    length=st.integers(0, 4000),
    rate=st.sampled_from([8000, 16000, 44100, 48000]),
    snip=st.booleans(),
    method=st.sampled_from(["energy", "webrtc", "none"]),
)
def test_there_are_as_many_decisions_as_feature_frames(
    length: int, rate: int, snip: bool, method: str
) -> None:
    samples = (np.random.default_rng(length).standard_normal(length) * 0.1).astype(np.float32)
    options = kaldi_native_fbank.FbankOptions()
    options.frame_opts.samp_freq = rate
    options.frame_opts.snip_edges = snip
    fbank = kaldi_native_fbank.OnlineFbank(options)
    if length:
        fbank.accept_waveform(rate, samples.tolist())
    fbank.input_finished()
    voiced = decider(VadOptions(method=method, snip_edges=snip))(samples, rate)
    assert voiced.dtype == bool and voiced.shape == (fbank.num_frames_ready,)


@pytest.fixture(scope="module")
def speech(shared_data: Path) -> np.ndarray:
    """Half a second of nothing and up to 10 s of speech with pauses, at 16 kHz."""
    path = min((shared_data / "LibriSpeech/test-other").rglob("*.flac"))
    return np.pad(soundfile.read(path, dtype="float32")[0][:160000], (8000, 0))


@pytest.mark.parametrize(
    "method, option, value",
    [
        ("energy", "energy_threshold", 10.0),
        ("energy", "energy_mean_scale", 0.8),
        ("energy", "context", 9),
        ("energy", "proportion", 0.9),
        ("webrtc", "mode", 3),
        ("webrtc", "webrtc_ms", 10),
        ("webrtc", "smooth", 51),
        ("webrtc", "hangover", 6),
        ("silero", "silero_threshold", 0.97),
        ("silero", "silero_hysteresis", 0.45),
        ("silero", "silero_min_speech_ms", 3000),
        ("silero", "silero_min_silence_ms", 800),
        ("silero", "silero_pad_ms", 200),
        *((method, "frame_shift_ms", 12.5) for method in METHODS),
        *((method, "frame_length_ms", 50.0) for method in METHODS),
        *((method, "snip_edges", False) for method in METHODS),
    ],
)
def test_every_option_reaches_its_method(
    speech: np.ndarray, method: str, option: str, value: float | bool
) -> None:
    plain = decider(VadOptions(method=method))(speech, 16000)
    changed = decider(VadOptions(method=method, **{option: value}))(speech, 16000)  # type: ignore[arg-type]
    assert not np.array_equal(plain, changed)


def test_none_keeps_every_frame() -> None:
    assert decider(VadOptions(method="none"))(np.zeros(16000, np.float32), 16000).tolist() == [True] * 98


def test_the_tables_of_a_set(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    noise = (rng.standard_normal(8000) * 0.1).astype(np.float32)
    recordings = {"loud": noise, "silent": 0 * noise, "short": noise[:400], "void": noise[:0]}
    tables = decide_set(
        tmp_path / "vad.1.ark", recordings, lambda utt: (recordings[utt], 8000), {"method": "energy"}
    )
    assert tables["utt2num_voiced"] == {"loud": "98"}
    assert tables["utt2voiced"] == {"loud": "0.98"}
    assert tables["dropped"] == {
        "silent": "0 voiced frames of 98, wanted 20",
        "short": "3 voiced frames of 3, wanted 20",
        "void": "0 voiced frames of 0, wanted 20",
    }
    assert kaldiio.load_mat(tables["vad.scp"]["loud"]).tolist() == [1.0] * 98


def test_a_decision_depends_on_its_own_methods_options_alone() -> None:
    options = {**asdict(VadOptions(method="energy")), "mode": 3, "silero_threshold": 0.9}
    assert relevant(options) == relevant(asdict(VadOptions(method="energy")))
    assert relevant({**options, "context": 5}) != relevant(options)
    assert relevant({**options, "min_voiced": 5}) != relevant(options)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("poison", [np.nan, np.inf, -np.inf])
def test_poisoned_samples_are_an_error_with_a_name(tmp_path: Path, method: str, poison: float) -> None:
    samples = np.zeros(16000, np.float32)
    samples[7000] = poison
    with pytest.raises(InputError, match="utterance sick: NaN or infinity"):
        decide_set(tmp_path / "vad.1.ark", ["sick"], lambda _: (samples, 16000), {"method": method})
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("to_rate", [16000, 8000])
@pytest.mark.parametrize("rate", [8000, 16000, 11025, 44100])
def test_blocks_together_are_the_resampled_whole(rate: int, to_rate: int) -> None:
    samples = (np.random.default_rng(rate).standard_normal(rate * 3 + 17) * 0.1).astype(np.float32)
    cut = list(blocks(samples, rate, to_rate, 999))
    assert {len(block) for block in cut[:-1]} == {999} and 0 < len(cut[-1]) <= 999
    np.testing.assert_array_equal(np.concatenate(cut), soxr.resample(samples, rate, to_rate, quality="HQ"))


@pytest.mark.parametrize("rate", [8000, 11025])
def test_webrtc_decides_the_same_in_any_blocks(rate: int, monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(1)
    loudness = np.repeat(rng.choice([0.001, 0.003, 0.3], 40), rate // 10)
    samples = (rng.standard_normal(len(loudness)) * loudness).astype(np.float32)
    geometry = FrameGeometry()
    whole = webrtc.webrtc_vad(samples, rate, geometry)
    monkeypatch.setattr(webrtc, "_BLOCK", 3)
    assert whole.any() and not whole.all()
    np.testing.assert_array_equal(webrtc.webrtc_vad(samples, rate, geometry), whole)


@pytest.mark.parametrize("method, rate", [("energy", 16000), ("webrtc", 16000), ("webrtc", 11025)])
def test_a_long_recording_is_not_copied(method: str, rate: int) -> None:
    samples = np.zeros(rate * 600, np.float32)  # 10 minutes: 26 or 38 MB
    decide = decider(VadOptions(method=method))
    decide(samples[:rate], rate)
    tracemalloc.start()
    try:
        decide(samples, rate)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 16e6


def test_a_set_of_which_all_is_dropped_leaves_no_archive(tmp_path: Path) -> None:
    silence = np.zeros(8000, np.float32)
    tables = decide_set(tmp_path / "vad.1.ark", ["a"], lambda _: (silence, 8000), {"method": "energy"})
    assert list(tables["dropped"]) == ["a"] and tables["vad.scp"] == {}
    assert not list(tmp_path.iterdir())
