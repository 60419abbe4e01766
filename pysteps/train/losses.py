"""Heads that judge x-vectors in training: (x-vector, labels, margin) -> (loss of each chunk, logits).

A head belongs to training: the model is saved without it. All of a head is computed in 32 bits.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..models.registry import Registry
from .options import TrainOptions


class SoftmaxHead(nn.Module):
    """Cross-entropy over the training speakers.

    With ``hidden_dim`` the rest of the x-vector TDNN stands before the output, as in Kaldi (Snyder et
    al., 2018, Table 1): ReLU and normalisation of segment 6, then the whole of segment 7.
    """

    def __init__(self, xvector_dim: int, speakers: int, options: TrainOptions) -> None:
        super().__init__()
        self.segments = nn.Sequential()
        if options.hidden_dim:
            self.segments = nn.Sequential(
                nn.ReLU(),
                nn.BatchNorm1d(xvector_dim),
                nn.Linear(xvector_dim, options.hidden_dim),
                nn.ReLU(),
                nn.BatchNorm1d(options.hidden_dim),
            )
        self.output = nn.Linear(options.hidden_dim or xvector_dim, speakers)

    def forward(self, xvectors: Tensor, labels: Tensor, margin: float = 0.0) -> tuple[Tensor, Tensor]:
        """``xvectors`` [batch, xvector], ``labels`` [batch] -> loss [batch], logits [batch, speakers].

        ``margin`` is of no use here.
        """
        with torch.autocast(xvectors.device.type, enabled=False):
            logits = self.output(self.segments(xvectors.float()))
            return F.cross_entropy(logits, labels, reduction="none"), logits


class AamHead(nn.Module):
    """Additive angular margin softmax (ArcFace, Deng et al., CVPR 2019, eq. 3), without easy margin.

    The own speaker's cosine cos(a) becomes cos(a + margin). Beyond a = pi - margin that would rise
    again; there cos(a) - margin * sin(margin) goes on falling, as in the authors' code.
    """

    def __init__(self, xvector_dim: int, speakers: int, options: TrainOptions) -> None:
        super().__init__()
        self.scale = options.scale
        self.centres = nn.Parameter(torch.empty(speakers, xvector_dim))
        nn.init.xavier_uniform_(self.centres)

    def forward(self, xvectors: Tensor, labels: Tensor, margin: float = 0.0) -> tuple[Tensor, Tensor]:
        """``xvectors`` [batch, xvector], ``labels`` [batch] -> loss [batch], logits [batch, speakers].

        The logits are the scaled cosines without the margin: what accuracy is counted on.
        """
        with torch.autocast(xvectors.device.type, enabled=False):
            cosine = F.linear(F.normalize(xvectors.float()), F.normalize(self.centres))
            # At |cosine| = 1 the root has no slope; the clamp keeps its gradient finite.
            sine = (1 - cosine.square()).clamp(min=1e-9).sqrt()
            harder = cosine * math.cos(margin) - sine * math.sin(margin)
            harder = torch.where(cosine > -math.cos(margin), harder, cosine - margin * math.sin(margin))
            own = labels.unsqueeze(1) == torch.arange(len(self.centres), device=labels.device)
            with_margin = self.scale * torch.where(own, harder, cosine)
            return F.cross_entropy(with_margin, labels, reduction="none"), self.scale * cosine


# A head takes (xvector_dim, speakers, TrainOptions).
LOSSES: Registry[type[nn.Module]] = Registry("loss", {"aam": AamHead, "softmax": SoftmaxHead})
