"""Trials, scores and what they say (no torch)."""

from __future__ import annotations

from ..backend.scorers import cosine_scores, plda_scores
from .judge import judge
from .trials import Trials, read_scores, read_trials, write_scores

__all__ = [
    "Trials",
    "cosine_scores",
    "judge",
    "plda_scores",
    "read_scores",
    "read_trials",
    "write_scores",
]
