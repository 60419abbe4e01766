"""Layers that both encoders are made of. Frames are [batch, time, channels], channels innermost.

Channels innermost is a matter of speed: a convolution of one tap is then one matrix product over all
frames of the batch, and batch normalisation walks through memory in order. On a CPU this is twice as
fast as torch's own Conv1d layout.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class FrameConv(nn.Conv1d):
    """Convolution over time of frames [batch, time, in] -> [batch, time - lost, out].

    ``padding`` zeros stand at both ends of the utterance; with 0 (a "valid" convolution)
    ``dilation * (kernel - 1)`` frames are lost. Parameters are those of ``nn.Conv1d``.
    """

    def __init__(
        self, inputs: int, outputs: int, kernel: int = 1, dilation: int = 1, padding: int = 0
    ) -> None:
        super().__init__(inputs, outputs, kernel, dilation=dilation, padding=padding)

    def forward(self, frames: Tensor) -> Tensor:
        if self.kernel_size == (1,) and self.padding == (0,):
            return F.linear(frames, self.weight.squeeze(-1), self.bias)
        # A convolution over an image of height 1 whose memory order is channels-last: no copy.
        image = frames.transpose(1, 2).unsqueeze(2)
        kernel = self.weight.unsqueeze(2).contiguous(memory_format=torch.channels_last)
        padding, dilation = (0, int(self.padding[0])), (1, self.dilation[0])
        image = F.conv2d(image, kernel, self.bias, padding=padding, dilation=dilation)
        return image.squeeze(2).transpose(1, 2)


class FrameNorm(nn.BatchNorm1d):
    """Batch normalisation of frames [batch, time, channels]; statistics over batch and time."""

    def forward(self, frames: Tensor) -> Tensor:
        return super().forward(frames.flatten(0, 1)).view_as(frames)


class FrameLayer(nn.Sequential):
    """Convolution, ReLU, batch normalisation: the unit of both networks, in this order."""

    def __init__(
        self, inputs: int, outputs: int, kernel: int = 1, dilation: int = 1, padding: int = 0
    ) -> None:
        super().__init__(
            FrameConv(inputs, outputs, kernel, dilation, padding), nn.ReLU(inplace=True), FrameNorm(outputs)
        )
