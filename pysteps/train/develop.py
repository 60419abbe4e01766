"""Development utterances of a run with labels: what each epoch is judged on there. Imports no torch."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from ..formats.errors import InputError
from ..formats.run import Run
from ..formats.tables import read_table


class LabelledSet:
    """Development utterances and their labels, at most ``limit`` utterances, of every class its share.

    ``classes`` are those of the egs, in the order of the head's outputs. InputError for a label that is none
    of them.
    """

    def __init__(self, run: Run, classes: Sequence[str], limit: int = 2000) -> None:
        self._run, labels = run, run.classes(run.dev_set)
        there = read_table(run.of("features", run.dev_set) / "feats.scp")
        place = {name: index for index, name in enumerate(classes)}
        unknown = [utt for utt in sorted(there) if labels[utt] not in place]
        if unknown:
            raise InputError(
                f"{labels[unknown[0]]} is no class of the egs, which have {', '.join(classes)}",
                where=run.data / run.dev_set / run.labels,
                utt=unknown[0],
                mend="leave it out of the development set, or give training some of it",
            )
        self.utts = _spread(sorted(there, key=lambda utt: (labels[utt], utt)), labels, limit)
        self.targets = np.asarray([place[labels[utt]] for utt in self.utts], np.int64)

    def utterances(self) -> Iterator[tuple[str, np.ndarray]]:
        """(utterance, features [time, feature]) in the order of ``targets`` [utterance]."""
        from ..features.voiced import VoicedFeatures

        with VoicedFeatures(self._run, self._run.dev_set) as voiced:
            for utt in self.utts:
                yield utt, voiced.matrix(utt)


def _spread(utts: list[str], labels: dict[str, str], limit: int) -> list[str]:
    # Evenly from a list that is sorted by class, and the first of a class that is passed over.
    places = np.unique(np.linspace(0, len(utts) - 1, min(limit, len(utts))).round().astype(np.int64))
    first: dict[str, int] = {}
    for place, utt in enumerate(utts):
        first.setdefault(labels[utt], place)
    missed = set(first) - {labels[utts[place]] for place in places.tolist()}
    return [utts[place] for place in sorted([*places.tolist(), *(first[label] for label in missed)])]


class Classified(NamedTuple):
    """How well development utterances are classified: mean over the classes of a class's mean cross-entropy
    (nats); share of the utterances, and mean over the classes of a class's share, that are told right."""

    loss: float
    accuracy: float
    balanced_accuracy: float


def classified(log_posteriors: np.ndarray, targets: np.ndarray) -> Classified:
    """Figures of ``log_posteriors`` [utterance, class] (natural logarithms) and ``targets`` [utterance].

    A class without an utterance does not count.
    """
    losses = -log_posteriors[np.arange(len(targets)), targets]
    right = log_posteriors.argmax(axis=1) == targets
    by_class = [targets == target for target in np.unique(targets)]
    return Classified(
        float(np.mean([losses[mine].mean() for mine in by_class])),
        float(right.mean()),
        float(np.mean([right[mine].mean() for mine in by_class])),
    )
