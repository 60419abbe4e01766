"""Options of stage 9."""

from __future__ import annotations

from dataclasses import dataclass

from ..formats.errors import InputError


@dataclass
class ScoreOptions:
    """replicates (2 at least), seed: of the bootstrap over speakers. max_dropped: largest share of a list's
    trials that may name dropped utterances (they are counted and scored as wrong)."""

    replicates: int = 1000
    seed: int = 0
    max_dropped: float = 0.01

    def __post_init__(self) -> None:
        """Refuse values that no stage can work with, before anything runs."""
        if self.replicates < 2:
            raise InputError(f"score.replicates {self.replicates}: an interval needs two at least")
        if self.seed < 0:
            raise InputError(f"score.seed {self.seed}: it must be 0 or above")
        if not 0 <= self.max_dropped <= 1:
            raise InputError(f"score.max_dropped {self.max_dropped}: a share lies between 0 and 1")
