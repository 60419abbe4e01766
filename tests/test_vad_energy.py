"""Energy VAD against the formula written out slowly, and log energies against Kaldi's program."""

from __future__ import annotations

from pathlib import Path

import kaldi_native_fbank
import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

from pysteps.formats.errors import InputError
from pysteps.formats.frames import FrameGeometry
from pysteps.vad.energy import energy_vad, log_energies


def literal(energies: list[float], threshold: float, scale: float, context: int, share: float) -> list[bool]:
    """compute-vad, word for word: count the neighbours above the threshold, compare with the share."""
    level = threshold + scale * sum(energies) / len(energies) if energies else 0.0
    voiced = []
    for t in range(len(energies)):
        above = there = 0
        for neighbour in range(t - context, t + context + 1):
            if 0 <= neighbour < len(energies):
                there += 1
                above += energies[neighbour] > level
        voiced.append(bool(above >= np.float32(there) * np.float32(share)))
    return voiced


@settings(max_examples=200, deadline=None)
@given(
    energies=st.lists(st.integers(0, 24), max_size=40),
    threshold=st.sampled_from([0.0, 5.5, 12.0]),
    scale=st.sampled_from([0.0, 0.5, 1.0]),
    context=st.integers(0, 5),
    share=st.sampled_from([0.12, 0.2, 0.5, 0.6, 0.9]),
)
def test_equals_the_literal_formula(
    energies: list[int], threshold: float, scale: float, context: int, share: float
) -> None:
    mine = energy_vad(
        np.array(energies, np.float32),
        threshold=threshold,
        mean_scale=scale,
        context=context,
        proportion=share,
    )
    assert mine.tolist() == literal([float(e) for e in energies], threshold, scale, context, share)


def test_real_speech_is_decided_as_kaldi_does(shared_data: Path) -> None:
    samples, rate = soundfile.read(shared_data / "reference/kaldi_feat/test.wav", dtype="float32")
    hiss = np.random.default_rng(0).standard_normal(len(samples) + 20000) * 1e-3
    energies = log_energies(np.pad(samples, 10000) + hiss.astype(np.float32), rate, FrameGeometry())
    wanted = literal(energies.tolist(), 5.5, 0.5, 2, 0.12)
    assert 0 < sum(wanted) < len(wanted)
    assert energy_vad(energies).tolist() == wanted


def test_one_loud_frame_voices_two_to_each_side() -> None:
    energies = np.zeros(9, np.float32)
    energies[4] = 20  # level 5.5 + 0.5 * 20 / 9
    assert np.flatnonzero(energy_vad(energies)).tolist() == [2, 3, 4, 5, 6]


@pytest.mark.parametrize("wrong", [{"mean_scale": -1}, {"context": -1}, {"proportion": 0}, {"proportion": 1}])
def test_impossible_options_are_refused(wrong: dict) -> None:
    with pytest.raises(InputError):
        energy_vad(np.zeros(3, np.float32), **wrong)


@pytest.mark.parametrize("snip", [True, False])
def test_log_energies_are_kaldis(shared_data: Path, snip: bool) -> None:
    samples, rate = soundfile.read(shared_data / "reference/kaldi_feat/test.wav", dtype="float32")
    options = kaldi_native_fbank.MfccOptions()
    options.frame_opts.dither = 0.0
    options.frame_opts.snip_edges = snip
    options.use_energy = True
    mfcc = kaldi_native_fbank.OnlineMfcc(options)
    mfcc.accept_waveform(rate, (samples * 32768).tolist())
    mfcc.input_finished()
    theirs = np.array([mfcc.get_frame(i)[0] for i in range(mfcc.num_frames_ready)])
    np.testing.assert_allclose(log_energies(samples, rate, FrameGeometry(snip_edges=snip)), theirs, atol=1e-3)


@pytest.mark.parametrize("snip", [True, False])
def test_long_recordings_are_cut_without_a_seam(snip: bool) -> None:
    samples = (np.random.default_rng(0).standard_normal(8000 * 50) * 0.1).astype(np.float32)
    geometry = FrameGeometry(snip_edges=snip)
    mine = log_energies(samples, 8000, geometry)
    first = geometry.first_sample(4097, 8000)
    frame = samples[first : first + 200].astype(np.float64) * 32768
    assert mine[4097] == pytest.approx(np.log(np.sum((frame - frame.mean()) ** 2)), abs=1e-5)


@settings(max_examples=60, deadline=None)
@given(
    length=st.integers(0, 5000),
    rate=st.sampled_from([8000, 11025, 16000, 44100]),
    snip=st.booleans(),
    shape=st.sampled_from(["dc", "square", "zeros"]),
)
def test_any_signal_gives_a_decision_a_frame(length: int, rate: int, snip: bool, shape: str) -> None:
    signal = {"dc": np.full(length, 0.9), "zeros": np.zeros(length)}
    signal["square"] = np.where(np.arange(length) // 50 % 2, 1.0, -1.0)
    geometry = FrameGeometry(snip_edges=snip)
    energies = log_energies(signal[shape].astype(np.float32), rate, geometry)
    assert np.isfinite(energies).all()
    assert energy_vad(energies).shape == (geometry.num_frames(length, rate),)


def test_silence_is_not_speech() -> None:
    assert not energy_vad(log_energies(np.zeros(16000, np.float32), 16000, FrameGeometry())).any()
