"""The x-vector TDNN as convolutions: dilated ones over time with any sizes, and one with a front over images.

Both have the layers of Snyder et al. (ICASSP 2018, see tdnn.py) by default. The 2-D front is that of
github.com/Wenhao-Yang/SpeakerVerifiaction-pytorch (TDNN_v5 with first_2d): two 5x5 convolutions that see bins
and frames as an image stand in place of the first layer.
"""

from __future__ import annotations

from torch import Tensor, nn

from .architectures import Conv1dOptions, Conv2dOptions
from .layers import FrameConv, FrameLayer, FrameNorm, as_frames, as_image


class Conv1dEncoder(nn.Module):
    """Dilated convolutions that keep the length: [batch, time, feature] -> [batch, time, out_channels].

    Zeros stand at the utterance's own ends. ``min_frames``: what the widest kernel covers.
    """

    trim, stride = 0, 1

    def __init__(self, options: Conv1dOptions, feature_dim: int) -> None:
        super().__init__()
        layers, inputs = [], feature_dim
        reaches = [
            dilation * (kernel - 1)
            for kernel, dilation in zip(options.kernels, options.dilations, strict=True)
        ]
        rows = zip(options.channels, options.kernels, options.dilations, reaches, strict=True)
        for outputs, kernel, dilation, reach in rows:
            layers.append(FrameLayer(inputs, outputs, kernel, dilation, padding=reach // 2))
            inputs = outputs
        self.layers = nn.Sequential(*layers)
        self.out_channels = inputs
        self.min_frames = 1 + max(reaches)

    def forward(self, features: Tensor) -> Tensor:
        return self.layers(features)


class Conv2dFront(nn.Module):
    """Features [batch, time, bins] -> frames [batch, time, channels].

    Two 5x5 convolutions that halve the bins; then each group of their channels, with all bins that are left,
    is brought to its part of the width.
    """

    def __init__(self, options: Conv2dOptions, bins: int) -> None:
        super().__init__()
        first, second = options.front_channels
        self.images = nn.Sequential(
            nn.Conv2d(1, first, 5, stride=(2, 1), padding=2),
            nn.BatchNorm2d(first),
            nn.ReLU(inplace=True),
            nn.Conv2d(first, second, 5, stride=(2, 1), padding=2),
            nn.BatchNorm2d(second),
            nn.ReLU(inplace=True),
        )
        self.frames = nn.Sequential(
            FrameConv(second * -(-bins // 4), options.channels, groups=options.groups, bias=False),
            FrameNorm(options.channels),
            nn.ReLU(inplace=True),
        )

    def forward(self, features: Tensor) -> Tensor:
        return self.frames(as_frames(self.images(as_image(features))))


class Conv2dEncoder(nn.Module):
    """The 2-D front, then layers 2 to 5 of the x-vector TDNN: [batch, time, feature] -> [batch, time - 10,
    frame_channels]. The front keeps the length with zeros at the ends, the layers lose 5 frames at each."""

    trim, stride = 5, 1
    min_frames = 11

    def __init__(self, options: Conv2dOptions, feature_dim: int) -> None:
        super().__init__()
        width = options.channels
        self.out_channels = options.frame_channels
        self.front = Conv2dFront(options, feature_dim)
        self.layers = nn.Sequential(
            FrameLayer(width, width, kernel=3, dilation=2),
            FrameLayer(width, width, kernel=3, dilation=3),
            FrameLayer(width, width),
            FrameLayer(width, options.frame_channels),
        )

    def forward(self, features: Tensor) -> Tensor:
        return self.layers(self.front(features))
