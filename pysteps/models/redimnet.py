"""ReDimNet: Yakovlev et al., "Reshape Dimensions Network for Speaker Recognition", Interspeech 2024
(arXiv:2407.18223), Figure 1 and Table 1.

Every stage takes frames (1-D), looks at them as an image (2-D), and gives frames of the same size back: as
channels grow, bins get fewer. Here the bins' channels stand side by side in a frame, so that frames
[batch, time, bins * channels] and an image [batch, channels, time, bins] with channels innermost are the same
memory, and to reshape costs nothing. A stage sees a weighted sum of the outputs of all before it.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..formats.errors import InputError
from .architectures import ReDimNetOptions
from .layers import FrameConv, FrameNorm

HEADS = 4
KERNELS = (7, 19, 31, 59)  # of the time context block's convolutions
EPSILON = 1e-6


def to_image(frames: Tensor, bins: int) -> Tensor:
    """Frames [batch, time, bins * channels] as an image [batch, channels, time, bins]."""
    return frames.unflatten(2, (bins, frames.shape[2] // bins)).permute(0, 3, 1, 2)


def to_frames(image: Tensor) -> Tensor:
    """The other way."""
    return image.permute(0, 2, 3, 1).flatten(2)


class Weighted(nn.Module):
    """Outputs of ``count`` stages to one, each channel with weights of its own (section 2.2)."""

    def __init__(self, count: int, channels: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(count, channels))

    def forward(self, outputs: list[Tensor]) -> Tensor:
        weights = self.weight.softmax(dim=0)
        total = outputs[0] * weights[0]
        for output, weight in zip(outputs[1:], weights[1:], strict=True):
            total = total + output * weight
        return total


class ConvNextBlock(nn.Module):
    """Grouped 3x3 convolution, norm, GELU, 1x1 convolution; a skip around."""

    def __init__(self, channels: int, bins: int, group: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, channels, 3, padding=1, groups=channels // group)
        self.norm = nn.BatchNorm2d(channels)
        self.mix = nn.Conv2d(channels, channels, 1)

    def forward(self, image: Tensor) -> Tensor:
        return image + self.mix(F.gelu(self.norm(self.conv(image))))


class FrequencySE(nn.Module):
    """Squeeze and excitation over bins: what the utterance says of each bin, over all channels."""

    def __init__(self, channels: int, bins: int) -> None:
        super().__init__()
        inner = min(64, max(32, channels))
        self.squeeze = nn.Linear(bins, inner)
        self.excite = nn.Linear(inner, bins)

    def forward(self, image: Tensor) -> Tensor:
        gate = torch.sigmoid(self.excite(F.relu(self.squeeze(image.mean(dim=(1, 2))))))
        return image * gate[:, None, None, :]


class ResNetBlock(nn.Module):
    """Two separable 3x3 convolutions with a skip; ReLU before the first norm, as in the authors' code."""

    def __init__(self, channels: int, bins: int, group: int) -> None:
        super().__init__()
        groups = channels // group
        self.conv1 = nn.Conv2d(channels, channels, 3, padding=1, groups=groups, bias=False)
        self.mix1 = nn.Conv2d(channels, channels, 1)
        self.norm1 = nn.BatchNorm2d(channels)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1, groups=groups, bias=False)
        self.mix2 = nn.Conv2d(channels, channels, 1)
        self.norm2 = nn.BatchNorm2d(channels)
        self.gate = nn.Sequential()

    def forward(self, image: Tensor) -> Tensor:
        out = self.norm1(F.relu(self.mix1(self.conv1(image)), inplace=True))
        out = self.norm2(self.mix2(self.conv2(out)))
        return F.relu(self.gate(out) + image, inplace=True)


class ResNetSEBlock(ResNetBlock):
    """The same with frequency-wise squeeze and excitation."""

    def __init__(self, channels: int, bins: int, group: int) -> None:
        super().__init__(channels, bins, group)
        self.gate = FrequencySE(channels, bins)  # type: ignore[assignment]


BLOCKS = {"convnext": ConvNextBlock, "resnet": ResNetBlock, "resnet_se": ResNetSEBlock}


class FrameConvNext(nn.Module):
    """Depthwise convolution over time, norm, GELU, one-tap convolution; a skip around."""

    def __init__(self, channels: int, kernel: int) -> None:
        super().__init__()
        self.conv = FrameConv(channels, channels, kernel, padding=kernel // 2, groups=channels)
        self.norm = FrameNorm(channels)
        self.mix = nn.Linear(channels, channels)

    def forward(self, frames: Tensor) -> Tensor:
        return frames + self.mix(F.gelu(self.norm(self.conv(frames))))


class TransformerLayer(nn.Module):
    """Self-attention over the utterance and two linear layers; norms after the sums."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.query = nn.Linear(channels, channels)
        self.key = nn.Linear(channels, channels)
        self.value = nn.Linear(channels, channels)
        self.out = nn.Linear(channels, channels)
        self.norm = nn.LayerNorm(channels, eps=EPSILON)
        self.inner = nn.Linear(channels, channels)
        self.outer = nn.Linear(channels, channels)
        self.last_norm = nn.LayerNorm(channels, eps=EPSILON)

    def forward(self, frames: Tensor) -> Tensor:
        size = (HEADS, frames.shape[2] // HEADS)
        parts = (
            layer(frames).unflatten(2, size).transpose(1, 2) for layer in (self.query, self.key, self.value)
        )
        seen = F.scaled_dot_product_attention(*parts).transpose(1, 2).flatten(2)
        frames = self.norm(frames + self.out(seen))
        return self.last_norm(frames + self.outer(F.gelu(self.inner(frames), approximate="tanh")))


class TimeContext(nn.Module):
    """The 1-D block: fewer channels, four convolutions of growing width, attention, all channels again."""

    def __init__(self, channels: int, reduction: int) -> None:
        super().__init__()
        width = channels // reduction // HEADS * HEADS
        if not width:
            said = f"reduction is {reduction}: it leaves less than {HEADS} of {channels} channels"
            raise InputError(said)
        self.reduce = nn.Linear(channels, width)
        self.norm = nn.LayerNorm(width, eps=EPSILON)
        self.convs = nn.Sequential(*(FrameConvNext(width, kernel) for kernel in KERNELS))
        self.attention = TransformerLayer(width)
        self.expand = nn.Linear(width, channels)

    def forward(self, frames: Tensor) -> Tensor:
        return frames + self.expand(self.attention(self.convs(self.norm(self.reduce(frames)))))


class StageShape(NamedTuple):
    """A row of Table 1: bins are divided by ``stride``, ``wide`` times the channels inside."""

    stride: int
    blocks: int
    wide: int
    reduction: int


class Stage(nn.Module):
    """2-D blocks on a strided image, then the 1-D block if there is one (reduction above 0)."""

    def __init__(
        self, number: int, shape: StageShape, channels: int, bins: int, options: ReDimNetOptions
    ) -> None:
        super().__init__()
        self.bins, frame = bins, channels * bins
        self.weighted = Weighted(number + 1, frame) if number else None
        channels, bins = channels * shape.stride, bins // shape.stride
        inner, group = channels * shape.wide, options.group
        self.enter = nn.Conv2d(channels // shape.stride, inner, (1, shape.stride), stride=(1, shape.stride))
        self.blocks = nn.Sequential(*(BLOCKS[options.block](inner, bins, group) for _ in range(shape.blocks)))
        self.leave = nn.Sequential()
        if shape.wide > 1:
            self.leave = nn.Sequential(
                nn.Conv2d(inner, channels, 3, padding=1, groups=channels // group),
                nn.BatchNorm2d(channels, eps=EPSILON),
                nn.GELU(),
                nn.Conv2d(channels, channels, 1),
            )
        self.context = TimeContext(frame, shape.reduction) if shape.reduction else nn.Sequential()

    def forward(self, outputs: list[Tensor]) -> Tensor:
        frames = outputs[0] if self.weighted is None else self.weighted(outputs)
        image = self.leave(self.blocks(self.enter(to_image(frames, self.bins))))
        return self.context(to_frames(image))


class ReDimNetEncoder(nn.Module):
    """Features [batch, time, feature] -> frames [batch, time, bins * channels] of the first stage's size.

    Where the strides do not divide the bins, zeros stand for the ones that are missing above. ``min_frames``
    is what a 3x3 convolution sees.
    """

    trim, stride = 0, 1
    min_frames = 3

    def __init__(self, options: ReDimNetOptions, feature_dim: int) -> None:
        super().__init__()
        shapes = [StageShape(*row) for row in options.stages]
        divisor = math.prod(shape.stride for shape in shapes)
        channels, bins = options.channels, -(-feature_dim // divisor) * divisor
        self.missing = bins - feature_dim
        self.out_channels = channels * bins
        self.first = nn.Conv2d(1, channels, 3, padding=1)
        self.first_norm = nn.LayerNorm(channels, eps=EPSILON)
        stages = []
        for number, shape in enumerate(shapes):
            stages.append(Stage(number, shape, channels, bins, options))
            channels, bins = channels * shape.stride, bins // shape.stride
        self.stages = nn.ModuleList(stages)
        self.weighted = Weighted(len(shapes) + 1, self.out_channels)

    def forward(self, features: Tensor) -> Tensor:
        image = F.pad(features, (0, self.missing)).unsqueeze(-1).permute(0, 3, 1, 2)
        outputs = [self.first_norm(self.first(image).permute(0, 2, 3, 1)).flatten(2)]
        for stage in self.stages:
            outputs.append(stage(outputs))
        return self.weighted(outputs).contiguous()
