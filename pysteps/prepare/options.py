"""Options of stage 0."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass
class PrepareOptions:
    """seed: of whatever local/NAME.py draws (simulated rooms, generated trials)."""

    seed: int = 0
