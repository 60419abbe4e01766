"""Speed perturbation (Ko et al., "Audio augmentation for speech recognition", Interspeech 2015)."""

from __future__ import annotations

import numpy as np

from .blocks import Streamed, at_rate, gathered, in_blocks

_STEPS = 1000  # ``parse_chain`` takes no factor of more than three digits


def change_speed(samples: np.ndarray | Streamed, factor: float) -> np.ndarray:
    """``samples`` [time] played ``factor`` times as fast, pitch and all; float32 [time / factor]."""
    before = round(_STEPS * factor)
    expected = -(-len(samples) * _STEPS // before) + 1
    return gathered(at_rate(in_blocks(samples), before, _STEPS), expected)
