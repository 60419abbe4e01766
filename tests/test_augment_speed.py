"""Speed perturbation: pitch and length change together."""

from __future__ import annotations

import numpy as np
import pytest

from pysteps.augment.draw import apply, draw
from pysteps.augment.options import AugmentOptions
from pysteps.augment.speed import change_speed


@pytest.mark.parametrize("factor", [0.9, 1.1])
def test_a_tone_changes_length_and_pitch_by_the_factor(factor: float) -> None:
    tone = np.sin(2 * np.pi * 1000 * np.arange(16000) / 16000).astype(np.float32)
    changed = change_speed(tone, factor)
    assert abs(len(changed) - 16000 / factor) <= 1
    spectrum = np.abs(np.fft.rfft(changed[:14000] * np.hanning(14000)))
    assert spectrum.argmax() * 16000 / 14000 == pytest.approx(1000 * factor, abs=1.2)
    assert np.sqrt(np.mean(changed[500:-500] ** 2)) == pytest.approx(np.sqrt(0.5), rel=1e-3)


@pytest.mark.parametrize("kind", ["speed1.1", "tempo1.1"])
def test_drawn_factors_are_carried_out_without_a_recording(kind: str) -> None:
    samples = np.random.default_rng(0).normal(size=1100).astype(np.float32)

    def load(pool: str, name: str, fraction: float = 0.0, length: int | None = None) -> np.ndarray:
        raise AssertionError("nothing is loaded for speed")

    assert len(apply(samples, draw("u", kind, AugmentOptions(), {}), load, 16000)) == 1000
