"""When speakers are too few for an interval, or for one to be relied on."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

FEW = 30  # speakers, below which an interval is rough
FEWEST = 3  # for any: of two, the only draw with trials of both kinds is the one of both


def enough(drawn: NDArray[np.float64], speakers: int) -> bool:
    """Whether replicates ``drawn`` [R] of so many ``speakers`` make an interval.

    Not where in most of them all trials of a kind are gone (NaN): what is left says nothing.
    """
    usable = int((~np.isnan(drawn)).sum())
    return speakers >= FEWEST and usable >= max(2, len(drawn) / 2)


def speaker_notes(found: Mapping[str, Any]) -> list[str]:
    """What to doubt of the intervals of ``found``, what ``figures`` returns."""
    count = found["speakers"]
    if count is None:
        return []
    if found["eer_ci"] is None:
        return [f"{count} speakers are too few for intervals"]
    return [f"{count} speakers: below {FEW} the intervals are rough"] if count < FEW else []
