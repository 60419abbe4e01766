"""Losses that stand beside another: they shape x-vectors but tell no speakers apart. See losses.py.

Their logits are [batch, 0].
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from .line import CenterWords, RingWords
from .options import TrainOptions


class CenterLoss(nn.Module):
    """Half the squared distance to the own speaker's centre (Wen et al., ECCV 2016, eq. 2).

    Centres move as in eq. 4, not by the optimiser: after each step by ``rate`` times the sum of their chunks'
    distances, divided by one more than those are. They belong to the state that checkpoints keep. With
    several processes the first one's chunks move them.
    """

    centres: Tensor

    def __init__(
        self,
        xvector_dim: int,
        speakers: int,
        options: TrainOptions,
        words: CenterWords = CenterWords(),  # noqa: B008  frozen
    ) -> None:
        super().__init__()
        self.rate = words.rate
        self.register_buffer("centres", torch.zeros(speakers, xvector_dim))

    def forward(self, xvectors: Tensor, labels: Tensor, margin: float = 0.0) -> tuple[Tensor, Tensor]:
        """In training mode the centres move when the losses are taken."""
        with torch.autocast(xvectors.device.type, enabled=False):
            away = xvectors.float() - self.centres[labels]
            if self.training:
                self.move(away.detach(), labels)
            return away.square().sum(dim=1) / 2, away.new_empty(len(away), 0)

    @torch.no_grad()
    def move(self, away: Tensor, labels: Tensor) -> None:
        """One step of the centres towards the chunks that are ``away`` [batch, xvector] from them."""
        speakers = len(self.centres)
        total = torch.zeros_like(self.centres).index_add_(0, labels, away)
        count = torch.zeros(speakers, device=away.device).index_add_(0, labels, away.new_ones(len(away)))
        self.centres.add_(total / (1 + count).unsqueeze(1), alpha=self.rate)


class RingLoss(nn.Module):
    """Half the squared difference between an x-vector's length and a learned one (Zheng et al., CVPR 2018,
    eq. 2)."""

    def __init__(
        self,
        xvector_dim: int,
        speakers: int,
        options: TrainOptions,
        words: RingWords = RingWords(),  # noqa: B008  frozen
    ) -> None:
        super().__init__()
        self.radius = nn.Parameter(torch.tensor(words.radius or xvector_dim**0.5))

    def forward(self, xvectors: Tensor, labels: Tensor, margin: float = 0.0) -> tuple[Tensor, Tensor]:
        """``labels`` and ``margin`` are of no use here."""
        with torch.autocast(xvectors.device.type, enabled=False):
            length = torch.linalg.vector_norm(xvectors.float(), dim=1)
            return (length - self.radius).square() / 2, length.new_empty(len(length), 0)
