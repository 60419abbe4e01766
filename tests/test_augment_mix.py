"""Mixing and rooms, measured on what comes out."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

from pysteps.augment.mix import add_noise, babble, direct_path, fitted, reverberate
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
    assert fitted(noise, 5, 4).tolist() == [5, 1, 2, 3, 4] and fitted(noise, 0, 4).tolist() == []
    assert fitted(noise, 9, 3).tolist() == [4, 5, 1, 2, 3, 4, 5, 1, 2]
    assert fitted(noise, 2, 8).tolist() == [4, 5]


@pytest.mark.parametrize(("speech", "noise"), [(np.zeros(100), white(50)), (white(100), np.zeros(50))])
def test_silence_has_no_ratio(speech: np.ndarray, noise: np.ndarray) -> None:
    np.testing.assert_array_equal(add_noise(speech, noise, 5), speech.astype(np.float32))


def test_an_empty_noise_is_refused() -> None:
    with pytest.raises(InputError, match="without samples"):
        add_noise(white(10), white(0), 5)


def test_noise_is_one_signal_across_blocks() -> None:
    speech, noise = white(150_000), white(7001, 1)
    added = add_noise(speech, noise, 3.0, 6000).astype(np.float64) - speech
    expected = fitted(noise, 150_000, 6000)
    np.testing.assert_allclose(added, expected * (np.std(added) / np.std(expected)), atol=1e-6)


def test_voices_go_on_across_blocks() -> None:
    speech, voice = white(150_000), white(7001, 1)
    np.testing.assert_allclose(
        babble(speech, [voice], 12.0, [6000]), add_noise(speech, voice, 12.0, 6000), atol=1e-6
    )


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


# One transform; several at once; several times several; a room longer than the speech.
@pytest.mark.parametrize(
    ("length", "taps"), [(300, 50), (1, 1), (40000, 3000), (150_000, 2000), (90_000, 9000), (5000, 20_000)]
)
@pytest.mark.parametrize("direct", [None, 0, 17])
def test_the_convolution_is_the_slow_one(length: int, taps: int, direct: int | None) -> None:
    from scipy.signal import fftconvolve

    if direct is not None and direct >= taps:
        direct = 0
    speech, rir = white(length), white(taps, 1)
    wet = reverberate(speech, rir, direct)
    start = direct_path(rir) if direct is None else direct
    slow = fftconvolve(speech.astype(float), rir.astype(float))[start:][:length]
    slow = np.concatenate([slow, np.zeros(length - len(slow))])
    slow *= np.sqrt(np.mean(speech**2) / np.mean(slow**2))
    np.testing.assert_allclose(wet, slow, atol=1e-6)


def test_the_direct_path_is_the_first_peak_within_6_db_of_the_largest() -> None:
    assert direct_path(np.array([0, 0.4, 0.45, 0.1, -0.6, -0.8, 0.3, 1.0, 0.2])) == 5
    assert direct_path(np.array([0.0, 0.2, 0.6, 1.0])) == 3  # still rising at the end
    assert direct_path(np.array([-1.0])) == 0


@pytest.mark.parametrize("rir", [np.zeros(0), np.zeros(10)])
def test_a_room_without_a_path_is_refused(rir: np.ndarray) -> None:
    for direct in (None, 0):
        with pytest.raises(InputError, match="direct path"):
            reverberate(white(10), rir, direct)
    with pytest.raises(InputError, match="at sample 5 of a room impulse response of 5"):
        reverberate(white(10), white(5), 5)


def test_real_speech_in_measured_rooms(shared_data: Path) -> None:
    speech, rate = soundfile.read(speech_files(shared_data)[0], dtype="float32")
    size = 1 << 18
    speech = speech[: 4 * rate]
    found = sorted((shared_data / "RIRS_NOISES").rglob("*.wav"))
    for path in found[::3]:
        rir = soundfile.read(path, dtype="float32")[0]
        wet = reverberate(speech, rir)
        assert wet.shape == speech.shape and db(wet, speech) == pytest.approx(0, abs=0.01)
        # Deconvolved again (regularised), nothing half as loud as the loudest is heard before time 0.
        clean = np.fft.rfft(speech, size)
        power = np.abs(clean) ** 2
        heard = np.fft.irfft(np.fft.rfft(wet, size) * np.conj(clean) / (power + 1e-4 * power.mean()), size)
        heard = np.abs(np.roll(heard, 1000)[:3000])
        assert -4 <= int(np.argmax(heard > 0.5 * heard.max())) - 1000 <= 1, path


def test_real_noise_and_voices_at_the_wanted_ratio(shared_data: Path) -> None:
    speech, *voices = (soundfile.read(path, dtype="float32")[0] for path in speech_files(shared_data)[:5])
    noise = soundfile.read(sorted((shared_data / "musan/noise/esc10").glob("*.*g*"))[7], dtype="float32")[0]
    mixed = {
        0.0: add_noise(speech, noise, 0.0, 40_000),
        9.5: add_noise(speech, noise, 9.5),
        17.3: babble(speech, voices, 17.3, [100_000, 5, 0, 60_000]),
    }
    for snr, out in mixed.items():
        assert out.shape == speech.shape and len(out) > 65536  # more than one block
        assert db(speech, out.astype(np.float64) - speech) == pytest.approx(snr, abs=0.1)


def speech_files(shared_data: Path) -> list[Path]:
    return sorted((shared_data / "LibriSpeech/test-other").rglob("*.flac"))[::11]


@settings(max_examples=40, deadline=None)
@given(length=st.integers(0, 2000), noise=st.integers(1, 3000), offset=st.integers(0, 5000))
def test_length_is_kept_whatever_it_is(length: int, noise: int, offset: int) -> None:
    speech = white(length)
    for out in (add_noise(speech, white(noise, 1), 10, offset), reverberate(speech, white(noise, 2))):
        assert out.shape == (length,) and np.isfinite(out).all()
