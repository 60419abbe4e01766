"""Resampling, band-pass and 16 bits on signals whose answer is known."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import signal

from pysteps.audio import filters
from pysteps.audio.filters import (
    Resampler,
    StreamingBandpass,
    bandpass,
    normalise_level,
    preemphasis,
    resample,
    to_int16,
    trim_silence,
)
from pysteps.formats.errors import InputError


def tone(hertz: float, rate: int, seconds: float = 1.0) -> np.ndarray:
    return np.sin(2 * np.pi * hertz * np.arange(int(rate * seconds)) / rate).astype(np.float32)


def noise(length: int, scale: float = 0.3) -> np.ndarray:
    return (scale * np.random.default_rng(3).standard_normal(length)).astype(np.float32)


def in_blocks(samples: np.ndarray, step: int) -> list[np.ndarray]:
    return [samples[start : start + step] for start in range(0, max(len(samples), 1), step)]


def gain_db(out: np.ndarray, rate: int) -> float:
    middle = out[rate // 4 : -rate // 4].astype(np.float64)
    return float(10 * np.log10(np.mean(middle**2) / 0.5 + 1e-30))


@pytest.mark.parametrize(
    ("from_rate", "to_rate"), [(48000, 16000), (44100, 16000), (8000, 16000), (11025, 16000)]
)
def test_a_tone_stays_the_tone(from_rate: int, to_rate: int) -> None:
    out = resample(tone(1000, from_rate), from_rate, to_rate)
    assert out.dtype == np.float32 and abs(len(out) - to_rate) <= 1
    middle = slice(2000, 14000)
    np.testing.assert_allclose(out[middle], tone(1000, to_rate)[middle], atol=2e-3)


def test_what_lies_above_the_new_band_is_gone() -> None:
    assert gain_db(resample(tone(9500, 48000), 48000, 16000), 16000) < -90


def test_resampling_repeats_its_bits_and_leaves_equal_rates_alone() -> None:
    noise = np.random.default_rng(0).standard_normal(20000).astype(np.float32)
    assert np.array_equal(resample(noise, 44100, 16000), resample(noise, 44100, 16000))
    assert resample(noise, 16000, 16000) is noise
    assert len(resample(noise[:0], 8000, 16000)) == 0


@pytest.mark.parametrize("zero_phase", [True, False])
def test_band_edges_are_3_db_down(zero_phase: bool) -> None:
    edge = gain_db(bandpass(tone(3400, 16000), 16000, 300, 3400, zero_phase=zero_phase), 16000)
    assert edge == pytest.approx(-6.02 if zero_phase else -3.01, abs=0.1)
    assert gain_db(bandpass(tone(1000, 16000), 16000, 300, 3400), 16000) == pytest.approx(0, abs=0.05)
    assert gain_db(bandpass(tone(50, 16000), 16000, 300, 3400), 16000) < -60


def test_zero_phase_delays_nothing() -> None:
    out = bandpass(tone(1000, 16000), 16000, 300, 3400)
    np.testing.assert_allclose(out[4000:12000], tone(1000, 16000)[4000:12000], atol=5e-3)


@pytest.mark.parametrize(("low", "high"), [(300, 3400), (0, 1000), (60, 0)])
@pytest.mark.parametrize("length", [1, 2, 30, 5000])
def test_zero_phase_is_scipys_whatever_the_block(
    low: float, high: float, length: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    kind = "lowpass" if low == 0 else "highpass" if high == 0 else "bandpass"
    edges = {"lowpass": high, "highpass": low, "bandpass": [low, high]}[kind]
    sections = signal.butter(5, edges, kind, fs=16000, output="sos")
    wide = noise(length).astype(np.float64) + 0.4
    extension = min(3 * (2 * len(sections) + 1), length - 1)
    wanted = signal.sosfiltfilt(sections, wide, padlen=extension)
    monkeypatch.setattr(filters, "BLOCK", 777)
    out = bandpass(wide, 16000, low, high)
    assert out.dtype == np.float32
    np.testing.assert_allclose(out, wanted, atol=1e-6)


@pytest.mark.parametrize("step", [1, 1000, 4096, 100000])
def test_a_causal_band_pass_streams_to_the_same_bits(step: int) -> None:
    whole = noise(9000 if step > 1 else 300)
    wanted = bandpass(whole, 16000, 300, 3400, zero_phase=False)
    stream = StreamingBandpass(16000, 300, 3400)
    assert np.array_equal(np.concatenate([stream.push(block) for block in in_blocks(whole, step)]), wanted)


@pytest.mark.parametrize(("from_rate", "to_rate"), [(44100, 16000), (8000, 16000), (16000, 16000)])
@pytest.mark.parametrize("length", [0, 1, 5, 40000])
def test_resampling_streams_to_the_same_bits(from_rate: int, to_rate: int, length: int) -> None:
    whole = noise(length)
    wanted = resample(whole, from_rate, to_rate)
    for step in (997, 4096, 10**6):
        stream, blocks = Resampler(from_rate, to_rate), in_blocks(whole, step)
        parts = [stream.push(block, last=place == len(blocks) - 1) for place, block in enumerate(blocks)]
        assert np.array_equal(np.concatenate(parts), wanted)
    stream = Resampler(from_rate, to_rate)  # whoever does not know which block is the last ends with none
    assert np.array_equal(np.concatenate([stream.push(whole, False), stream.push(whole[:0], True)]), wanted)


@pytest.mark.parametrize(
    "change",
    [
        lambda x, **where: bandpass(x, 16000, 300, 3400, **where),
        lambda x, **where: bandpass(x, 16000, 300, 3400, zero_phase=False, **where),
        lambda x, **where: preemphasis(x, 0.97, **where),
        lambda x, **where: normalise_level(x, "rms", -30, **where),
    ],
)
def test_in_place_is_the_same_and_otherwise_the_input_is_left(change: Callable[..., np.ndarray]) -> None:
    given_ = noise(5000)
    kept = given_.copy()
    out = change(given_)
    assert np.array_equal(given_, kept) and not np.array_equal(out, kept)
    assert change(given_, in_place=True) is given_
    assert np.array_equal(given_, out)


def test_preemphasis_by_hand(monkeypatch: pytest.MonkeyPatch) -> None:
    samples = np.array([0.5, 0.25, -0.5, 1.0, 0.0], np.float32)
    wanted = [0.5, 0.0, -0.625, 1.25, -0.5]
    assert preemphasis(samples, 0.5).tolist() == wanted
    assert preemphasis(samples[3:], 0.5, previous=-0.5).tolist() == wanted[3:]
    monkeypatch.setattr(filters, "BLOCK", 2)
    assert preemphasis(samples, 0.5).tolist() == wanted
    assert len(preemphasis(samples[:0], 0.5)) == 0
    with pytest.raises(InputError, match="pre-emphasis"):
        preemphasis(samples, 1.5)


def test_levels_by_hand() -> None:
    square = np.array([0.1, -0.1, 0.1, -0.1], np.float32)
    np.testing.assert_allclose(normalise_level(square, "rms", -6.0206), 5 * square, rtol=1e-5)
    np.testing.assert_allclose(normalise_level(square, "peak", -20), square, rtol=1e-5)
    np.testing.assert_allclose(normalise_level(4 * square, "peak", 0), square * 327.67 / 32.768, rtol=1e-5)


def test_a_level_never_clips() -> None:
    impulse = np.zeros(1000, np.float32)
    impulse[500] = -0.01
    out = normalise_level(impulse, "rms", -20)
    assert np.abs(out).max() == np.float32(32767 / 32768)
    assert to_int16(out)[1] == 0


def test_what_is_silent_in_16_bits_keeps_its_level() -> None:
    quiet = np.full(10, 1.5e-5, np.float32)
    assert np.array_equal(normalise_level(quiet, "rms", -20), quiet)
    assert len(normalise_level(quiet[:0], "peak", -20)) == 0


def test_impossible_levels_are_refused() -> None:
    for how, level in (("loud", -20), ("rms", 3), ("peak", np.nan)):
        with pytest.raises(InputError, match="a level of"):
            normalise_level(noise(9), how, level)
    with pytest.raises(InputError, match="NaN"):
        normalise_level(np.array([0, np.nan], np.float32), "rms", -20)


def test_quiet_ends_are_trimmed_to_whole_frames(monkeypatch: pytest.MonkeyPatch) -> None:
    samples = np.full(1005, 0.001, np.float32)  # 60 dB below what follows
    samples[330:340] = 1.0
    samples[700] = 1.0  # a frame of 80 samples with one 1.0: 9 dB below the loudest frame's ten
    assert trim_silence(samples, 8000, 30) == (320, 720)
    assert trim_silence(samples, 8000, 5) == (320, 400)
    assert trim_silence(samples, 8000, 90) == (0, 1005)
    monkeypatch.setattr(filters, "BLOCK", 200)
    assert trim_silence(samples, 8000, 30) == (320, 720)
    samples[1000:], samples[330:340] = 0.4, 0.5  # the short last frame counts by its power, not by its energy
    assert trim_silence(samples, 8000, 3) == (320, 1005)


def test_a_loud_sample_at_the_end_is_no_loudest_frame() -> None:
    samples = np.full(801, 0.1, np.float32)  # ten frames of 80 samples, and one sample
    samples[-1] = 1.0
    assert trim_silence(samples, 8000, 15) == (0, 801)
    samples[:-1] = 0
    assert trim_silence(samples, 8000, 15) == (800, 801)  # unless there is nothing else


def test_silence_is_not_trimmed_away() -> None:
    assert trim_silence(np.zeros(500, np.float32), 16000, 30) == (0, 500)
    assert trim_silence(np.zeros(0, np.float32), 16000, 30) == (0, 0)
    with pytest.raises(InputError, match="NaN"):
        trim_silence(np.array([0, np.inf], np.float32), 16000, 30)
    with pytest.raises(InputError, match="trimming"):
        trim_silence(np.zeros(5, np.float32), 16000, 0)


def test_one_edge_makes_a_low_or_high_pass() -> None:
    assert gain_db(bandpass(tone(100, 16000), 16000, 0, 1000), 16000) == pytest.approx(0, abs=0.05)
    assert gain_db(bandpass(tone(6000, 16000), 16000, 1000, 0), 16000) == pytest.approx(0, abs=0.05)
    assert gain_db(bandpass(tone(100, 16000), 16000, 1000, 0), 16000) < -90


@pytest.mark.parametrize(("low", "high"), [(0, 0), (300, 200), (300, 8000), (-1, 300), (9000, 0)])
def test_impossible_bands_are_refused(low: float, high: float) -> None:
    with pytest.raises(InputError, match="a band from"):
        bandpass(tone(100, 16000), 16000, low, high)


@settings(max_examples=30, deadline=None)
@given(length=st.integers(0, 300), zero_phase=st.booleans())
def test_any_length_is_filtered(length: int, zero_phase: bool) -> None:
    out = bandpass(np.ones(length, np.float32), 16000, 300, 3400, zero_phase=zero_phase)
    assert out.shape == (length,) and np.isfinite(out).all()


def test_rounding_is_half_to_even_and_saturates() -> None:
    samples = np.array([0.5, 1.5, 2.5, -0.5, -1.5, 32767, 32767.4, 32768, 40000, -32768, -32769], np.float32)
    pcm, clipped = to_int16(samples / 32768)
    assert pcm.tolist() == [0, 2, 2, 0, -2, 32767, 32767, 32767, 32767, -32768, -32768]
    assert pcm.dtype == np.int16 and clipped == 3


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_not_finite_has_no_16_bits(bad: float) -> None:
    with pytest.raises(InputError, match="NaN"):
        to_int16(np.array([0, bad], np.float32))
