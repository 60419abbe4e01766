"""A plain CNN on mel-spectrograms: the network of the triplet recipe, without skips and without attention.

Its shape is that of VGG (Simonyan and Zisserman, ICLR 2015, arXiv:1409.1556): 3x3 convolutions, each with
normalisation and ReLU, and more channels after each halving. The design is ours, for 128 bins (logmel128):

| stage | convolutions | image of 128 bins and T frames |
|---|---|---|
| 1 | 2 of 3x3, 32 | 32 x 128 x T, max pooling 3x3 / 2 |
| 2 | 2 of 3x3, 64 | 64 x 64 x T/2, max pooling 3x3 / 2 |
| 3 | 2 of 3x3, 128 | 128 x 32 x T/4, max pooling 3x3 / 2 |
| 4 | 2 of 3x3, 256 | 256 x 16 x T/8 |
"""

from __future__ import annotations

from torch import Tensor, nn

from .architectures import CnnOptions
from .layers import as_frames, as_image


class Conv(nn.Sequential):
    """3x3 convolution that keeps the size, batch normalisation, ReLU."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__(
            nn.Conv2d(inputs, outputs, 3, padding=1, bias=False),
            nn.BatchNorm2d(outputs),
            nn.ReLU(inplace=True),
        )


class CnnEncoder(nn.Module):
    """Features [batch, time, feature] -> frames [batch, ceil(time / stride), out_channels].

    ``stride`` is 2 to the number of stages but one. A frame holds all bins of channel 0, then
    all of channel 1 and so on; with ``average_bins`` the channels alone. ``min_frames`` gives the pooling two
    frames.
    """

    trim = 0

    def __init__(self, options: CnnOptions, feature_dim: int) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        inputs = 1
        for number, width in enumerate(options.channels):
            if number:
                layers.append(nn.MaxPool2d(3, stride=2, padding=1))
            for _ in range(options.convolutions):
                layers.append(Conv(inputs, width))
                inputs = width
        self.layers = nn.Sequential(*layers)
        self.average_bins = options.average_bins
        self.stride = 2 ** (len(options.channels) - 1)
        self.min_frames = self.stride + 1
        self.out_channels = inputs * (1 if self.average_bins else -(-feature_dim // self.stride))

    def forward(self, features: Tensor) -> Tensor:
        image = self.layers(as_image(features))
        return as_frames(image.mean(2, keepdim=True) if self.average_bins else image)
