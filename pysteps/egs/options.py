"""Options of stage 5."""

from __future__ import annotations

import math
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
        for good, said, mend in (
            (
                0 < self.min_seconds <= self.max_seconds < math.inf,
                f"chunks of {self.min_seconds} to {self.max_seconds} seconds",
                "--egs.min_seconds must be positive and not above --egs.max_seconds",
            ),
            (
                0 < self.repeats < math.inf,
                f"repeats is {self.repeats}",
                "--egs.repeats must be positive",
            ),
            (
                self.archive_chunks >= 1,
                f"archive_chunks is {self.archive_chunks}",
                "--egs.archive_chunks is at least 1",
            ),
            (
                0 <= self.valid_share < 1,
                f"valid_share is {self.valid_share}",
                "--egs.valid_share is 0 (none) to below 1",
            ),
        ):
            if not good:  # so said that NaN is refused too
                raise InputError(said, mend=mend)
