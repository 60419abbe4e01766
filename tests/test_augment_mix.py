"""Mixing and rooms, measured on what comes out."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pysteps.augment.mix import add_noise, babble, fitted, reverberate
from pysteps.formats.errors import InputError


def white(length: int, seed: int = 0, level: float = 0.1) -> np.ndarray:
    return (np.random.default_rng(seed).standard_normal(length) * level).astype(np.float32)


def db(signal: np.ndarray, noise: np.ndarray) -> float:
    powers = [np.mean(np.square(x, dtype=np.float64)) for x in (signal, noise)]
    return float(10 * np.log10(powers[0] / powers[1]))


@pytest.mark.parametrize("snr", [-5.0, 0.0, 7.3, 20.0])
@pytest.mark.parametrize("length", [500, 16000, 40000])
def test_the_ratio_is_the_wanted_one(snr: float, length: int) -> None:
    speech = white(20000)
    mixed = add_noise(speech, white(length, 1, 3.0), snr, offset=77)
    assert mixed.dtype == np.float32 and len(mixed) == len(speech)
    assert db(speech, mixed - speech) == pytest.approx(snr, abs=0.1)


def test_noise_begins_at_the_offset_and_repeats() -> None:
    noise = np.arange(1, 6, dtype=np.float32)
    assert fitted(noise, 9, 3).tolist() == [4, 5, 1, 2, 3, 4, 5, 1, 2]
    assert fitted(noise, 2, 8).tolist() == [4, 5]


@pytest.mark.parametrize(("speech", "noise"), [(np.zeros(100), white(50)), (white(100), np.zeros(50))])
def test_silence_has_no_ratio(speech: np.ndarray, noise: np.ndarray) -> None:
    np.testing.assert_array_equal(add_noise(speech, noise, 5), speech.astype(np.float32))


def test_an_empty_noise_is_refused() -> None:
    with pytest.raises(InputError, match="without samples"):
        add_noise(white(10), white(0), 5)


def test_babble_is_a_sum_of_equally_loud_voices() -> None:
    speech, voices = white(16000), [white(20000, 1, 1.0), white(3000, 2, 0.01), white(16000, 3)]
    mixed = babble(speech, voices, 15.0, [5, 100, 0])
    rest = mixed.astype(np.float64) - speech
    assert db(speech, rest) == pytest.approx(15, abs=0.1)
    parts = [fitted(v, 16000, o).astype(np.float64) for v, o in zip(voices, [5, 100, 0], strict=True)]
    shares = [np.dot(rest, p) / np.linalg.norm(p) for p in parts]
    assert max(shares) / min(shares) == pytest.approx(1, abs=0.05)


def test_a_room_of_one_late_peak_changes_nothing() -> None:
    rir = np.zeros(4000, np.float32)
    rir[731] = -0.02
    speech = white(8000)
    np.testing.assert_allclose(reverberate(speech, rir), -speech, atol=1e-6)


def test_a_room_keeps_level_length_and_alignment() -> None:
    rng = np.random.default_rng(5)
    rir = rng.standard_normal(8000) * np.exp(-np.arange(8000) / 1500) * 0.1
    rir[:200], rir[200] = 0, 1.5
    speech = white(30000)
    wet = reverberate(speech, rir.astype(np.float32))
    assert len(wet) == 30000 and wet.dtype == np.float32
    assert db(wet, speech) == pytest.approx(0, abs=0.01)
    correlation = np.correlate(wet[1000:20000], speech[500:20500])
    assert int(np.argmax(np.abs(correlation))) == 500


def test_the_convolution_is_the_slow_one() -> None:
    speech, rir = white(300), white(50, 1)
    wet = reverberate(speech, rir)
    slow = np.convolve(speech, rir)[np.argmax(np.abs(rir)) :][:300]
    slow *= np.sqrt(np.mean(speech**2) / np.mean(slow**2))
    np.testing.assert_allclose(wet, slow, atol=1e-6)


@pytest.mark.parametrize("rir", [np.zeros(0), np.zeros(10)])
def test_a_room_without_a_path_is_refused(rir: np.ndarray) -> None:
    with pytest.raises(InputError, match="direct path"):
        reverberate(white(10), rir)


@settings(max_examples=40, deadline=None)
@given(length=st.integers(0, 2000), noise=st.integers(1, 3000), offset=st.integers(0, 5000))
def test_length_is_kept_whatever_it_is(length: int, noise: int, offset: int) -> None:
    speech = white(length)
    for out in (add_noise(speech, white(noise, 1), 10, offset), reverberate(speech, white(noise, 2))):
        assert out.shape == (length,) and np.isfinite(out).all()
