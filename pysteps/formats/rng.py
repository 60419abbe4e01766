"""Random numbers that depend on what they are for, never on who draws them or when."""

from __future__ import annotations

import hashlib

import numpy as np
from numpy.random.bit_generator import ISeedSequence


class _NoEntropy(ISeedSequence):
    # Philox(key=...) asks the system for entropy that it then throws away: half of the time of a short draw.
    def generate_state(self, n_words: int, dtype: object = np.uint32) -> np.ndarray:
        return np.zeros(n_words, dtype)  # type: ignore[call-overload]


def generator(seed: int, name: str, purpose: str, *, epoch: int = 0, copy: int = 0) -> np.random.Generator:
    """A counter-based generator keyed by (seed, name, purpose, epoch, copy).

    ``name`` is usually an utterance id. The same key gives the same stream in every process, at any
    width and after any interruption (Philox: Salmon et al., SC 2011, key from SHA-256).
    """
    text = "\0".join((str(seed), name, purpose, str(epoch), str(copy)))
    digest = hashlib.sha256(text.encode()).digest()
    bits, zeros = np.random.Philox(_NoEntropy()), np.zeros(4, np.uint64)  # type: ignore[arg-type]
    bits.state = {
        "bit_generator": "Philox",
        "state": {"counter": zeros, "key": np.frombuffer(digest[:16], "<u8")},
        "buffer": zeros,
        "buffer_pos": 4,  # empty
        "has_uint32": 0,
        "uinteger": 0,
    }
    return np.random.Generator(bits)
