"""What is explained: one number that is worked out from an x-vector.

A target is a module, x-vectors [batch, xvector] -> [batch], so that it can be copied to 64 bits with its
weights.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..formats.errors import InputError
from ..train.line import judges_alone
from ..train.options import TrainOptions
from ..train.phases import phases_of
from ..train.start import load_head


class NormTarget(nn.Module):
    """Length of the x-vector: how far the network goes in the direction that it chose for the utterance."""

    def forward(self, xvectors: Tensor) -> Tensor:
        return torch.linalg.vector_norm(xvectors, dim=1)


class DirectionTarget(nn.Module):
    """Length of the x-vector along the direction that it has now, ``xvector`` [xvector].

    Value and slopes are those of the norm. Away from the utterance they are not: the mean spectrum may have a
    long x-vector that points elsewhere, which the norm takes for the voice.
    """

    direction: Tensor

    def __init__(self, xvector: Tensor) -> None:
        super().__init__()
        self.register_buffer("direction", F.normalize(xvector.detach(), dim=0))

    def forward(self, xvectors: Tensor) -> Tensor:
        return xvectors @ self.direction


class CosineTarget(nn.Module):
    """Cosine with ``other`` [xvector], the x-vector of a trial's other side."""

    other: Tensor

    def __init__(self, other: Tensor) -> None:
        super().__init__()
        self.register_buffer("other", other.detach().clone())

    def forward(self, xvectors: Tensor) -> Tensor:
        return F.cosine_similarity(xvectors, self.other.unsqueeze(0))


class ClassTarget(nn.Module):
    """Logit of class number ``place`` of a training ``head``, without a margin."""

    def __init__(self, head: nn.Module, place: int) -> None:
        super().__init__()
        self.head, self.place = head, place

    def logits(self, xvectors: Tensor) -> Tensor:
        """[batch, classes]."""
        return self.head(xvectors, xvectors.new_zeros(len(xvectors), dtype=torch.int64), 0.0)[1]

    def forward(self, xvectors: Tensor) -> Tensor:
        return self.logits(xvectors)[:, self.place]

    def probability(self, xvectors: Tensor) -> Tensor:
        """Softmax of the class, [batch]."""
        return self.logits(xvectors).softmax(dim=1)[:, self.place]


def head_of(folder: Path, xvector_dim: int, train: Mapping[str, Any]) -> tuple[nn.Module, list[str]]:
    """The head that a training left in ``folder`` beside its model, in evaluation mode, and its classes.

    ``train``: the run's options of training. InputError where there is none, or none with logits.
    """
    options = TrainOptions(**train)
    loss = phases_of(options)[-1].loss
    if not judges_alone(loss):
        mend = "explain direction, norm or cosine, or train with a loss over classes, as aam, beside it"
        raise InputError(f"the loss {loss!r} has no logits of classes", where=folder, mend=mend)
    head, classes = load_head(folder, options, xvector_dim)
    return head.requires_grad_(False), classes


def class_target(head: nn.Module, classes: Sequence[str], name: str, xvector: Tensor) -> ClassTarget:
    """The target of the class ``name``; with no name, of the class that the network finds in ``xvector``."""
    if name:
        if name not in classes:
            few = ", ".join(classes[:8]) + (" ..." if len(classes) > 8 else "")
            raise InputError(f"no class {name!r}", mend=f"one of the {len(classes)} of training: {few}")
        return ClassTarget(head, list(classes).index(name))
    target = ClassTarget(head, 0)
    with torch.no_grad():
        target.place = int(target.logits(xvector.unsqueeze(0)).argmax())
    return target
