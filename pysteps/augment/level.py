"""Louder, softer, and too loud for the microphone. Float32 [time] in and out, of the same length."""

from __future__ import annotations

import numpy as np

from ..formats.errors import InputError
from .blocks import mean_power, pieces


def volume(samples: np.ndarray, gain_db: float) -> np.ndarray:
    """``samples`` [time] with ``gain_db`` dB of gain (negative: softer); not clipped."""
    return np.asarray(samples, dtype=np.float32) * np.float32(10 ** (gain_db / 20))


def clip(samples: np.ndarray, share: float) -> np.ndarray:
    """``samples`` [time] cut off at the limit that the ``share`` of loudest ones reach; as loud as before.

    So sounds a recording whose level was set too high. The limit is a quantile of the magnitudes: where
    samples are equal somewhat more lie at it. Silence stays silence. Raises
    InputError for a share outside of 0 to 1.
    """
    if not 0 <= share < 1:
        raise InputError(f"clipping a share of {share:g}", mend="0 or more, below 1")
    samples = np.asarray(samples, dtype=np.float32)
    count = round(share * len(samples))
    if count == 0 or not np.any(samples):
        return samples.copy()
    magnitudes, at = np.abs(samples), len(samples) - count
    magnitudes.partition(at)
    limit = magnitudes[at]
    del magnitudes  # of a long recording a third copy would be much
    if limit == 0:  # silence but for fewer samples than the share: all of it would be cut away
        return samples.copy()
    cut = np.clip(samples, -limit, limit)
    before, after = (mean_power(len(x), pieces(x)) for x in (samples, cut))
    cut *= np.float32((before / after) ** 0.5)
    return cut
