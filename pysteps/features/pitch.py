"""Fundamental frequency beside other features, by pyworld (Morise's WORLD: DIO, then StoneMask)."""

from __future__ import annotations

import importlib
from types import ModuleType

import numpy as np

from ..formats.errors import InputError
from .contract import FeaturesOptions

_PIECE_FRAMES, _MARGIN_FRAMES = 3000, 100  # hours are searched in pieces, each with neighbours it only hears


def with_pitch(features: np.ndarray, samples: np.ndarray, options: FeaturesOptions) -> np.ndarray:
    """``features`` [frames, dim] with log F0 (0 where there is none) and voicing (0 or 1) appended.

    ``samples`` [time] in [-1, 1). F0 is that of the middle of each frame.
    """
    frequency = fundamental(samples, len(features), options)
    found = frequency > 0
    track = np.stack((np.log(np.where(found, frequency, 1.0)), found), axis=1)
    return np.concatenate((features, track.astype(np.float32)), axis=1)


def library() -> ModuleType:
    """pyworld; InputError where it is not installed."""
    try:
        return importlib.import_module("pyworld")
    except ImportError:
        mend = ". ./path.sh && pip install -r requirements/pitch.txt, or --features.pitch false"
        raise InputError("pitch needs the package pyworld", mend=mend) from None


def fundamental(samples: np.ndarray, frames: int, options: FeaturesOptions) -> np.ndarray:
    """F0 in Hz [frames] in the middle of each frame, 0 where there is none."""
    pyworld = library()
    shift, rate = options.frame_shift, options.sample_rate
    middle = options.geometry.first_sample(0, rate) + options.frame_length // 2
    out = np.zeros(frames)
    for first in range(0, frames, _PIECE_FRAMES):
        last = min(first + _PIECE_FRAMES, frames)
        low, high = max(first - _MARGIN_FRAMES, 0), min(last + _MARGIN_FRAMES, frames)
        piece = samples[middle + low * shift : middle + high * shift].astype(np.float64)
        period = 1000.0 * shift / rate
        rough, times = pyworld.dio(
            piece, rate, f0_floor=options.pitch_low, f0_ceil=options.pitch_high, frame_period=period
        )
        track = pyworld.stonemask(piece, rough, times, rate)
        fine = track[first - low : last - low]
        out[first : first + len(fine)] = fine
    return out
