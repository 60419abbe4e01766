"""Mean and the deviation of a sample: statistics pooling as torch.std has it, divided by one frame less.

WeSpeaker and 3D-Speaker pool so: CAM++, ERes2Net, their ResNets and x-vector. Weights that are imported from
there want it.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from .architectures import NoOptions, SegmentOptions
from .pooling import VARIANCE_FLOOR, given_scores
from .statistics import statistics


class SampleStatisticsPooling(nn.Module):
    """Mean and sample deviation over time: [batch, 2 * channels].

    With weights w whose sum is 1, the variance is divided by 1 - sum(w^2), which is (T - 1) / T for T equal
    ones. One frame alone has no deviation.
    """

    def __init__(self, options: NoOptions, channels: int) -> None:
        super().__init__()
        self.out_dim = 2 * channels

    def forward(self, frames: Tensor, weights: Tensor | None = None) -> Tensor:
        """``frames`` [batch, time, channels], ``weights`` [batch, time] (>= 0, not all 0) or None."""
        scores = given_scores(frames, weights)
        mean, variance = statistics(frames, scores)
        freedom = 1 - scores.softmax(dim=1).square().sum(dim=1)
        variance = variance / freedom.clamp(min=torch.finfo(torch.float32).eps)
        return torch.cat((mean, variance.clamp(min=VARIANCE_FLOOR).sqrt()), dim=-1)


class SegmentStatisticsPooling(SampleStatisticsPooling):
    """The same with a first segment layer behind it: [batch, segment_channels].

    Linear, ReLU, batch normalisation without a scale. The projector's linear layer is then the second one,
    whose output WeSpeaker's x-vector network and its ResNets with two layers take for x-vectors.
    """

    def __init__(self, options: SegmentOptions, channels: int) -> None:
        super().__init__(NoOptions(), channels)
        self.segment = nn.Linear(self.out_dim, options.segment_channels)
        self.norm = nn.BatchNorm1d(options.segment_channels, affine=False)
        self.out_dim = options.segment_channels

    def forward(self, frames: Tensor, weights: Tensor | None = None) -> Tensor:
        """``frames`` [batch, time, channels], ``weights`` [batch, time] (>= 0, not all 0) or None."""
        return self.norm(torch.relu(self.segment(super().forward(frames, weights))))
