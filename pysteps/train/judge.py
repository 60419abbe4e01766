"""How good the model is after an epoch: on held-out chunks, and in verifying development speakers."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple, Protocol

import numpy as np
import torch
from torch import nn

from ..egs.reader import EgsPlan
from ..formats.errors import InputError
from ..metrics.detection import eer
from ..models.model import SpeakerModel, embed
from .data import EgsSource
from .develop import Classified, LabelledSet, classified

VALID_BATCH = 64


class DevelopmentSet(Protocol):
    """Speakers that are not in training, and trials between their utterances."""

    def utterances(self) -> Iterator[tuple[str, np.ndarray]]:
        """(utterance, features [time, feature]) in the order that ``trials`` counts them."""

    @property
    def trials(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Indices of the two utterances of every trial, and whether they are of one speaker."""


class Verified(NamedTuple):
    """How well development speakers are told apart: EER (a fraction), mean cosine of same-speaker trials and
    of the others."""

    eer: float
    same: float
    different: float


def judge_chunks(
    model: SpeakerModel, head: nn.Module, source: EgsSource, plan: EgsPlan
) -> tuple[float, float] | None:
    """Loss (without margin) and accuracy on the held-out chunks; None if there are none."""
    device = next(model.parameters()).device
    loss, correct, chunks = 0.0, 0, 0
    with torch.inference_mode():
        for info in plan.valid:
            features, labels = source.archive(info)
            for begin in range(0, len(features), VALID_BATCH):
                target = torch.from_numpy(labels[begin : begin + VALID_BATCH]).to(device)
                xvectors = model(torch.from_numpy(features[begin : begin + VALID_BATCH]).to(device))
                losses, logits = head(xvectors, target, 0.0)
                loss += float(losses.double().sum())
                correct += int((logits.argmax(1) == target).sum())
                chunks += len(target)
    return (loss / chunks, correct / chunks) if chunks else None


def _embedded(model: SpeakerModel, matrices: list[np.ndarray], limit: int) -> tuple[np.ndarray, np.ndarray]:
    # X-vectors [utterance, xvector], and whether each is long enough [utterance]: else it is 0.
    vectors = np.zeros((len(matrices), model.options.xvector_dim))
    usable = np.asarray([len(matrix) >= model.min_frames for matrix in matrices])
    groups: dict[int, list[int]] = {}
    for index in np.flatnonzero(usable):
        groups.setdefault(len(matrices[index]), []).append(int(index))
    for _, members in sorted(groups.items()):
        for begin in range(0, len(members), limit):
            part = members[begin : begin + limit]
            vectors[part] = embed(model, [matrices[index] for index in part])
    return vectors, usable


def log_posteriors(head: nn.Module, xvectors: np.ndarray) -> np.ndarray:
    """Natural logarithms of the classes' posteriors float64 [N, class] for ``xvectors`` [N, xvector].

    The softmax of the logits of ``head``, which is in evaluation mode, without margin.
    """
    device = next((value.device for value in head.state_dict().values()), torch.device("cpu"))
    with torch.inference_mode():
        given = torch.from_numpy(np.asarray(xvectors, np.float32)).to(device)
        labels = torch.zeros(len(given), dtype=torch.int64, device=device)
        logits = head(given, labels, 0.0)[1]
        return logits.double().log_softmax(1).cpu().numpy()


def judge_classes(model: SpeakerModel, head: nn.Module, dev: LabelledSet, limit: int = 32) -> Classified:
    """By the posteriors of whole development utterances.

    Utterances shorter than the model takes are left out; InputError where that is all.
    """
    vectors, usable = _embedded(model, [matrix for _, matrix in dev.utterances()], limit)
    if not usable.any():
        raise InputError(f"no development utterance has the {model.min_frames} frames that the network needs")
    return classified(log_posteriors(head, vectors[usable]), dev.targets[usable])


def judge_speakers(model: SpeakerModel, dev: DevelopmentSet, limit: int = 32) -> Verified:
    """By the cosine of centred x-vectors on the development trials.

    Utterances shorter than the model takes are left out with their trials.
    """
    vectors, usable = _embedded(model, [matrix for _, matrix in dev.utterances()], limit)
    vectors -= vectors[usable].mean(axis=0)
    vectors /= np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)
    enrol, test, target = dev.trials
    whole = usable[enrol] & usable[test]
    scores = np.einsum("nd,nd->n", vectors[enrol[whole]], vectors[test[whole]])
    target = np.asarray(target, bool)[whole]
    same, different = scores[target], scores[~target]
    return Verified(eer(same, different).rate, float(same.mean()), float(different.mean()))
