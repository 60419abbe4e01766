"""Options of stage 5."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass
class EgsOptions:
    """min_seconds, max_seconds: an archive's chunk length is drawn between them (voiced frames).

    repeats: how often, on average, a voiced frame is taken in an epoch. archive_chunks: chunks an archive.
    valid_share: share of the clean utterances held out (at least one, never a speaker's last two).
    """

    min_seconds: float = 2.0
    max_seconds: float = 4.0
    repeats: float = 1.0
    archive_chunks: int = 512
    valid_share: float = 0.03
    seed: int = 0
