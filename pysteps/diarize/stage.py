"""Stage 10, diarize: who spoke when in whole recordings, for recipes with ``diarize_sets``.

Windows and their x-vectors are work in shards (xvectors.py); the threshold, the turns and the error rates
follow in one piece (speakers.py).
"""

from __future__ import annotations

from ..formats.run import Run
from ..formats.stamps import Unit
from . import speakers, xvectors

NAME = "diarize"
VERSION = 1


def units(run: Run) -> list[Unit]:
    """Windows of every set, the threshold, the turns of every set, the error rates."""
    return [*xvectors.units(run), *speakers.units(run)]
