"""Frames of an utterance to one vector. Weights, one a frame, say how much each frame counts.

A weight of 2 is the frame twice and a weight of 0 is the frame left out of the statistics. All
statistics are kept in 32 bits, whatever the precision of training.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from .layers import FrameConv
from .options import ModelOptions

# Added under the root: a variance of zero has no gradient there. Kaldi floors at 1e-10, below what
# 32 bits resolve beside a mean of 1.
VARIANCE_FLOOR = 1e-7


def weighted_statistics(frames: Tensor, weights: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation over time, [batch, channels] each.

    ``frames`` [batch, time, channels]; ``weights`` [batch, time, channels or 1], summing to 1 over
    time. The deviation is that of the population (divided by the sum of weights), as in Kaldi.
    """
    mean = (weights * frames).sum(dim=1)
    variance = (weights * (frames - mean.unsqueeze(1)).square()).sum(dim=1)
    return mean, variance.clamp(min=VARIANCE_FLOOR).sqrt()


def normalised(frames: Tensor, weights: Tensor | None) -> Tensor:
    """Weights [batch, time, 1] that sum to 1 over time; None is every frame alike."""
    if weights is None:
        return frames.new_full((frames.shape[0], frames.shape[1], 1), 1 / frames.shape[1])
    weights = weights.to(frames.dtype).unsqueeze(-1)
    return weights / weights.sum(dim=1, keepdim=True)


class StatisticsPooling(nn.Module):
    """Mean and standard deviation over time (Snyder et al., 2018): [batch, 2 * channels]."""

    def __init__(self, channels: int, options: ModelOptions) -> None:
        super().__init__()
        self.out_dim = 2 * channels

    def forward(self, frames: Tensor, weights: Tensor | None = None) -> Tensor:
        with torch.autocast(frames.device.type, enabled=False):
            frames = frames.float()
            return torch.cat(weighted_statistics(frames, normalised(frames, weights)), dim=-1)


class AttentiveStatisticsPooling(nn.Module):
    """Channel- and context-dependent statistics pooling (ECAPA-TDNN, section 3.1): [batch, 2 * channels].

    Each channel has its own attention over time, and the attention sees the utterance's mean and
    deviation beside every frame.
    """

    def __init__(self, channels: int, options: ModelOptions) -> None:
        super().__init__()
        self.out_dim = 2 * channels
        self.channels = channels
        self.hidden = FrameConv(3 * channels, options.attention_channels)  # W and b of eq. 1
        self.score = FrameConv(options.attention_channels, channels)  # v_c and k_c of eq. 1

    def _scores(self, frames: Tensor, mean: Tensor, deviation: Tensor) -> Tensor:
        # W [h; mean; deviation] + b, where the last two are the same in all frames: a third of the work.
        of_frame, of_context = self.hidden.weight.squeeze(-1).split([self.channels, 2 * self.channels], dim=1)
        context = nn.functional.linear(torch.cat((mean, deviation), dim=-1), of_context, self.hidden.bias)
        hidden = nn.functional.linear(frames, of_frame) + context.unsqueeze(1)
        return self.score(torch.tanh(hidden))  # eq. 1

    def forward(self, frames: Tensor, weights: Tensor | None = None) -> Tensor:
        with torch.autocast(frames.device.type, enabled=False):
            exact = frames.float()
            uniform = normalised(exact, weights)
            mean, deviation = weighted_statistics(exact, uniform)
        scores = self._scores(frames, mean, deviation)
        with torch.autocast(frames.device.type, enabled=False):
            scores = scores.float()
            if weights is not None:
                scores = scores + uniform.log()
            attention = torch.softmax(scores, dim=1)  # eq. 2
            return torch.cat(weighted_statistics(exact, attention), dim=-1)  # eq. 3 and 4
