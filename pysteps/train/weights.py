"""Class weights: what a chunk counts, so that all classes weigh the same however many chunks they have."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..egs.reader import EgsPlan
from ..formats.errors import InputError


def class_weights(source: Any, plan: EgsPlan) -> np.ndarray:
    """N / (K n) [class] float32 of a class with n of the N training chunks of K classes.

    It is scikit-learn's "balanced" (after King and Zeng, 2001): the weights' mean over all chunks is 1.
    ``source`` is an EgsSource; chunks count with their labels as they are without augmentation. InputError
    for a class without a chunk.
    """
    counts = np.zeros(plan.num_speakers, np.int64)
    for info in plan.archives:
        found = source.labels(info.name) if hasattr(source, "labels") else source.archive(info)[1]
        counts += np.bincount(found, minlength=plan.num_speakers)
    if not counts.all():
        empty = [plan.speakers[place] for place in np.flatnonzero(counts == 0)]
        raise InputError(
            f"class_weights balanced: {len(empty)} of {len(counts)} classes have no training chunk, as "
            f"{empty[0]}",
            mend="--augment.speed_speakers same, if these are voices at other speeds, or "
            "--train.class_weights none",
        )
    return (counts.sum() / (len(counts) * counts)).astype(np.float32)
