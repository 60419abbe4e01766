"""Error rates and costs of detection scores, with confidence intervals (no torch, no scikit-learn)."""

from __future__ import annotations

from .det import det_points, probit
from .detection import (
    Eer,
    Sweep,
    act_dcf,
    bayes_threshold,
    cllr,
    eer,
    eer_hull,
    min_cllr,
    min_dcf,
    sweep,
    sweep_trials,
)
from .intervals import Paired, Replicates, interval, paired, replicate

__all__ = [
    "Eer",
    "Paired",
    "Replicates",
    "Sweep",
    "act_dcf",
    "bayes_threshold",
    "cllr",
    "det_points",
    "eer",
    "eer_hull",
    "interval",
    "min_cllr",
    "min_dcf",
    "paired",
    "probit",
    "replicate",
    "sweep",
    "sweep_trials",
]
