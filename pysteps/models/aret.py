"""RET and ARET: Zhang et al., "ARET: Aggregated residual extended time-delay neural networks for speaker
verification", Interspeech 2020.

An extended TDNN in which a residual block follows each layer that sees several frames. In RET a block is
two convolutions of 3 frames; in ARET frames are split, transformed and merged along many narrow paths, as in
ResNeXt (Xie et al., 2017). Sizes are those of github.com/Wenhao-Yang/SpeakerVerifiaction-pytorch (ARET.py, of
17 layers). The layers are "valid", so 6 frames are lost on either side; the blocks keep the length with zeros
at the ends.
"""

from __future__ import annotations

from torch import Tensor, nn

from .architectures import ResidualTdnnOptions
from .layers import FrameConv, FrameLayer, FrameNorm


class ResidualBlock(nn.Sequential):
    """RET: two layers of 3 frames and a skip around them, frames [batch, time, width] to the same."""

    def __init__(self, width: int) -> None:
        super().__init__(
            FrameLayer(width, width, kernel=3, padding=1), FrameLayer(width, width, kernel=3, padding=1)
        )

    def forward(self, frames: Tensor) -> Tensor:
        return frames + super().forward(frames)


class AggregatedBlock(nn.Sequential):
    """ARET: a layer of 3 frames in ``groups`` paths, twice as wide, between two of one frame; a skip."""

    def __init__(self, width: int, groups: int) -> None:
        super().__init__(
            FrameLayer(width, width),  # split
            FrameConv(width, 2 * width, 3, padding=1, groups=groups),  # transform
            nn.ReLU(inplace=True),
            FrameNorm(2 * width),
            FrameLayer(2 * width, width),  # merge
        )

    def forward(self, frames: Tensor) -> Tensor:
        return frames + super().forward(frames)


class ResidualTdnnEncoder(nn.Module):
    """Frames [batch, time, feature] -> [batch, time - 12, frame_channels]."""

    trim, stride = 6, 1
    min_frames = 13

    def __init__(self, options: ResidualTdnnOptions, feature_dim: int) -> None:
        super().__init__()
        width = options.channels
        self.out_channels = options.frame_channels

        def block() -> nn.Module:
            return AggregatedBlock(width, options.groups) if options.aggregated else ResidualBlock(width)

        self.layers = nn.Sequential(
            #                                                    frames lost in all
            FrameLayer(feature_dim, width, kernel=5),  #          4
            block(),
            FrameLayer(width, width, kernel=3),  #                6
            block(),
            FrameLayer(width, width, kernel=3),  #                8
            block(),
            FrameLayer(width, width, kernel=5),  #               12
            block(),
            FrameLayer(width, width),
            FrameLayer(width, options.frame_channels),
        )

    def forward(self, features: Tensor) -> Tensor:
        return self.layers(features)
