"""Heads that judge x-vectors in training: (x-vectors, labels, margin) -> (loss of each chunk, logits).

A head belongs to training: the model is saved without it. All of a head is computed in 32 bits. It is
called with ``xvectors`` [batch, xvector], ``labels`` [batch] and this step's ``margin``, and gives losses
[batch] and logits [batch, speakers], on which accuracy is counted. A loss of pairs wants batches as
``data.batches`` makes them, a speaker's chunks side by side; its logits are -inf for speakers that the batch
is without.
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module

import torch
from torch import Tensor, nn

from .line import LOSSES, Term, judges_alone, parse_loss
from .margins import AamHead, SoftmaxHead
from .options import TrainOptions

__all__ = ["LOSSES", "AamHead", "LossSum", "SoftmaxHead", "build_head", "judges_alone", "of_speakers"]


class LossSum(nn.Module):
    """Losses with their weights; the logits are those of the first that judges a chunk by itself, else of the
    first. In evaluation mode losses of pairs do not count: held-out chunks are no speakers by some chunks."""

    def __init__(self, terms: Sequence[Term], xvector_dim: int, speakers: int, options: TrainOptions) -> None:
        super().__init__()
        self.terms = list(terms)
        self.heads = nn.ModuleList(made(term, xvector_dim, speakers, options) for term in terms)
        alone = [place for place, term in enumerate(terms) if not (term.kind.pairs or term.kind.beside)]
        self.telling = alone[0] if alone else 0

    def forward(self, xvectors: Tensor, labels: Tensor, margin: float = 0.0) -> tuple[Tensor, Tensor]:
        """See the head of this file."""
        total = xvectors.new_zeros(len(xvectors), dtype=torch.float32)
        logits: list[Tensor] = []
        for place, (term, head) in enumerate(zip(self.terms, self.heads, strict=True)):
            if self.training or not term.kind.pairs:
                losses, found = head(xvectors, labels, margin)
                total = total + term.weight * losses
                if place == self.telling:
                    logits.append(found)
        return total, logits[0]


def made(term: Term, xvector_dim: int, speakers: int, options: TrainOptions) -> nn.Module:
    """The head of one term, without its weight; imports its file alone."""
    module, _, name = term.kind.place.partition(":")
    head: nn.Module = getattr(import_module(f".{module}", __package__), name)(
        xvector_dim, speakers, options, term.words
    )
    return head


def build_head(line: str, xvector_dim: int, speakers: int, options: TrainOptions) -> nn.Module:
    """The head of a whole line (see line.py); InputError for what it does not know."""
    terms = parse_loss(line)
    if len(terms) == 1 and terms[0].weight == 1:
        return made(terms[0], xvector_dim, speakers, options)
    return LossSum(terms, xvector_dim, speakers, options)


def of_speakers(name: str) -> bool:
    """Whether the rows of a head's tensor of this ``name`` are the speakers', as many of each."""
    return name.endswith(("centres", "output.weight", "output.bias"))
