"""Linear discriminant analysis as Kaldi's ivector-compute-lda does it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from ..formats.errors import InputError
from .stats import Floats, fixed_signs, gather, normalising


def fit_lda(
    x: ArrayLike,
    speakers: Sequence[str],
    dim: int | None = None,
    *,
    total_covariance_factor: float = 0.0,
    covariance_floor: float = 1e-6,
) -> Floats:
    """An affine LDA [dim, D+1] (last column the offset, which makes the training mean zero).

    ``x`` [N, D], ``speakers`` [N]. The interpolation (1-f) within + f total, f =
    ``total_covariance_factor``, becomes the identity; then the between-speaker covariance is made
    diagonal and the ``dim`` largest directions are kept (default: all, min(D, speakers - 1)).
    Covariances are sums over vectors, so a speaker counts by vectors. Where vectors are fewer than
    dimensions the covariance is singular: its eigenvalues are floored at ``covariance_floor`` of the
    largest. Refused: one speaker, one vector a speaker, ``dim`` above min(D, speakers - 1).
    """
    if not 0 <= total_covariance_factor <= 1:
        raise InputError(f"lda: total-covariance-factor {total_covariance_factor} is outside 0..1")
    stats = gather(x, speakers, "LDA")
    most = min(stats.dim, len(stats.counts) - 1)
    kept = most if dim is None else dim
    if not 1 <= kept <= most:
        raise InputError(
            f"lda {kept}: {len(stats.counts)} speakers and {stats.dim} dimensions allow 1 to {most}",
            mend=f"say lda {most}, or lda alone for as many as there are",
        )
    offsets = stats.means - stats.mean
    between = (offsets.T * stats.counts) @ offsets / stats.vectors
    within = stats.scatter / stats.vectors
    first = normalising(within + total_covariance_factor * between, covariance_floor)
    _, vectors = np.linalg.eigh(first @ between @ first.T)
    linear = fixed_signs(vectors.T[::-1][:kept] @ first)
    return np.column_stack([linear, -linear @ stats.mean])
