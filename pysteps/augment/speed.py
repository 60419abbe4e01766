"""Speed perturbation (Ko et al., "Audio augmentation for speech recognition", Interspeech 2015)."""

from __future__ import annotations

import numpy as np

from ..audio.filters import resample
from ..formats.errors import InputError

_PREFIX = "speed"
_STEPS = 1000  # factors are taken to three digits


def speed_factor(kind: str) -> float | None:
    """The factor of a kind ``speed0.9``, None for any other kind; it must lie between 0.5 and 2."""
    if not kind.startswith(_PREFIX):
        return None
    try:
        factor = float(kind.removeprefix(_PREFIX))
    except ValueError:
        factor = 0.0
    if not 0.5 <= factor <= 2.0 or factor == 1.0:
        raise InputError(
            f"unknown speed {kind!r}", mend="speedFACTOR with a factor of 0.5 to 2, such as speed0.9"
        )
    return factor


def change_speed(samples: np.ndarray, factor: float) -> np.ndarray:
    """``samples`` [time] played ``factor`` times as fast, pitch and all; float32 [time / factor]."""
    return resample(samples, round(_STEPS * factor), _STEPS)
