"""Delta features: slopes over neighbouring frames, as Kaldi's add-deltas computes them."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor


def kernels(order: int, window: int) -> list[list[float]]:
    """The filters over time of the deltas of order 1 to ``order``, each of odd length.

    Each applies the regression over ``window`` frames to each side to the filter before (DeltaFeatures).
    """
    slope = np.arange(-window, window + 1, dtype=np.float64)
    slope /= np.sum(slope**2)
    found = [np.ones(1)]
    for _ in range(order):
        found.append(np.convolve(found[-1], slope))
    return [kernel.tolist() for kernel in found[1:]]


def slopes(features: Tensor, filters: list[list[float]], first: int, last: int) -> list[Tensor]:
    """The deltas [..., last - first, dim] of the frames [first, last) of ``features`` [..., frames, dim].

    One for each of ``filters`` (see ``kernels``). Frames beyond the ends repeat the first or last frame.
    """
    reach = len(filters[-1]) // 2
    index = torch.arange(first - reach, last + reach, device=features.device)
    near = features[..., index.clamp(0, features.shape[-2] - 1), :]
    found = []
    for weights in filters:
        skip, total = reach - len(weights) // 2, torch.zeros_like(near[..., : last - first, :])
        for step, weight in enumerate(weights):
            total = total + near[..., skip + step : skip + step + last - first, :] * weight
        found.append(total)
    return found
