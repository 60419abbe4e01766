"""PLDA's log likelihood ratio "one speaker" over "two speakers", in the space where it is cheap.

There within-speaker covariance is 1 and between-speaker covariance diagonal, ``psi`` [D] (Plda.project).
Enrolled is the mean e of n utterances. If they are of one speaker the test vector t is
N(c, given) with c = n psi / (n psi + 1) e and given = 1 + psi / (n psi + 1); if not, N(0, alone) with
alone = 1 + psi (Kaldi's Plda::LogLikelihoodRatio). In t the ratio is a polynomial,

    factor . t + weights . t^2 + term

so that a side is prepared once and a trial costs a product.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]


def enrolment(psi: Floats, rows: Floats, examples: ArrayLike) -> tuple[Floats, Floats]:
    """``factor`` [N, D] and ``term`` [N] of projected ``rows`` [N, D]; ``examples``: a number, or [N]."""
    count = np.asarray(examples, dtype=np.float64)[..., None]
    shrink = count * psi / (count * psi + 1)
    given = 1 + psi / (count * psi + 1)
    centre = shrink * rows
    term = 0.5 * (np.log1p(psi) - np.log(given) - centre**2 / given).sum(axis=-1)
    return centre / given, term


def square_weights(psi: Floats, examples: ArrayLike) -> Floats:
    """``weights`` [D] (never above 0) of a test vector's squares, or [K, D] for ``examples`` [K]."""
    count = np.asarray(examples, dtype=np.float64)[..., None]
    return 0.5 * (1 / (1 + psi) - 1 / (1 + psi / (count * psi + 1)))
