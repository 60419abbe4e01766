"""Frames of an utterance to one vector. Weights, one a frame, say how much each frame counts.

A weight of 2 is the frame twice and a weight of 0 is the frame left out. All statistics are taken in
32 bits, whatever the precision of training.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from .architectures import AttentiveOptions, NoOptions
from .layers import FrameConv
from .statistics import statistics

# Least variance: its root has no slope at 0. Kaldi's 1e-10 is below what 32 bits resolve beside a
# mean of 1.
VARIANCE_FLOOR = 1e-7


def mean_and_deviation(frames: Tensor, scores: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation over time, [batch, channels] each, under softmax(scores).

    The deviation is that of the population (divided by the sum of weights), as in Kaldi.
    """
    mean, variance = statistics(frames, scores)
    return mean, variance.clamp(min=VARIANCE_FLOOR).sqrt()


def given_scores(frames: Tensor, weights: Tensor | None) -> Tensor:
    """Scores [batch, time, 1] whose softmax is ``weights`` over their sum; None is every frame alike."""
    if weights is None:
        return frames.new_zeros(frames.shape[0], frames.shape[1], 1, dtype=torch.float32)
    return weights.float().log().unsqueeze(-1)


class AveragePooling(nn.Module):
    """Mean over time: [batch, channels]."""

    def __init__(self, options: NoOptions, channels: int) -> None:
        super().__init__()
        self.out_dim = channels

    def forward(self, frames: Tensor, weights: Tensor | None = None) -> Tensor:
        """``frames`` [batch, time, channels], ``weights`` [batch, time] (>= 0, not all 0) or None."""
        return statistics(frames, given_scores(frames, weights))[0]


class StatisticsPooling(nn.Module):
    """Mean and standard deviation over time (Snyder et al., 2018): [batch, 2 * channels]."""

    def __init__(self, options: NoOptions, channels: int) -> None:
        super().__init__()
        self.out_dim = 2 * channels

    def forward(self, frames: Tensor, weights: Tensor | None = None) -> Tensor:
        """``frames`` [batch, time, channels], ``weights`` [batch, time] (>= 0, not all 0) or None."""
        return torch.cat(mean_and_deviation(frames, given_scores(frames, weights)), dim=-1)


class AttentiveStatisticsPooling(nn.Module):
    """Channel- and context-dependent statistics pooling (ECAPA-TDNN, section 3.1): [batch, 2 * channels].

    Each channel has its own attention over time, and the attention sees the utterance's mean and
    deviation beside every frame.
    """

    def __init__(self, options: AttentiveOptions, channels: int) -> None:
        super().__init__()
        self.out_dim = 2 * channels
        self.channels = channels
        self.hidden = FrameConv(3 * channels, options.attention_channels)  # W and b of eq. 1
        self.score = FrameConv(options.attention_channels, channels)  # v_c and k_c of eq. 1

    def forward(self, frames: Tensor, weights: Tensor | None = None) -> Tensor:
        """``frames`` [batch, time, channels], ``weights`` [batch, time] (>= 0, not all 0) or None."""
        given = given_scores(frames, weights)
        context = torch.cat(mean_and_deviation(frames, given), dim=-1)
        # W [h; mean; deviation] + b, where the last two are the same in all frames: a third of the work.
        of_frame, of_context = self.hidden.weight.squeeze(-1).split([self.channels, 2 * self.channels], dim=1)
        shared = F.linear(context, of_context, self.hidden.bias).unsqueeze(1)
        scores = self.score(torch.tanh(F.linear(frames, of_frame) + shared))  # eq. 1
        if weights is not None:
            scores = scores.float() + given
        return torch.cat(mean_and_deviation(frames, scores), dim=-1)  # eq. 2 to 4
