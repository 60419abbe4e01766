"""Attentive statistics with an attention of its own for every channel, and no context.

Heo et al., "Clova Baseline System for the VoxCeleb Speaker Recognition Challenge 2020" (arXiv:2009.14153),
there called ASP; WeSpeaker's SimAM-ResNets pool so too. Between Okabe's ASP (`asp`), one attention for all
channels, and that of ECAPA-TDNN (`astp`), which sees the utterance beside the frame.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from .architectures import AttentiveOptions
from .layers import FrameConv, FrameLayer
from .pooling import given_scores
from .statistics import statistics

VARIANCE_FLOOR = 1e-5  # as there: weights from there expect it


class ChannelAttentivePooling(nn.Module):
    """Mean and deviation under an attention a channel: [batch, 2 * channels].

    The attention's hidden layer is normalised; in evaluation by the running statistics, so that a frame's
    score depends on that frame alone.
    """

    def __init__(self, options: AttentiveOptions, channels: int) -> None:
        super().__init__()
        self.out_dim = 2 * channels
        self.hidden = FrameLayer(channels, options.attention_channels)
        self.score = FrameConv(options.attention_channels, channels)

    def forward(self, frames: Tensor, weights: Tensor | None = None) -> Tensor:
        """``frames`` [batch, time, channels], ``weights`` [batch, time] (>= 0, not all 0) or None."""
        scores = self.score(self.hidden(frames)).float()
        if weights is not None:
            scores = scores + given_scores(frames, weights)
        mean, variance = statistics(frames, scores)
        return torch.cat((mean, variance.clamp(min=VARIANCE_FLOOR).sqrt()), dim=-1)
