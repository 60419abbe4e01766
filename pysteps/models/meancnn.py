"""A 1-D CNN over the mean spectrum: which voice it is on average, for attributes such as gender.

The features (128 mel bins) are averaged over time, then convolved over the bins. Encoder ``identity`` and
pooling ``mean_cnn``: the mean counts frames by their weights. The design is ours:

| layer | bins x channels, of 128 bins |
|---|---|
| mean over time, batch normalisation of each bin | 128 x 1 |
| convolution of 5 bins, ReLU, batch normalisation, largest of 2 | 64 x 32 |
| the same | 32 x 64 |
| the same | 16 x 128 |
"""

from __future__ import annotations

from torch import Tensor, nn

from ..formats.errors import InputError
from .architectures import MeanCnnOptions, NoOptions
from .layers import FrameLayer
from .pooling import given_scores
from .statistics import statistics


class IdentityEncoder(nn.Module):
    """Features as they are: [batch, time, feature]. For poolings that do all the work."""

    trim, stride, min_frames = 0, 1, 1

    def __init__(self, options: NoOptions, feature_dim: int) -> None:
        super().__init__()
        self.out_channels = feature_dim

    def forward(self, features: Tensor) -> Tensor:
        return features


class MeanCnnPooling(nn.Module):
    """Frames [batch, time, bins] to their mean's convolutions, [batch, channels * bins / 2^stages]."""

    def __init__(self, options: MeanCnnOptions, channels: int) -> None:
        super().__init__()
        if channels < 2 ** len(options.channels):
            said = f"{channels} bins are too few for {len(options.channels)} stages that halve them"
            raise InputError(said)
        self.norm = nn.BatchNorm1d(channels)
        inputs, bins = 1, channels
        self.stages = nn.ModuleList()
        for width in options.channels:
            self.stages.append(FrameLayer(inputs, width, options.kernel, padding=options.kernel // 2))
            inputs, bins = width, bins // 2
        self.halve = nn.MaxPool1d(2)
        self.dropout = nn.Dropout(options.dropout)
        self.out_dim = inputs * bins

    def forward(self, frames: Tensor, weights: Tensor | None = None) -> Tensor:
        """``frames`` [batch, time, bins], ``weights`` [batch, time] (>= 0, not all 0) or None."""
        mean, _ = statistics(frames, given_scores(frames, weights))
        bins = self.norm(mean).unsqueeze(-1)  # the layers' "time" is the bin: [batch, bin, channel]
        for stage in self.stages:
            bins = self.halve(stage(bins).mT).mT
        return self.dropout(bins.flatten(1))
