"""Telephones and coders: G.711's own table, alignment measured on speech, and nothing that is too short."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

from pysteps.audio.filters import resample
from pysteps.augment.codec import alaw, gsm, mp3, mulaw, opus, telephone
from pysteps.augment.level import clip, volume
from pysteps.formats.errors import InputError

Coder = Callable[[np.ndarray, int], np.ndarray]
CODERS: dict[str, Coder] = {
    "telephone": telephone,
    "mulaw": mulaw,
    "alaw": alaw,
    "gsm": gsm,
    "mp3-16": partial(mp3, kbps=16),
    "mp3-64": partial(mp3, kbps=64),
    "opus-12": partial(opus, kbps=12),
    "opus-32": partial(opus, kbps=32),
}
# ITU-T G.711, tables 2a and 1a: uniform PCM in the units of the table, and the value that is decoded.
MU_LAW = {0: 0, 4: 4, 32: 33, 100: 99, 1000: 1023, 3000: 2975, 5000: 4959, 8100: 8031, -1000: -1023}
A_LAW = {1: 1, 51: 51, 101: 102, 1000: 1008, 3000: 3008, 4000: 4032, -1000: -1008, -3: -3}


@pytest.fixture(scope="module")
def speech(repo: Path) -> np.ndarray:
    """Three seconds of a real voice at 16 kHz."""
    path = sorted((repo / "egs/mini/corpus/speech").glob("*/*.opus"))[120]
    samples, rate = soundfile.read(path, dtype="float32")
    return resample(samples, rate, 16000)[:48000]


def lag(clean: np.ndarray, coded: np.ndarray, most: int = 200) -> tuple[int, float]:
    """By how many samples ``coded`` is late, and the normalised correlation there."""
    size = 2 * len(clean)
    product = np.fft.rfft(coded, size) * np.conj(np.fft.rfft(clean, size))
    found = np.roll(np.fft.irfft(product, size), most)[: 2 * most + 1]
    best = int(np.argmax(found))
    return best - most, float(found[best] / np.linalg.norm(clean) / np.linalg.norm(coded))


@pytest.mark.parametrize("name", CODERS)
@pytest.mark.parametrize("rate", [8000, 16000])
def test_speech_comes_back_aligned_to_the_sample(name: str, rate: int, speech: np.ndarray) -> None:
    clean = resample(speech, 16000, rate)
    coded = CODERS[name](clean, rate)
    assert coded.dtype == np.float32 and coded.shape == clean.shape
    late, alike = lag(clean, coded)
    assert late == 0
    # The telephone takes the pitch away, low bit rates much of the detail.
    assert 0.8 < alike < 0.99999
    assert not np.array_equal(coded, clean)


@pytest.mark.parametrize("name", ["mulaw", "mp3-64", "opus-32"])
def test_an_odd_rate_and_an_odd_length_stay(name: str, speech: np.ndarray) -> None:
    clean = resample(speech[:16000], 16000, 44100)[:44001]
    coded = CODERS[name](clean, 44100)
    assert len(coded) == 44001 and lag(clean, coded)[0] == 0


@pytest.mark.parametrize("name", CODERS)
@pytest.mark.parametrize("length", [0, 1, 2, 700])
def test_short_signals_and_silence(name: str, length: int) -> None:
    for level in (0.0, 0.5):
        coded = CODERS[name](np.full(length, level, np.float32), 16000)
        assert coded.shape == (length,) and coded.dtype == np.float32 and np.isfinite(coded).all()
        # A-law has no zero, and GSM rounds to 8: silence is a hiss of the last bits.
        assert level or not length or np.abs(coded).max() < 1e-3


@pytest.mark.parametrize(("coder", "table", "unit"), [(mulaw, MU_LAW, 4), (alaw, A_LAW, 8)])
def test_companding_is_that_of_the_recommendation(coder: Coder, table: dict[int, int], unit: int) -> None:
    pcm = np.array(list(table), np.float32) * unit / 32768
    assert (coder(pcm, 8000) * 32768 / unit).tolist() == list(table.values())


def test_the_telephone_passes_its_band_only() -> None:
    time = np.arange(32000) / 16000
    gains = {}
    for hertz in (100, 300, 1000, 3400, 5000):
        tone = np.sin(2 * np.pi * hertz * time).astype(np.float32)
        heard = telephone(tone, 16000)[4000:-4000]
        gains[hertz] = 10 * np.log10(np.mean(heard.astype(float) ** 2) / 0.5 + 1e-12)
    # The Butterworth edges are half-power points, and the filter runs twice.
    assert gains[1000] == pytest.approx(0, abs=0.1)
    assert gains[300] == pytest.approx(-6, abs=0.5) and gains[3400] == pytest.approx(-6, abs=0.5)
    assert gains[100] < -40 and gains[5000] < -60


@pytest.mark.parametrize(("coder", "low", "high"), [(mp3, 16, 64), (opus, 12, 48)])
def test_more_bits_are_closer_to_the_speech(
    coder: Callable[..., np.ndarray], low: int, high: int, speech: np.ndarray
) -> None:
    poor, rich = (float(np.sum((coder(speech, 16000, kbps) - speech) ** 2)) for kbps in (low, high))
    assert rich < poor / 2


def test_coding_twice_gives_the_same_bytes(speech: np.ndarray) -> None:
    for coder in CODERS.values():
        assert coder(speech[:16000], 16000).tobytes() == coder(speech[:16000], 16000).tobytes()


@pytest.mark.parametrize(
    ("coder", "rate", "kbps"), [(mp3, 16000, 200), (mp3, 16000, 4), (mp3, 48000, 16), (opus, 16000, 8)]
)
def test_a_bit_rate_that_the_coder_lacks_is_refused(
    coder: Callable[..., np.ndarray], rate: int, kbps: int
) -> None:
    with pytest.raises(InputError, match=rf"{kbps} kbit/s \(\d+ to \d+ kbit/s\)"):
        coder(np.zeros(100, np.float32), rate, kbps)


@pytest.mark.parametrize("name", [name for name in CODERS if name != "telephone"])  # that is no coder
def test_nan_is_never_coded(name: str) -> None:
    bad = np.zeros(2000, np.float32)
    bad[1000] = np.nan
    with pytest.raises(InputError, match="NaN"):
        CODERS[name](bad, 16000)


def test_too_loud_is_clipped_on_the_way_into_the_coder(speech: np.ndarray) -> None:
    loud = resample(speech[:8000], 16000, 8000) * np.float32(30)
    assert np.abs(loud).max() > 1.5
    assert np.array_equal(mulaw(loud, 8000), mulaw(loud.clip(-1, 1), 8000))


def test_volume_is_in_decibels() -> None:
    samples = np.array([0.5, -0.25, 0], np.float32)
    np.testing.assert_allclose(volume(samples, -6.0206), samples / 2, rtol=1e-6)
    np.testing.assert_allclose(volume(samples, 20), samples * 10, rtol=1e-6)


@pytest.mark.parametrize("share", [0.001, 0.01, 0.2])
def test_the_share_of_samples_lies_at_the_limit_and_the_level_stays(share: float, speech: np.ndarray) -> None:
    clipped = clip(speech, share)
    at_limit = np.mean(np.abs(clipped) >= np.abs(clipped).max() * (1 - 1e-6))
    assert at_limit == pytest.approx(share, abs=0.0005)
    assert np.std(clipped) == pytest.approx(np.std(speech), rel=1e-3)
    # Only the peaks changed their shape: all others have one gain.
    inside = np.abs(clipped) < np.abs(clipped).max() * 0.999
    gains = clipped[inside & (speech != 0)] / speech[inside & (speech != 0)]
    assert gains.max() / gains.min() == pytest.approx(1, abs=1e-5) and gains.min() >= 1


def test_clipping_nothing_and_clipping_silence() -> None:
    samples = np.linspace(-1, 1, 50, dtype=np.float32)
    assert np.array_equal(clip(samples, 0.0), samples)
    assert not clip(np.zeros(10, np.float32), 0.5).any()
    almost = np.zeros(10, np.float32)
    almost[3] = 0.5
    assert np.array_equal(clip(almost, 0.5), almost)
    with pytest.raises(InputError, match="share"):
        clip(samples, 1.0)


@settings(max_examples=40, deadline=None)
@given(length=st.integers(0, 3000), rate=st.sampled_from([6000, 8000, 16000, 44100]), seed=st.integers(0, 9))
def test_every_length_at_every_rate(length: int, rate: int, seed: int) -> None:
    samples = np.random.default_rng(seed).uniform(-1, 1, length).astype(np.float32)
    for out in (telephone(samples, rate), mulaw(samples, rate), gsm(samples, rate), clip(samples, 0.05)):
        assert out.shape == (length,) and out.dtype == np.float32 and np.isfinite(out).all()
