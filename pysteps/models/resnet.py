"""ResNet: He et al., "Deep Residual Learning for Image Recognition", CVPR 2016 (arXiv:1512.03385), Table 1
and Figure 5, as speaker recognition has it: few channels, no striding of time before the second stage.

- WeSpeaker's ResNets (Wang et al., ICASSP 2023, arXiv:2210.17016): 32 channels, a 3x3 stem.
- Thin and Fast ResNet-34 (Chung et al., "In defence of metric learning for speaker recognition", Interspeech
  2020, arXiv:2003.11982): 16 channels, a 7x7 stem that halves the bins, SE, the mean over the bins.
- SE: Hu et al., "Squeeze-and-Excitation Networks", CVPR 2018 (arXiv:1709.01507).
- SimAM: Yang et al., "SimAM: A Simple, Parameter-Free Attention Module", ICML 2021; Qin et al., "Simple
  Attention Module Based Speaker Verification with Iterative Noisy Label Detection", ICASSP 2022
  (arXiv:2110.06534).

Images are [batch, channels, bins, time] and names of parameters those of WeSpeaker, so that its weights fit
as they are: ``layer3.0.conv1.weight`` there is ``encoder.layer3.0.conv1.weight`` here and ``seg_1`` is
``projector.0``, with `sample_stats` for its TSTP.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from .architectures import ResNetOptions
from .layers import PointConv, as_frames, as_image

LAMBDA = 1e-4  # SimAM's lambda


class SqueezeExcitation(nn.Module):
    """Channels of an image scaled by what the whole image says; ``reduction``: of the channels inside."""

    def __init__(self, channels: int, reduction: int) -> None:
        super().__init__()
        self.squeeze = nn.Linear(channels, max(1, channels // reduction))
        self.excite = nn.Linear(max(1, channels // reduction), channels)

    def forward(self, image: Tensor) -> Tensor:
        gate = torch.sigmoid(self.excite(F.relu(self.squeeze(image.mean((2, 3))))))
        return image * gate[:, :, None, None]


class SimAM(nn.Module):
    """Points of an image scaled by how far they stand out of their channel: sigmoid(1 / energy), eq. 5 and 6.

    It has no parameters. Mean and variance are those of the utterance, in 32 bits.
    """

    def forward(self, image: Tensor) -> Tensor:
        points = image.float()
        distance = (points - points.mean((2, 3), keepdim=True)).square()
        others = image.shape[2] * image.shape[3] - 1
        variance = distance.sum((2, 3), keepdim=True) / others
        salience = distance / (4 * (variance + LAMBDA)) + 0.5
        return image * torch.sigmoid(salience).to(image.dtype)


def attention(options: ResNetOptions, channels: int) -> nn.Module:
    """What stands after the last normalisation of a block."""
    if options.attention == "se":
        return SqueezeExcitation(channels, options.reduction)
    return SimAM() if options.attention == "simam" else nn.Identity()


def shortcut(inputs: int, outputs: int, stride: int) -> nn.Module:
    """The way around a block: a 1x1 convolution where the size changes (option B of section 3.3)."""
    if stride == 1 and inputs == outputs:
        return nn.Sequential()
    return nn.Sequential(PointConv(inputs, outputs, stride), nn.BatchNorm2d(outputs))


class BasicBlock(nn.Module):
    """Two 3x3 convolutions (Figure 5, left)."""

    expansion = 1

    def __init__(self, inputs: int, width: int, stride: int, options: ResNetOptions) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, width, 3, stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.attention = attention(options, width)
        self.shortcut = shortcut(inputs, width, stride)

    def forward(self, image: Tensor) -> Tensor:
        out = F.relu(self.bn1(self.conv1(image)), inplace=True)
        out = self.attention(self.bn2(self.conv2(out)))
        return F.relu(out + self.shortcut(image), inplace=True)


class Bottleneck(nn.Module):
    """1x1, 3x3 and 1x1 convolutions (Figure 5, right); four times as wide outside as inside."""

    expansion = 4

    def __init__(self, inputs: int, width: int, stride: int, options: ResNetOptions) -> None:
        super().__init__()
        outputs = self.expansion * width
        self.conv1 = nn.Conv2d(inputs, width, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, stride, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.conv3 = nn.Conv2d(width, outputs, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(outputs)
        self.attention = attention(options, outputs)
        self.shortcut = shortcut(inputs, outputs, stride)

    def forward(self, image: Tensor) -> Tensor:
        out = F.relu(self.bn1(self.conv1(image)), inplace=True)
        out = F.relu(self.bn2(self.conv2(out)), inplace=True)
        out = self.attention(self.bn3(self.conv3(out)))
        return F.relu(out + self.shortcut(image), inplace=True)


class ResNetEncoder(nn.Module):
    """Features [batch, time, feature] -> frames [batch, ceil(time / stride), out_channels].

    ``stride`` is 8 (4 with a ``last_stride`` of 1). A frame holds all bins of channel 0, then all of channel
    1 and so on, as WeSpeaker flattens them; with ``average_bins`` the channels alone. ``min_frames`` gives
    the pooling two frames: a deviation needs both.
    """

    trim = 0

    def __init__(self, options: ResNetOptions, feature_dim: int) -> None:
        super().__init__()
        width, large = options.channels, options.stem != "3x3"
        self.conv1 = nn.Conv2d(
            1,
            width,
            7 if large else 3,
            stride=(2, 1) if large else 1,
            padding=3 if large else 1,
            bias=False,
        )
        self.bn1 = nn.BatchNorm2d(width)
        pooled = options.stem == "7x7_pool"
        self.maxpool = nn.MaxPool2d(3, stride=(2, 1), padding=1) if pooled else nn.Identity()
        block = Bottleneck if options.block == "bottleneck" else BasicBlock
        inputs, layers = width, []
        for number, stride in enumerate((1, 2, 2, options.last_stride)):
            layer = []
            for step in [stride] + [1] * (options.blocks[number] - 1):
                layer.append(block(inputs, width << number, step, options))
                inputs = block.expansion * (width << number)
            layers.append(nn.Sequential(*layer))
        self.layer1, self.layer2, self.layer3, self.layer4 = layers
        self.average_bins = options.average_bins
        self.stride = 4 * options.last_stride
        self.min_frames = self.stride + 1
        bins_stride = self.stride * (2 if large else 1) * (2 if pooled else 1)
        self.out_channels = inputs * (1 if self.average_bins else -(-feature_dim // bins_stride))

    def forward(self, features: Tensor) -> Tensor:
        image = F.relu(self.bn1(self.conv1(as_image(features))), inplace=True)
        image = self.layer1(self.maxpool(image))
        image = self.layer4(self.layer3(self.layer2(image)))
        return as_frames(image.mean(2, keepdim=True) if self.average_bins else image)
