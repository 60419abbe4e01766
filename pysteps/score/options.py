"""Options of stage 9."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass
class ScoreOptions:
    """replicates, seed: of the bootstrap over speakers. max_dropped: largest share of a list's trials that
    may name dropped utterances (they are counted and scored as wrong)."""

    replicates: int = 1000
    seed: int = 0
    max_dropped: float = 0.01
