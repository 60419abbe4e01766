"""ResCNN: Li et al., "Deep Speaker: an End-to-End Neural Speaker Embedding System", 2017 (arXiv:1705.02304),
Figure 2 and Table 1.

Four times a 5x5 convolution that halves bins and time, and three residual blocks. The paper trains it on 64
mel bins and pools by the mean over time; the affine layer after that is the projector. By its table its
normalisations have a scale for every channel and bin (4096 parameters each); here they have one a channel, as
in the implementations.
"""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional as F

from .architectures import ResCnnOptions
from .layers import as_frames, as_image


def clipped(image: Tensor) -> Tensor:
    """min(max(x, 0), 20), eq. 2."""
    return F.hardtanh(image, 0.0, 20.0, inplace=True)


class Conv(nn.Sequential):
    """Convolution without bias, batch normalisation; 3x3 keeps the size, ``stride`` 2 halves it."""

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int = 1) -> None:
        super().__init__(
            nn.Conv2d(inputs, outputs, kernel, stride, padding=kernel // 2, bias=False),
            nn.BatchNorm2d(outputs),
        )


class ResBlock(nn.Module):
    """Two 3x3 convolutions with a skip (Figure 2, "res")."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first = Conv(channels, channels, 3)
        self.second = Conv(channels, channels, 3)

    def forward(self, image: Tensor) -> Tensor:
        return clipped(self.second(clipped(self.first(image))) + image)


class Stage(nn.Module):
    """A "conv-s" and its "res" of Table 1: half the size, then residual blocks."""

    def __init__(self, inputs: int, outputs: int, blocks: int) -> None:
        super().__init__()
        self.down = Conv(inputs, outputs, 5, stride=2)
        self.blocks = nn.Sequential(*(ResBlock(outputs) for _ in range(blocks)))

    def forward(self, image: Tensor) -> Tensor:
        return self.blocks(clipped(self.down(image)))


class ResCnnEncoder(nn.Module):
    """Features [batch, time, feature] -> frames [batch, ceil(time / 16), 8 * channels * ceil(feature / 16)].

    A frame holds all bins of channel 0, then all of channel 1 and so on. ``min_frames`` gives the pooling two
    frames.
    """

    trim, stride = 0, 16
    min_frames = 17

    def __init__(self, options: ResCnnOptions, feature_dim: int) -> None:
        super().__init__()
        widths = [options.channels << number for number in range(4)]
        self.stages = nn.Sequential(
            *(
                Stage(inputs, outputs, options.blocks)
                for inputs, outputs in zip([1, *widths], widths, strict=False)
            )
        )
        self.out_channels = widths[-1] * -(-feature_dim // 16)

    def forward(self, features: Tensor) -> Tensor:
        return as_frames(self.stages(as_image(features)))
