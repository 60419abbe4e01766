"""Options of stage 5."""

from __future__ import annotations

from dataclasses import dataclass

from ..formats.errors import InputError

KINDS = ("features", "audio")


@dataclass
class EgsOptions:
    """kind: what a chunk holds: ``features`` (stage 4's, normalised), or ``audio`` (the voiced samples:
    training computes the features, and augments where --augment.when says so).

    min_seconds, max_seconds: an archive's chunk length is drawn between them (voiced frames).
    repeats: how often, on average, a voiced frame is taken in an epoch. archive_chunks: chunks an archive.
    valid_share: share of the clean utterances held out (at least one, never a speaker's last two).
    """

    kind: str = "features"
    min_seconds: float = 2.0
    max_seconds: float = 4.0
    repeats: float = 1.0
    archive_chunks: int = 512
    valid_share: float = 0.03
    seed: int = 0

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise InputError(f"unknown kind of egs {self.kind!r}", mend=f"one of {', '.join(KINDS)}")
