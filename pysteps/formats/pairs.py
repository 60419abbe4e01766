"""Pairs of ids as numbers."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def contrary(keys: NDArray[np.int64], is_target: NDArray[np.bool_]) -> NDArray[np.int64]:
    """The numbers of pairs, ascending, that ``keys`` [N] have both as target and as nontarget."""
    kinds = 2 * keys
    kinds += is_target  # of one pair they differ in the last bit, and lie side by side
    kinds.sort()
    both = (kinds[1:] ^ kinds[:-1]) == 1
    return kinds[1:][both] // 2
