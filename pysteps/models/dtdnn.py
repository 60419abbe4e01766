"""D-TDNN and D-TDNN-SS: Yu and Li, "Densely connected time delay neural network for speaker verification",
Interspeech 2020; sizes of the authors' github.com/yuyq96/D-TDNN.

Layers see the outputs of all layers before them and add few channels. With statistics-and-selection (SS) a
layer has two dilations and weighs them, channel by channel, by what the whole utterance says. Convolutions
keep the length with zeros at the utterance's own ends.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from .architectures import DenseTdnnOptions
from .layers import DenseBlock, FrameConv, FrameNorm, begin_kaiming
from .pooling import VARIANCE_FLOOR

DILATIONS = (1, 3)  # of the two blocks; of the two branches of every layer with selection
LEAST_DEVIATION = 1e-2  # that skewness and kurtosis divide by


class FramePReLU(nn.PReLU):
    """PReLU of frames [batch, time, channels] with a slope for each channel."""

    def forward(self, frames: Tensor) -> Tensor:
        return super().forward(frames.flatten(0, 1)).view_as(frames)


class NormActivation(nn.Sequential):
    """Batch normalisation, then ReLU or PReLU: what stands in front of every layer."""

    def __init__(self, channels: int, options: DenseTdnnOptions) -> None:
        activation = FramePReLU(channels) if options.selection else nn.ReLU(inplace=True)
        super().__init__(FrameNorm(channels), activation)


def high_order_statistics(frames: Tensor) -> Tensor:
    """Mean, sample deviation, skewness and kurtosis over time, [batch, 4 * channels] in 32 bits."""
    frames = frames.float()
    time = frames.shape[1]
    mean = frames.mean(dim=1, keepdim=True)
    centred = frames - mean
    deviation = (centred.square().sum(1, keepdim=True) / (time - 1)).clamp(min=VARIANCE_FLOOR).sqrt()
    normed = centred / deviation.clamp(min=LEAST_DEVIATION)
    parts = (mean, deviation, normed.pow(3).mean(1, keepdim=True), normed.pow(4).mean(1, keepdim=True))
    return torch.cat(parts, dim=-1).squeeze(1)


class Selection(nn.Module):
    """Statistics-and-selection: the branches' sum under weights, of each channel over the branches, that come
    from the statistics of their plain sum."""

    def __init__(self, channels: int, branches: int, reduction: int) -> None:
        super().__init__()
        self.squeeze = nn.Linear(4 * channels, channels // reduction)
        self.scores = nn.ModuleList(nn.Linear(channels // reduction, channels) for _ in range(branches))

    def forward(self, branches: list[Tensor]) -> Tensor:
        """Branches of [batch, time, channels] -> [batch, time, channels]."""
        inner = self.squeeze(high_order_statistics(torch.stack(branches).sum(dim=0)))
        weights = torch.stack([score(inner) for score in self.scores]).softmax(dim=0)
        return (torch.stack(branches) * weights.unsqueeze(2)).sum(dim=0)


class DenseLayer(nn.Module):
    """Bottleneck, then a dilated convolution of 3 frames or a selection of two: adds ``growth`` channels."""

    def __init__(self, inputs: int, dilations: tuple[int, ...], options: DenseTdnnOptions) -> None:
        super().__init__()
        inner, growth = options.bottleneck * options.growth, options.growth
        self.bottleneck = nn.Sequential(
            NormActivation(inputs, options),
            nn.Linear(inputs, inner, bias=False),
            NormActivation(inner, options),
        )
        self.branches = nn.ModuleList(
            FrameConv(inner, growth, 3, dilation, dilation, bias=False) for dilation in dilations
        )
        self.select = Selection(growth, len(dilations), options.reduction) if options.selection else None

    def forward(self, frames: Tensor) -> Tensor:
        inner = self.bottleneck(frames)
        branches = [branch(inner) for branch in self.branches]
        return branches[0] if self.select is None else self.select(branches)


class DenseTdnnEncoder(nn.Module):
    """Frames [batch, time, feature] -> [batch, time, out_channels].

    ``min_frames``: the widest kernel, 3 taps 3 apart, covers 7 frames.
    """

    trim, stride = 0, 1
    min_frames = 7

    def __init__(self, options: DenseTdnnOptions, feature_dim: int) -> None:
        super().__init__()
        width, growth = options.channels, options.growth
        parts: list[nn.Module] = [
            FrameConv(feature_dim, width, 5, padding=2, bias=False),
            NormActivation(width, options),
        ]
        for layers, dilation in zip(options.layers, DILATIONS, strict=True):
            dilations = DILATIONS if options.selection else (dilation,)
            parts.append(
                DenseBlock(DenseLayer(width + i * growth, dilations, options) for i in range(layers))
            )
            width += layers * growth
            # Transit layer: half of the channels go on.
            parts += [NormActivation(width, options), nn.Linear(width, width // 2, bias=False)]
            width //= 2
        self.layers = nn.Sequential(*parts)
        self.out_channels = width
        begin_kaiming(self)

    def forward(self, features: Tensor) -> Tensor:
        return self.layers(features)
