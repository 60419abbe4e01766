"""From x-vectors to vectors worth comparing: mean, whitening, LDA, length norm, PLDA (no torch)."""

from __future__ import annotations

from .chain import TRANSFORMS, Chain, Transform, fit
from .plda import Plda, fit_plda, log_likelihood

__all__ = ["TRANSFORMS", "Chain", "Plda", "Transform", "fit", "fit_plda", "log_likelihood"]
