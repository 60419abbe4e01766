"""Delta features: slopes over neighbouring frames, as Kaldi's add-deltas computes them."""

from __future__ import annotations

import numpy as np

from ..formats.errors import InputError


def add_deltas(features: np.ndarray, *, order: int = 2, window: int = 2) -> np.ndarray:
    """``features`` [frames, dim] with its slopes up to ``order`` appended: [frames, dim * (order + 1)].

    Each order applies the regression over ``window`` frames to each side once more to the filter of
    the order before; frames beyond the ends repeat the first or last frame (Kaldi's DeltaFeatures).
    """
    if order < 0 or window < 1:
        raise InputError(f"deltas of order {order} over a window of {window}")
    if len(features) == 0:
        return np.zeros((0, features.shape[1] * (order + 1)), features.dtype)
    slope = np.arange(-window, window + 1, dtype=np.float64)
    slope /= np.sum(slope**2)
    kernel, parts = np.ones(1), [features.astype(np.float64)]
    for _ in range(order):
        kernel = np.convolve(kernel, slope)
        reach = len(kernel) // 2
        padded = np.pad(parts[0], ((reach, reach), (0, 0)), mode="edge")
        shifted = (weight * padded[k : k + len(features)] for k, weight in enumerate(kernel))
        parts.append(sum(shifted, start=np.zeros_like(parts[0])))
    return np.concatenate(parts, axis=1).astype(features.dtype)
