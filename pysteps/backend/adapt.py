"""A PLDA brought to another domain with vectors of it that nobody has labelled."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from ..formats.errors import InputError
from .plda import Plda
from .stats import Floats, check_vectors


def _moments(plda: Plda, x: ArrayLike) -> tuple[Floats, Floats]:
    rows = check_vectors(x)
    if rows.shape[1] != len(plda.mean):
        raise InputError(f"vectors of {rows.shape[1]} dimensions for a PLDA of {len(plda.mean)}")
    if len(rows) < 2:
        raise InputError("PLDA adaptation needs two vectors at least, better thousands")
    mean = rows.mean(axis=0)
    return mean, (rows - mean).T @ (rows - mean) / len(rows)


def adapt_plda(
    plda: Plda, x: ArrayLike, *, within: float = 0.3, between: float = 0.7, mean_diff: float = 1.0
) -> Plda:
    """Kaldi's ivector-adapt-plda: ``x`` [N, D] is of the new domain, as the chain before PLDA leaves it.

    The mean becomes x's. Directions in which x varies more than the model's total covariance get the
    excess, its shares ``within`` and ``between`` added to the two covariances; x's variance first gets
    ``mean_diff`` times the square of the means' difference. Nothing ever shrinks. (Kaldi's
    PldaUnsupervisedAdaptor; the defaults are its own.)
    """
    from scipy.linalg import eigh

    if min(within, between, mean_diff) < 0:
        raise InputError("plda: within, between and mean-diff must not be below 0")
    mean, variance = _moments(plda, x)
    variance += mean_diff * np.outer(mean - plda.mean, mean - plda.mean)
    old_within, old_between = plda.covariances()
    total = old_within + old_between
    values, vectors = eigh(variance, total)  # vectors' total vectors = 1
    back = total @ vectors
    excess = (back * np.maximum(values - 1, 0)) @ back.T
    return Plda.of(mean, old_within + within * excess, old_between + between * excess)


def coral_plus(plda: Plda, x: ArrayLike, *, within: float = 0.8, between: float = 0.8) -> Plda:
    """CORAL+ (K. Lee, Q. Wang, T. Koshinaka, ICASSP 2019): PLDA's covariances aligned to ``x`` [N, D].

    Each covariance C becomes what CORAL's recolouring A makes of it, A C A', where that is the larger:
    C + share Q^-T max(E - 1, 0) Q^-1 with Q' C Q = 1 and Q' A C A' Q = E, share being ``within`` or
    ``between``. A = (x's covariance)^1/2 (the model's total covariance)^-1/2; the mean becomes x's.
    """
    if not (0 <= within <= 1 and 0 <= between <= 1):
        raise InputError("plda: within and between are shares from 0 to 1 in coral+")
    mean, variance = _moments(plda, x)
    old = plda.covariances()
    recolour = _power(variance, 0.5) @ _power(old[0] + old[1], -0.5)
    new = [_widened(c, recolour @ c @ recolour.T, s) for c, s in zip(old, (within, between), strict=True)]
    return Plda.of(mean, *new)


def _power(covariance: Floats, power: float) -> Floats:
    values, vectors = np.linalg.eigh((covariance + covariance.T) / 2)
    return (vectors * np.maximum(values, 1e-10 * values[-1]) ** power) @ vectors.T


def _widened(old: Floats, new: Floats, share: float) -> Floats:
    from scipy.linalg import eigh

    # A between of few speakers is singular: floored, so that Q exists.
    floored = _power(old, 1.0)
    values, vectors = eigh((new + new.T) / 2, floored)
    back = floored @ vectors  # Q^-T
    return old + share * (back * np.maximum(values - 1, 0)) @ back.T
