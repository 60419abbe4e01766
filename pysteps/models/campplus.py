"""CAM++: Wang et al., "CAM++: A Fast and Efficient Network for Speaker Verification Using Context-Aware
Masking", Interspeech 2023 (arXiv:2303.00332), Figure 1 and Table 1.

A residual 2-D front end (FCM) under a densely connected TDNN whose layers are masked by what the utterance
and the two seconds around say. Convolutions keep the length with zeros at the utterance's own ends; the
first TDNN layer halves the rate, so a frame that is pooled stands for 2 of the input.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from .architectures import CamPlusOptions
from .layers import DenseBlock, FrameConv, FrameNorm, PointConv, begin_kaiming

SEGMENT = 100  # frames of a segment pooling, section 2.3: two seconds at this rate
DILATIONS = (1, 2, 2)  # of the three dense blocks, Table 1


class NormReLU(nn.Sequential):
    """Batch normalisation, then ReLU: what stands in front of every layer of a dense block."""

    def __init__(self, channels: int) -> None:
        super().__init__(FrameNorm(channels), nn.ReLU(inplace=True))


class ResidualBlock(nn.Module):
    """Two 3x3 convolutions of an image [batch, channels, time, bins] with a skip; ``stride`` is over bins."""

    def __init__(self, channels: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, channels, 3, stride=(1, stride), padding=1, bias=False)
        self.norm1 = nn.BatchNorm2d(channels)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.norm2 = nn.BatchNorm2d(channels)
        self.skip = nn.Sequential()
        if stride > 1:
            self.skip = nn.Sequential(PointConv(channels, channels, (1, stride)), nn.BatchNorm2d(channels))

    def forward(self, image: Tensor) -> Tensor:
        out = F.relu(self.norm1(self.conv1(image)), inplace=True)
        return F.relu(self.norm2(self.conv2(out)) + self.skip(image), inplace=True)


class FrontEnd(nn.Module):
    """The front-end convolution module (FCM, section 2.2): an eighth of the bins, all of the frames.

    Features [batch, time, bins] -> [batch, time, ceil(bins / 8) * channels], a bin's channels side by side.
    """

    def __init__(self, channels: int, bins: int) -> None:
        super().__init__()
        self.out_channels = channels * -(-bins // 8)
        self.first = nn.Conv2d(1, channels, 3, padding=1, bias=False)
        self.first_norm = nn.BatchNorm2d(channels)
        self.blocks = nn.Sequential(*(ResidualBlock(channels, stride) for stride in (2, 1, 2, 1)))
        self.last = nn.Conv2d(channels, channels, 3, stride=(1, 2), padding=1, bias=False)
        self.last_norm = nn.BatchNorm2d(channels)

    def forward(self, features: Tensor) -> Tensor:
        image = features.unsqueeze(-1).permute(0, 3, 1, 2)  # channels innermost in memory
        image = F.relu(self.first_norm(self.first(image)), inplace=True)
        image = F.relu(self.last_norm(self.last(self.blocks(image))), inplace=True)
        return image.permute(0, 2, 3, 1).flatten(2).contiguous()


class ContextAwareMask(nn.Module):
    """A gate per channel from the mean of the utterance and of the segment (eq. 3 to 5).

    All frames of a segment have one gate, so it is worked out once a segment.
    """

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.squeeze = nn.Linear(inputs, inputs // 2)
        self.excite = nn.Linear(inputs // 2, outputs)

    def forward(self, frames: Tensor) -> Tensor:
        """``frames`` [batch, time, inputs] -> [batch, time, outputs] between 0 and 1."""
        time = frames.shape[1]
        # One segment more than there are, so that there are always several: torch.export takes sizes of 1
        # for another network.
        filled = F.pad(frames, (0, 0, 0, 2 * SEGMENT - 1)).transpose(1, 2).unsqueeze(2)
        total = SEGMENT * F.avg_pool2d(filled, (1, SEGMENT)).squeeze(2).transpose(1, 2)
        starts = SEGMENT * torch.arange(total.shape[1], device=frames.device)
        count = (time - starts).clamp(1, SEGMENT).to(frames.dtype).unsqueeze(-1)  # the last may be shorter
        context = frames.mean(1, keepdim=True) + total / count
        gate = torch.sigmoid(self.excite(F.relu(self.squeeze(context))))
        return gate.index_select(1, torch.arange(time, device=frames.device) // SEGMENT)


class DenseLayer(nn.Module):
    """D-TDNN layer with a mask (section 2.1): bottleneck, dilated convolution of 3 frames, gate."""

    def __init__(self, inputs: int, bottleneck: int, growth: int, dilation: int) -> None:
        super().__init__()
        self.pre = NormReLU(inputs)
        self.bottleneck = nn.Linear(inputs, bottleneck, bias=False)
        self.inner = NormReLU(bottleneck)
        self.local = FrameConv(bottleneck, growth, 3, dilation, dilation, bias=False)
        self.mask = ContextAwareMask(bottleneck, growth)

    def forward(self, frames: Tensor) -> Tensor:
        inner = self.inner(self.bottleneck(self.pre(frames)))
        return self.local(inner) * self.mask(inner)


class Transit(nn.Sequential):
    """Half of the channels go on to the next block."""

    def __init__(self, channels: int) -> None:
        super().__init__(NormReLU(channels), nn.Linear(channels, channels // 2, bias=False))


class CamPlusEncoder(nn.Module):
    """Features [batch, time, feature] -> frames [batch, ceil(time / 2), channels], Table 1 to the pooling.

    ``min_frames``: the widest kernel, 3 taps 2 apart at half the rate, covers 9 frames.
    """

    trim, stride = 0, 2
    min_frames = 9

    def __init__(self, options: CamPlusOptions, feature_dim: int) -> None:
        super().__init__()
        self.front = FrontEnd(options.front_channels, feature_dim)
        width, growth = options.channels, options.growth
        self.first = nn.Sequential(
            FrameConv(self.front.out_channels, width, 5, padding=2, stride=2, bias=False), NormReLU(width)
        )
        parts: list[nn.Module] = []
        for layers, dilation in zip(options.layers, DILATIONS, strict=True):
            parts.append(
                DenseBlock(
                    DenseLayer(width + i * growth, options.bottleneck * growth, growth, dilation)
                    for i in range(layers)
                )
            )
            parts.append(Transit(width + layers * growth))
            width = (width + layers * growth) // 2
        self.blocks = nn.Sequential(*parts)
        self.last = NormReLU(width)
        self.out_channels = width
        begin_kaiming(self)

    def forward(self, features: Tensor) -> Tensor:
        return self.last(self.blocks(self.first(self.front(features))))
