"""Speed perturbation (Ko et al., "Audio augmentation for speech recognition", Interspeech 2015)."""

from __future__ import annotations

import numpy as np

from ..audio.filters import resample

_STEPS = 1000  # factors are taken to three digits


def change_speed(samples: np.ndarray, factor: float) -> np.ndarray:
    """``samples`` [time] played ``factor`` times as fast, pitch and all; float32 [time / factor]."""
    return resample(samples, round(_STEPS * factor), _STEPS)
