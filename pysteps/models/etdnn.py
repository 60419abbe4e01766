"""The extended TDNN (E-TDNN): Snyder et al., "Speaker recognition for multi-speaker conversations using
x-vectors", ICASSP 2019.

The x-vector TDNN with a fourth layer over several frames, and a layer of one frame after each of the four.
Convolutions are "valid" as in Kaldi: 11 frames are lost on either side.
"""

from __future__ import annotations

from torch import Tensor, nn

from .architectures import ExtendedTdnnOptions
from .layers import FrameLayer


class ExtendedTdnnEncoder(nn.Module):
    """Frames [batch, time, feature] -> [batch, time - 22, frame_channels]."""

    trim, stride = 11, 1
    min_frames = 23

    def __init__(self, options: ExtendedTdnnOptions, feature_dim: int) -> None:
        super().__init__()
        width = options.channels
        self.out_channels = options.frame_channels
        self.layers = nn.Sequential(
            #                                                          layer context     total context
            FrameLayer(feature_dim, width, kernel=5),  #               [t-2, t+2]         5
            FrameLayer(width, width),  #                               {t}                5
            FrameLayer(width, width, kernel=3, dilation=2),  #         {t-2, t, t+2}      9
            FrameLayer(width, width),  #                               {t}                9
            FrameLayer(width, width, kernel=3, dilation=3),  #         {t-3, t, t+3}     15
            FrameLayer(width, width),  #                               {t}               15
            FrameLayer(width, width, kernel=3, dilation=4),  #         {t-4, t, t+4}     23
            FrameLayer(width, width),  #                               {t}               23
            FrameLayer(width, width),  #                               {t}               23
            FrameLayer(width, options.frame_channels),  #              {t}               23
        )

    def forward(self, features: Tensor) -> Tensor:
        return self.layers(features)
