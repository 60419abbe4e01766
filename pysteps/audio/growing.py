"""Signals whose length is known only once they have been read, held in no more memory than they need."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from ..formats.errors import InputError

TRUSTED = 1 << 24  # samples (17 minutes at 16 kHz) that are made room for because a header promises them
FRAME = 4096  # samples with one exponent
_BITS = 15  # of a value beside its sign


class Growing:
    """An array [time] that blocks are appended to; no second copy of it is ever held.

    ``expected`` is how many samples there will be, as far as that is known; more are fine. It is a header's
    word, and headers lie: the first room is for no more than ``TRUSTED`` of them.
    """

    def __init__(self, expected: int, kind: type) -> None:
        self._whole: np.ndarray = np.empty(min(expected, TRUSTED), kind)
        self._expected = expected
        self._count = 0

    def append(self, block: np.ndarray) -> None:
        """Put ``block`` [time] at the end."""
        after = self._count + len(block)
        if after > len(self._whole):
            more = max(after, len(self._whole) * 5 // 4)
            if after <= self._expected:
                more = min(more, self._expected)
            self._whole.resize(more, refcheck=False)  # grown where it lies (realloc)
        self._whole[self._count : after] = block
        self._count = after

    def array(self) -> np.ndarray:
        """What has been appended; nothing may be appended afterwards."""
        return self._whole[: self._count]


def joined(stream: Iterable[np.ndarray], expected: int = 0) -> np.ndarray:
    """Blocks [time] as one float32 array [time], filled in as they come."""
    whole = Growing(expected, np.float32)
    for block in stream:
        whole.append(block)
    return whole.array()


class Compact:
    """A float32 signal [time] in half its memory: 16 bits a sample and one exponent for ``FRAME`` of them.

    Whatever its scale, what comes back is within 2^-15 of the frame's peak, and 16-bit samples come back
    exactly. Blocks are appended, then ``len`` and slices of step 1 (float32) are read.
    """

    def __init__(self, expected: int = 0) -> None:
        self._values = Growing(-(-expected // FRAME) * FRAME, np.int16)
        self._exponents = Growing(-(-expected // FRAME), np.int16)
        self._rest = np.zeros(0, np.float32)
        self._count = 0

    def append(self, block: np.ndarray) -> None:
        """Put ``block`` [time] at the end. InputError for NaN and infinity."""
        self._count += len(block)
        samples = np.concatenate((self._rest, block))
        whole = len(samples) // FRAME * FRAME
        self._pack(samples[:whole])
        self._rest = samples[whole:].copy()

    def _pack(self, samples: np.ndarray) -> None:
        frames = samples.reshape(-1, FRAME)
        mantissa, exponents = np.frexp(np.abs(frames).max(axis=1, initial=0))  # peak < 2^exponent
        if not np.isfinite(mantissa).all():
            raise InputError("NaN or infinity in the noise reference")
        scaled = np.rint(np.ldexp(frames, _BITS - exponents[:, None]))
        self._values.append(scaled.clip(-32768, 32767).astype(np.int16).ravel())
        self._exponents.append(exponents)

    def __len__(self) -> int:
        return self._count

    def __getitem__(self, part: slice) -> np.ndarray:
        if len(self._rest):
            self._pack(np.pad(self._rest, (0, FRAME - len(self._rest))))
            self._rest = np.zeros(0, np.float32)
        start, stop, _ = part.indices(self._count)
        first, last = start // FRAME, -(-stop // FRAME)
        values = self._values.array()[first * FRAME : last * FRAME].reshape(-1, FRAME)
        shift = self._exponents.array()[first:last, None].astype(np.int32) - _BITS
        floats: np.ndarray = np.ldexp(values.astype(np.float32), shift).ravel()
        return floats[start - first * FRAME : stop - first * FRAME]
