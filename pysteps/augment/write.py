"""Augmented audio as 16 bits in an archive, as stage audio writes recordings."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import numpy as np

from ..audio.filters import to_int16
from ..formats import arks
from .blocks import in_blocks


def write_audio(
    path: Path, utts: Iterable[str], samples: Callable[[str], np.ndarray], rate: int, *, flac: bool = False
) -> tuple[dict[str, str], dict[str, str]]:
    """Write the archive ``path``; returns wav.scp, and by utterance how many samples were clipped (if any).

    ``samples(utt)`` gives float32 [time]; what lies beyond 16 bits is set to their end.
    """
    clipped = {}
    with arks.writing(path) as writer:
        for utt in utts:
            over: list[int] = []
            writer.audio(utt, _pcm(samples(utt), over), rate, flac=flac)
            if any(over):
                clipped[utt] = str(sum(over))
    return writer.scp, clipped


def _pcm(samples: np.ndarray, over: list[int]) -> Iterator[np.ndarray]:
    # Int16 blocks; how many samples of each were clipped is appended to ``over``.
    for block in in_blocks(samples):
        pcm, count = to_int16(block)
        over.append(count)
        yield pcm
