"""ERes2NetV2: Chen et al., "ERes2NetV2: Boosting Short-Duration Speaker Verification Performance with
Computational Efficiency", Interspeech 2024 (arXiv:2406.02167), Figure 2 and Table 1.

A ResNet of Res2Net bottlenecks: fewer channels inside a block and more between blocks than in ERes2Net. The
last two stages join their groups, and the end of both stages, with attentional feature fusion. Images are
[batch, channels, time, bins] with channels innermost in memory.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from .architectures import ERes2NetOptions
from .layers import PointConv

EXPANSION = 2  # channels of a block's output for one of its nominal width
CEILING = 20.0  # activations inside the blocks are cut off here, as in the authors' code


def cut(image: Tensor) -> Tensor:
    """ReLU with a ceiling."""
    return F.hardtanh(image, 0.0, CEILING, inplace=True)


class Conv(nn.Sequential):
    """Convolution without bias, batch normalisation; 3x3 keeps the size, 1x1 may have a stride."""

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int = 1) -> None:
        conv = (
            PointConv(inputs, outputs, stride)
            if kernel == 1
            else nn.Conv2d(inputs, outputs, kernel, padding=kernel // 2, bias=False)
        )
        super().__init__(conv, nn.BatchNorm2d(outputs))


class Fusion(nn.Module):
    """Attentional feature fusion (eq. 2 and 3): (1 + a) x + (1 - a) y with a = tanh(local attention)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        inner = channels // 4
        self.attention = nn.Sequential(
            nn.Conv2d(2 * channels, inner, 1),
            nn.BatchNorm2d(inner),
            nn.SiLU(inplace=True),
            nn.Conv2d(inner, channels, 1),
            nn.BatchNorm2d(channels),
        )

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        balance = torch.tanh(self.attention(torch.cat((x, y), dim=1)))
        return x * (1 + balance) + y * (1 - balance)


class Sum(nn.Module):
    """What the first two stages have in the place of a fusion."""

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        return x + y


class Block(nn.Module):
    """Bottleneck of Res2Net: a group is convolved after the result of the one before is joined to it."""

    def __init__(self, inputs: int, nominal: int, stride: int, options: ERes2NetOptions, fused: bool) -> None:
        super().__init__()
        groups, outputs = options.scale, EXPANSION * nominal
        self.width = nominal * options.base_width // 64
        self.enter = Conv(inputs, groups * self.width, 1, stride)
        self.convs = nn.ModuleList(Conv(self.width, self.width, 3) for _ in range(groups))
        self.joins = nn.ModuleList(Fusion(self.width) if fused else Sum() for _ in range(groups - 1))
        self.leave = Conv(groups * self.width, outputs, 1)
        same = stride == 1 and inputs == outputs
        self.skip = nn.Sequential() if same else Conv(inputs, outputs, 1, stride)

    def forward(self, image: Tensor) -> Tensor:
        first, *rest = cut(self.enter(image)).split(self.width, dim=1)
        results = [cut(self.convs[0](first))]
        for conv, join, part in zip(self.convs[1:], self.joins, rest, strict=True):  # type: ignore[arg-type]
            results.append(cut(conv(join(results[-1], part))))
        return cut(self.leave(torch.cat(results, dim=1)) + self.skip(image))


class ERes2NetEncoder(nn.Module):
    """Features [batch, time, feature] -> frames [batch, ceil(time / 8), 16 * channels * ceil(feature / 8)].

    A bin's channels stand side by side. ``min_frames`` gives the pooling two frames: a deviation needs both.
    """

    trim, stride = 0, 8
    min_frames = 9

    def __init__(self, options: ERes2NetOptions, feature_dim: int) -> None:
        super().__init__()
        width = options.channels
        self.first = Conv(1, width, 3)
        inputs, stages = width, []
        for number, blocks in enumerate(options.blocks):
            nominal, stage = width << number, []
            for block in range(blocks):
                stride = 2 if number and not block else 1
                stage.append(Block(inputs, nominal, stride, options, fused=number >= 2))
                inputs = EXPANSION * nominal
            stages.append(nn.Sequential(*stage))
        self.stages = nn.ModuleList(stages)
        self.down = nn.Conv2d(inputs // 2, inputs, 3, stride=2, padding=1, bias=False)
        self.fusion = Fusion(inputs)  # of the last two stages, bottom up
        self.out_channels = inputs * -(-feature_dim // 8)

    def forward(self, features: Tensor) -> Tensor:
        image = features.unsqueeze(-1).permute(0, 3, 1, 2)
        image = F.relu(self.first(image), inplace=True)
        for stage in self.stages:
            before, image = image, stage(image)
        image = self.fusion(image, self.down(before))
        return image.permute(0, 2, 3, 1).flatten(2).contiguous()
