"""Tempo: the length changes by the factor, the pitch does not."""

from __future__ import annotations

import numpy as np
import pytest

from pysteps.augment.tempo import change_tempo
from pysteps.formats.errors import InputError

FACTORS = [0.5, 0.9, 1.1, 2.0]


def tone(hertz: float, seconds: float, rate: int = 16000) -> np.ndarray:
    return np.sin(2 * np.pi * hertz * np.arange(int(seconds * rate)) / rate).astype(np.float32)


@pytest.mark.parametrize("factor", FACTORS)
def test_the_length_is_exact_and_the_pitch_stays(factor: float) -> None:
    source = tone(200, 3)
    changed = change_tempo(source, 16000, factor)
    assert changed.dtype == np.float32 and len(changed) == round(48000 / factor)
    heard = changed[2000:-2000]
    spectrum = np.abs(np.fft.rfft(heard * np.hanning(len(heard)), 1 << 19))
    assert spectrum.argmax() * 16000 / (1 << 19) == pytest.approx(200, abs=0.5)
    assert np.std(heard) == pytest.approx(np.sqrt(0.5), rel=0.03)


@pytest.mark.parametrize("factor", FACTORS)
def test_what_was_said_when_moves_by_the_factor(factor: float) -> None:
    source = np.concatenate([tone(300, 1), np.zeros(8000, np.float32), tone(900, 1)])
    loud = np.abs(change_tempo(source, 16000, factor)) > 0.2
    gap = np.flatnonzero(np.convolve(loud, np.ones(400), "same") == 0) / 16000
    # Within the window that the filter repeats or leaves out.
    assert gap[gap > 0.2].min() == pytest.approx(1.0 / factor, abs=0.08)
    assert gap[gap < 2.2 / factor].max() == pytest.approx(1.5 / factor, abs=0.08)


@pytest.mark.parametrize("factor", FACTORS)
@pytest.mark.parametrize("length", [0, 1, 2, 100, 5000])
def test_short_signals_and_silence(factor: float, length: int) -> None:
    for samples in (np.zeros(length, np.float32), np.ones(length, np.float32)):
        changed = change_tempo(samples, 8000, factor)
        assert changed.shape == (round(length / factor),) and np.isfinite(changed).all()
        assert samples.any() or not changed.any()


def test_the_same_bytes_every_time() -> None:
    source = np.random.default_rng(0).normal(size=100_000).astype(np.float32) * 0.1
    assert change_tempo(source, 16000, 0.9).tobytes() == change_tempo(source, 16000, 0.9).tobytes()
    assert np.array_equal(change_tempo(source, 16000, 1.0), source)


@pytest.mark.parametrize("factor", [0.0, 0.49, 2.01, -1.0, float("nan")])
def test_other_factors_are_refused(factor: float) -> None:
    with pytest.raises(InputError, match=r"0\.5 to 2"):
        change_tempo(np.zeros(100, np.float32), 16000, factor)
