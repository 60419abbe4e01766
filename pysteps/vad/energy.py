"""Kaldi's energy VAD (compute-vad), in numpy."""

from __future__ import annotations

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from ..formats.frames import FrameGeometry
from .options import check_energy

_EPSILON = float(np.finfo(np.float32).eps)
_FRAMES_AT_ONCE = 1024  # 10 s: fits the cache, and recordings of hours cost no memory


def log_energies(
    samples: np.ndarray, rate: int, geometry: FrameGeometry, *, sample_scale: float = 32768.0
) -> np.ndarray:
    """Raw log energy of each frame, float32 [frames]: the first column of Kaldi's MFCC with use_energy.

    ``samples`` [time] in [-1, 1) are scaled to 16 bits, each frame's mean is removed, and the energy is
    taken before pre-emphasis and window (float64 inside).
    """
    count = geometry.num_frames(len(samples), rate)
    energies = np.empty(count, np.float32)
    for begin in range(0, count, _FRAMES_AT_ONCE):
        end = min(begin + _FRAMES_AT_ONCE, count)
        first = geometry.first_sample(begin, rate)
        last = geometry.first_sample(end - 1, rate) + geometry.length(rate)
        part = _between(samples, first, last).astype(np.float64) * sample_scale
        frames = sliding_window_view(part, geometry.length(rate))[:: geometry.shift(rate)]
        power = np.einsum("ij,ij->i", frames, frames) - frames.sum(1) ** 2 / frames.shape[1]
        energies[begin:end] = np.log(np.maximum(power, _EPSILON))
    return energies


def _between(samples: np.ndarray, first: int, last: int) -> np.ndarray:
    # Reflected at the edges, repeatedly if need be, as Kaldi does without snip-edges.
    length = len(samples)
    if first >= 0 and last <= length:
        return samples[first:last]
    index = np.arange(first, last) % (2 * length)
    return samples[np.where(index < length, index, 2 * length - 1 - index)]


def energy_vad(
    log_energy: np.ndarray,
    *,
    threshold: float = 5.5,
    mean_scale: float = 0.5,
    context: int = 2,
    proportion: float = 0.12,
) -> np.ndarray:
    """Speech decisions, bool [frames], from log energies [frames] (Kaldi's ComputeVadEnergy).

    A frame is speech when at least ``proportion`` of the frames t - context ... t + context (those that
    exist) lie above threshold + mean_scale * mean log energy. Defaults as in Kaldi's recipes.
    """
    check_energy(mean_scale, context, proportion)
    frames = len(log_energy)
    if frames == 0:
        return np.zeros(0, bool)
    level = threshold + mean_scale * log_energy.mean(dtype=np.float64)
    above = np.concatenate(([0], np.cumsum(log_energy > level)))
    t = np.arange(frames)
    start, end = np.maximum(t - context, 0), np.minimum(t + context + 1, frames)
    # Kaldi compares in float32: 0.2 of five frames is one frame, not a little more.
    needed = (end - start).astype(np.float32) * np.float32(proportion)
    return above[end] - above[start] >= needed
