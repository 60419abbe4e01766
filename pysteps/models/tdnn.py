"""The x-vector TDNN: Snyder et al., "X-vectors: robust DNN embeddings", ICASSP 2018, Table 1.

Sizes are those of Kaldi's egs/voxceleb/v2/run_xvector.sh. Convolutions are "valid" as there: no frame
is made up at the ends, so 7 frames are lost on either side.
"""

from __future__ import annotations

from torch import Tensor, nn

from .architectures import TdnnOptions
from .layers import FrameLayer


class TdnnEncoder(nn.Module):
    """Frames [batch, time, feature] -> [batch, time - 14, frame_channels].

    ``trim`` frames are lost at each end, and ``min_frames`` is the shortest input (one frame out).
    """

    trim, stride = 7, 1
    min_frames = 15

    def __init__(self, options: TdnnOptions, feature_dim: int) -> None:
        super().__init__()
        width = options.channels
        self.out_channels = options.frame_channels
        self.layers = nn.Sequential(
            #                                                          layer context     total context
            FrameLayer(feature_dim, width, kernel=5),  #               [t-2, t+2]         5
            FrameLayer(width, width, kernel=3, dilation=2),  #         {t-2, t, t+2}      9
            FrameLayer(width, width, kernel=3, dilation=3),  #         {t-3, t, t+3}     15
            FrameLayer(width, width),  #                               {t}               15
            FrameLayer(width, options.frame_channels),  #              {t}               15
        )

    def forward(self, features: Tensor) -> Tensor:
        return self.layers(features)
