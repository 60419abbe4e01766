"""Options of stage 9."""

from __future__ import annotations

import re
from dataclasses import dataclass

from ..formats.errors import InputError


@dataclass
class ScoreOptions:
    """replicates (2 at least), seed: of the bootstrap over speakers. max_dropped: largest share of a list's
    trials (with labels: utterances) that may name dropped utterances (they are counted and scored as wrong).
    vote, with labels: none; speaker, or a table utt2GROUP of the set: utterances of one speaker or group
    are answered together."""

    replicates: int = 1000
    seed: int = 0
    max_dropped: float = 0.01
    vote: str = "none"

    def __post_init__(self) -> None:
        """Refuse values that no stage can work with, before anything runs."""
        if self.replicates < 2:
            raise InputError(f"score.replicates {self.replicates}: an interval needs two at least")
        if self.seed < 0:
            raise InputError(f"score.seed {self.seed}: it must be 0 or above")
        if not 0 <= self.max_dropped <= 1:
            raise InputError(f"score.max_dropped {self.max_dropped}: a share lies between 0 and 1")
        if self.vote not in ("none", "speaker") and not re.fullmatch(r"utt2[A-Za-z0-9_-]+", self.vote):
            mend = "none, speaker, or a table of the set that says what an utterance is part of: utt2video"
            raise InputError(f"score.vote {self.vote}: nothing to vote by", mend=mend)
