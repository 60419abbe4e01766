"""Random numbers that depend on what they are for, never on who draws them or when."""

from __future__ import annotations

import hashlib

import numpy as np


def generator(seed: int, name: str, purpose: str, *, epoch: int = 0, copy: int = 0) -> np.random.Generator:
    """A counter-based generator keyed by (seed, name, purpose, epoch, copy).

    ``name`` is usually an utterance id. The same key gives the same stream in every process, at any
    width and after any interruption (Philox: Salmon et al., SC 2011, key from SHA-256).
    """
    text = "\0".join((str(seed), name, purpose, str(epoch), str(copy)))
    digest = hashlib.sha256(text.encode()).digest()
    return np.random.Generator(np.random.Philox(key=int.from_bytes(digest[:16], "little")))
