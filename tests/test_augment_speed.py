"""Speed perturbation: pitch and length change together; the copy's voices are other speakers."""

from __future__ import annotations

import numpy as np
import pytest

from pysteps.augment.draw import apply, draw
from pysteps.augment.speed import change_speed, speed_factor
from pysteps.formats.errors import InputError


@pytest.mark.parametrize("factor", [0.9, 1.1])
def test_a_tone_changes_length_and_pitch_by_the_factor(factor: float) -> None:
    tone = np.sin(2 * np.pi * 1000 * np.arange(16000) / 16000).astype(np.float32)
    changed = change_speed(tone, factor)
    assert abs(len(changed) - 16000 / factor) <= 1
    spectrum = np.abs(np.fft.rfft(changed[:14000] * np.hanning(14000)))
    assert spectrum.argmax() * 16000 / 14000 == pytest.approx(1000 * factor, abs=1.2)
    assert np.sqrt(np.mean(changed[500:-500] ** 2)) == pytest.approx(np.sqrt(0.5), rel=1e-3)


def test_the_kind_says_the_factor() -> None:
    assert speed_factor("speed0.9") == 0.9 and speed_factor("noise") is None
    for kind in ("speed", "speed3", "speed1.0", "speedy"):
        with pytest.raises(InputError, match="unknown speed"):
            speed_factor(kind)


def test_drawn_parameters_are_carried_out() -> None:
    parameters = draw("u", "speed1.1", 0, {})
    samples = np.random.default_rng(0).normal(size=1100).astype(np.float32)

    def load(pool: str, name: str) -> np.ndarray:
        raise AssertionError("nothing is loaded for speed")

    assert len(apply(samples, parameters, load)) == 1000
