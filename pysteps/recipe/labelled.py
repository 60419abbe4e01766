"""What an estimate of the disk must know of a run's classes."""

from __future__ import annotations

from collections import Counter

from ..formats.run import Run

CLASSIFIER = 2_000_000  # bytes: trees take most


def class_sizes(run: Run) -> Counter[str]:
    """Clean training utterances of each class (label, or speaker); InputError as Run.classes."""
    return Counter(run.classes(run.train_set).values())


def kept_share(run: Run) -> float:
    """Share of the training utterances that --egs.balance subset leaves; 1 without."""
    if run.options["egs"].get("balance", "none") == "none":
        return 1.0
    sizes = class_sizes(run)
    return min(sizes.values()) * len(sizes) / sizes.total()


def answers(run: Run, utterances: int, key: float) -> float:
    """Bytes of a classifier's answers for so many utterances: a line each, of ``key`` bytes in a name."""
    return utterances * (key + 12 + 12 * len(class_sizes(run)))
