"""From x-vectors to scores: transforms, cosine and PLDA, normalisation, calibration (no torch)."""

from __future__ import annotations

from .backend import Backend
from .chain import Chain, fit
from .plda import Plda, fit_plda, log_likelihood
from .scorers import cosine_scores, plda_scores
from .transforms import TRANSFORMS, Transform

__all__ = [
    "TRANSFORMS",
    "Backend",
    "Chain",
    "Plda",
    "Transform",
    "cosine_scores",
    "fit",
    "fit_plda",
    "log_likelihood",
    "plda_scores",
]
