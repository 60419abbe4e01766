"""Detection error trade-off curves (Martin et al., "The DET curve", Eurospeech 1997)."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from .detection import Floats, Sweep


def probit(rate: ArrayLike) -> Floats:
    """The normal deviate of a rate: the DET plot's axis (0 and 1 lie at minus and plus infinity)."""
    from scipy.special import ndtri

    return ndtri(np.asarray(rate, dtype=np.float64))


def det_points(curve: Sweep, limit: int = 1000) -> Floats:
    """[M, 2] pairs (P_fa, P_miss) of ``curve``, from "accept all" to "reject all", at most ``limit``.

    Points in the middle of a straight run are left out, then points that fall on the same spot of a
    probit plot: what is drawn stays the same to 1/``limit`` of the axes (0.0001 to 0.9999).
    """
    p_fa, p_miss = curve.p_fa, curve.p_miss
    move = np.stack([np.diff(p_fa) != 0, np.diff(p_miss) != 0])
    straight = (move[:, 1:] == move[:, :-1]).all(axis=0) & (move.sum(axis=0) == 1)[1:]
    points = np.stack([p_fa, p_miss], axis=1)[np.concatenate(([True], ~straight, [True]))]
    if len(points) <= limit:
        return points
    deviate = probit(np.clip(points, 1e-4, 1 - 1e-4))
    walked = np.concatenate(([0.0], np.cumsum(np.abs(np.diff(deviate, axis=0)).sum(axis=1))))
    if walked[-1] == 0:
        return points[[0, -1]]
    spot = np.floor(walked / walked[-1] * (limit - 2)).astype(np.int64)
    keep = np.concatenate(([True], spot[1:] != spot[:-1]))
    keep[-1] = True
    return points[keep]
