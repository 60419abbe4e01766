"""Layers that several encoders are made of. Frames are [batch, time, channels], channels innermost.

Channels innermost is a matter of speed: a convolution of one tap is then one matrix product over all
frames of the batch, and batch normalisation walks through memory in order. On a CPU this is twice as
fast as torch's own Conv1d layout.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

# From so many frames on, torch 2.13 on a CPU may never come back from a depthwise convolution in bf16 with
# channels innermost: with up to 16 channels nearly always, with more where its work (chunks times every 16
# channels) does not divide evenly by the threads. They go torch's own way.
LONG = 15


class FrameConv(nn.Conv1d):
    """Convolution over time of frames [batch, time, in] -> [batch, (time - lost) / stride, out].

    ``padding`` zeros stand at both ends of the utterance; with 0 (a "valid" convolution)
    ``dilation * (kernel - 1)`` frames are lost. Parameters are those of ``nn.Conv1d``.
    """

    def __init__(
        self,
        inputs: int,
        outputs: int,
        kernel: int = 1,
        dilation: int = 1,
        padding: int = 0,
        *,
        stride: int = 1,
        groups: int = 1,
        bias: bool = True,
    ) -> None:
        super().__init__(inputs, outputs, kernel, stride, padding, dilation, groups, bias)

    def forward(self, frames: Tensor) -> Tensor:
        if self.kernel_size == (1,) and self.padding == (0,) and self.stride == (1,) and self.groups == 1:
            return F.linear(frames, self.weight.squeeze(-1), self.bias)
        bf16 = frames.is_cpu and (frames.dtype == torch.bfloat16 or torch.is_autocast_enabled("cpu"))
        if bf16 and 1 < self.groups == self.in_channels and self.kernel_size[0] >= LONG:
            return super().forward(frames.mT).mT
        # A convolution over an image of height 1 whose memory order is channels-last: no copy.
        image = frames.transpose(1, 2).unsqueeze(2)
        kernel = self.weight.unsqueeze(2).contiguous(memory_format=torch.channels_last)
        padding, dilation = (0, int(self.padding[0])), (1, self.dilation[0])
        stride = (1, self.stride[0])
        image = F.conv2d(image, kernel, self.bias, stride, padding, dilation, self.groups)
        return image.squeeze(2).transpose(1, 2)


class FrameNorm(nn.BatchNorm1d):
    """Batch normalisation of frames [batch, time, channels]; statistics over batch and time."""

    def forward(self, frames: Tensor) -> Tensor:
        return super().forward(frames.flatten(0, 1)).view_as(frames)


class FrameLayer(nn.Sequential):
    """Convolution, ReLU, batch normalisation: the unit of the TDNNs, in this order."""

    def __init__(
        self, inputs: int, outputs: int, kernel: int = 1, dilation: int = 1, padding: int = 0
    ) -> None:
        super().__init__(
            FrameConv(inputs, outputs, kernel, dilation, padding), nn.ReLU(inplace=True), FrameNorm(outputs)
        )


class DenseBlock(nn.ModuleList):
    """Layers that see the block's input and the outputs of all layers before them, side by side."""

    def forward(self, frames: Tensor) -> Tensor:
        for layer in self:
            frames = torch.cat((frames, layer(frames)), dim=-1)
        return frames


def begin_kaiming(network: nn.Module) -> None:
    """Draw the weights of its layers over frames anew, as He et al. (ICCV 2015) do, with biases of 0."""
    for module in network.modules():
        if isinstance(module, (nn.Linear, FrameConv)):
            nn.init.kaiming_normal_(module.weight)
            if module.bias is not None:
                nn.init.zeros_(module.bias)


class PointConv(nn.Conv2d):
    """A strided 1x1 convolution of images, without bias: points are picked first.

    torch 2.13 on a CPU writes beyond its memory in the backward of a strided 1x1 convolution with channels
    innermost and fewer than 16 of them. A mean over one point picks it, in any number of rows (torch.export
    takes a slice with a step for a condition on it).
    """

    def __init__(self, inputs: int, outputs: int, stride: int | tuple[int, int] = 1) -> None:
        super().__init__(inputs, outputs, 1, bias=False)
        self.steps = (stride, stride) if isinstance(stride, int) else stride

    def forward(self, image: Tensor) -> Tensor:
        if self.steps != (1, 1):
            image = F.avg_pool2d(image, 1, self.steps)
        return super().forward(image)


def as_image(features: Tensor) -> Tensor:
    """Features [batch, time, feature] -> an image [batch, 1, feature, time], channels innermost in memory."""
    return features.mT.unsqueeze(1).contiguous(memory_format=torch.channels_last)


def as_frames(image: Tensor) -> Tensor:
    """An image [batch, channels, bins, time] -> frames [batch, time, channels * bins].

    A frame holds all bins of channel 0, then all of channel 1 and so on: the order of WeSpeaker's poolings.
    """
    return image.permute(0, 3, 1, 2).flatten(2).contiguous()
