"""ECAPA-TDNN: Desplanques, Thienpondt and Demuynck, Interspeech 2020 (arXiv:2005.07143), Figure 2.

The pooling of the same paper is in ``pooling.py``, the last two boxes of the figure in ``model.py``.
Convolutions keep the length, with zeros before the first and after the last frame of the utterance
(which is alone on its time axis). A block sees the one before it, as in SpeechBrain and WeSpeaker; section
3.3 of the paper adds up the outputs of all before it.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from .architectures import EcapaOptions
from .layers import FrameConv, FrameLayer


class Res2Layer(nn.Module):
    """Res2Net's dilated convolution (Gao et al., 2019, eq. 1), the middle of an SE-Res2Block.

    Frames are cut into ``scale`` groups of channels. The first goes through as it is; every other one
    is convolved after the result of the group before it is added, so the last sees the widest context.
    """

    def __init__(self, channels: int, kernel: int, dilation: int, scale: int) -> None:
        super().__init__()
        width = channels // scale
        padding = dilation * (kernel - 1) // 2
        self.width = width
        self.groups = nn.ModuleList(
            FrameLayer(width, width, kernel, dilation, padding) for _ in range(scale - 1)
        )

    def forward(self, frames: Tensor) -> Tensor:
        first, second, *rest = frames.split(self.width, dim=-1)
        outputs = [first, self.groups[0](second)]
        for group, part in zip(self.groups[1:], rest, strict=True):  # type: ignore[arg-type]
            outputs.append(group(part + outputs[-1]))
        return torch.cat(outputs, dim=-1)


class SqueezeExcitation(nn.Module):
    """Channels scaled by what the whole utterance says (section 3.2)."""

    def __init__(self, channels: int, bottleneck: int) -> None:
        super().__init__()
        self.squeeze = nn.Linear(channels, bottleneck)
        self.excite = nn.Linear(bottleneck, channels)

    def forward(self, frames: Tensor) -> Tensor:
        mean = frames.mean(dim=1)  # eq. 4
        gate = torch.sigmoid(self.excite(torch.relu(self.squeeze(mean))))  # eq. 5
        return frames * gate.unsqueeze(1)


class SERes2Block(nn.Sequential):
    """Figure 1: 1x1 convolution, Res2 dilated convolution, 1x1 convolution, SE; a skip around all."""

    def __init__(self, options: EcapaOptions, kernel: int, dilation: int) -> None:
        width = options.channels
        super().__init__(
            FrameLayer(width, width),
            Res2Layer(width, kernel, dilation, options.scale),
            FrameLayer(width, width),
            SqueezeExcitation(width, options.se_channels),
        )

    def forward(self, frames: Tensor) -> Tensor:
        return frames + super().forward(frames)


class EcapaEncoder(nn.Module):
    """Frames [batch, time, feature] -> [batch, time, frame_channels]; Figure 2 up to the pooling.

    ``min_frames``: the widest kernel, 3 taps 4 apart, covers 9 frames; below it sees zeros alone at
    one side or both of every frame.
    """

    trim, stride = 0, 1
    min_frames = 9

    def __init__(self, options: EcapaOptions, feature_dim: int) -> None:
        super().__init__()
        width = options.channels
        self.out_channels = options.frame_channels
        self.first = FrameLayer(feature_dim, width, kernel=5, padding=2)
        self.blocks = nn.ModuleList(SERes2Block(options, kernel=3, dilation=d) for d in (2, 3, 4))
        # The figure's one convolution without batch normalisation.
        self.aggregate = nn.Sequential(FrameConv(3 * width, options.frame_channels), nn.ReLU())

    def forward(self, features: Tensor) -> Tensor:
        frames = self.first(features)
        outputs = []
        for block in self.blocks:
            frames = block(frames)
            outputs.append(frames)
        return self.aggregate(torch.cat(outputs, dim=-1))  # multi-layer feature aggregation, section 3.3
