"""Definitions written out, slow and without any of our code, for tests to compare with."""

from __future__ import annotations

import numpy as np
from scipy.stats import norm


def plda_ratio(psi, enrol, examples, test) -> np.ndarray:
    """[N] log p(test | enrol, one speaker) - log p(test), rows [N, D] where within is 1 and between psi."""
    count = np.broadcast_to(np.asarray(examples, dtype=float), (len(enrol),))[:, None]
    posterior = 1 / (1 / np.maximum(psi, 1e-300) + count)  # variance of the speaker's y, given the enrolment
    same = norm.logpdf(test, posterior * count * enrol, np.sqrt(1 + posterior))
    return (same - norm.logpdf(test, 0, np.sqrt(1 + psi))).sum(axis=1)
