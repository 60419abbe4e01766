"""Resampling, band-pass and 16 bits on signals whose answer is known."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pysteps.audio.filters import bandpass, resample, to_int16
from pysteps.formats.errors import InputError


def tone(hertz: float, rate: int, seconds: float = 1.0) -> np.ndarray:
    return np.sin(2 * np.pi * hertz * np.arange(int(rate * seconds)) / rate).astype(np.float32)


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
