"""Louder, softer, and too loud for the microphone. Float32 [time] in and out, of the same length.

``in_place`` writes the result into ``samples`` (float32).
"""

from __future__ import annotations

import numpy as np

from ..audio.filters import writable
from ..formats.errors import InputError
from .blocks import in_blocks, mean_power, pieces


def volume(samples: np.ndarray, gain_db: float, *, in_place: bool = False) -> np.ndarray:
    """``samples`` [time] with ``gain_db`` dB of gain (negative: softer); not clipped."""
    out = writable(samples, in_place)
    out *= np.float32(10 ** (gain_db / 20))
    return out


def clip(samples: np.ndarray, share: float, *, in_place: bool = False) -> np.ndarray:
    """``samples`` [time] cut off at the limit that the ``share`` of loudest ones reach; as loud as before.

    So sounds a recording whose level was set too high. The limit is a quantile of the magnitudes: where
    samples are equal somewhat more lie at it. Silence stays silence. Raises
    InputError for a share outside of 0 to 1.
    """
    if not 0 <= share < 1:
        raise InputError(f"clipping a share of {share:g}", mend="0 or more, below 1")
    out = writable(samples, in_place)
    count = round(share * len(out))
    limit = _magnitude(out, count) if count else np.float32(0)
    if limit == 0:  # silence, if need be but for fewer samples than the share: all of it would be cut away
        return out
    before = mean_power(len(out), pieces(out))
    np.clip(out, -limit, limit, out=out)
    out *= np.float32((before / mean_power(len(out), pieces(out))) ** 0.5)
    return out


def _magnitude(samples: np.ndarray, count: int) -> np.float32:
    # The ``count``-th largest magnitude of float32 samples. Magnitudes are ordered as their 31 bits are: two
    # histograms, of the upper 16 bits and of the rest where those are right, need no copy to be sorted.
    found, left = 0, count
    for shift, width in ((15, 16), (0, 15)):
        numbers = np.zeros(1 << width, np.int64)
        for block in in_blocks(samples):
            bits = np.abs(block).view(np.uint32)
            if shift == 0:
                bits = bits[bits >> 15 == found]
            numbers += np.bincount(bits >> shift & ((1 << width) - 1), minlength=1 << width)
        above = np.cumsum(numbers[::-1])
        place = int(np.searchsorted(above, left))
        left -= int(above[place - 1]) if place else 0
        found = (found << width) + (1 << width) - 1 - place
    return np.uint32(found).view(np.float32)
