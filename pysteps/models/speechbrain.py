"""SpeechBrain's ECAPA-TDNN and x-vector (and 3D-Speaker's ECAPA-TDNN, which is the same), for their weights.

They differ from the papers' and WeSpeaker's in small things that weights do not forgive: the ends of an
utterance are mirrored instead of filled with zeros, the ECAPA's aggregation and attention are normalised,
and the x-vector's activations are leaky. Ravanelli et al., "SpeechBrain: A General-Purpose Speech Toolkit",
2021.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from .architectures import AttentiveOptions, EcapaOptions, TdnnOptions
from .ecapa import EcapaEncoder
from .layers import FrameConv, FrameNorm
from .pooling import given_scores, mean_and_deviation


class MirrorConv(FrameConv):
    """A convolution that keeps the length by mirroring the frames at both ends of the utterance.

    Cut out and turned round: torch's own reflection has no deterministic way back on a GPU, and training asks
    for one.
    """

    def __init__(self, inputs: int, outputs: int, kernel: int, dilation: int) -> None:
        super().__init__(inputs, outputs, kernel, dilation)
        self.ends = dilation * (kernel - 1) // 2

    def forward(self, frames: Tensor) -> Tensor:
        rows = frames.mT
        before, after = rows[..., 1 : self.ends + 1], rows[..., -self.ends - 1 : -1]
        return super().forward(torch.cat((before.flip(2), rows, after.flip(2)), dim=2).mT)


class MirrorEcapaEncoder(EcapaEncoder):
    """Frames [batch, time, feature] -> [batch, time, frame_channels]."""

    def __init__(self, options: EcapaOptions, feature_dim: int) -> None:
        super().__init__(options, feature_dim)
        for module in list(self.modules()):
            for name, conv in list(module.named_children()):
                if isinstance(conv, FrameConv) and conv.kernel_size[0] > 1:
                    size = conv.kernel_size[0], conv.dilation[0]
                    setattr(module, name, MirrorConv(conv.in_channels, conv.out_channels, *size))
        self.aggregate.append(FrameNorm(options.frame_channels))


class NormedAttentivePooling(nn.Module):
    """Attentive statistics with context whose hidden layer has ReLU and a norm before its tanh."""

    def __init__(self, options: AttentiveOptions, channels: int) -> None:
        super().__init__()
        self.out_dim = 2 * channels
        self.hidden = FrameConv(3 * channels, options.attention_channels)
        self.norm = FrameNorm(options.attention_channels)
        self.score = FrameConv(options.attention_channels, channels)

    def forward(self, frames: Tensor, weights: Tensor | None = None) -> Tensor:
        """``frames`` [batch, time, channels], ``weights`` [batch, time] (>= 0, not all 0) or None."""
        given = given_scores(frames, weights)
        context = torch.cat(mean_and_deviation(frames, given), dim=-1).to(frames.dtype)
        seen = torch.cat((frames, context.unsqueeze(1).expand(-1, frames.shape[1], -1)), dim=-1)
        scores = self.score(torch.tanh(self.norm(F.relu(self.hidden(seen)))))
        return torch.cat(mean_and_deviation(frames, scores.float() + given), dim=-1)


class MirrorTdnnEncoder(nn.Module):
    """The x-vector's TDNN: frames [batch, time, feature] -> [batch, time, frame_channels]."""

    trim, stride = 0, 1
    min_frames = 7  # the widest kernel, 3 taps 3 apart

    def __init__(self, options: TdnnOptions, feature_dim: int) -> None:
        super().__init__()
        width = options.channels
        self.out_channels = options.frame_channels
        inputs = (feature_dim, width, width, width, width)
        outputs = (width, width, width, width, options.frame_channels)
        shapes = zip(inputs, outputs, (5, 3, 3, 1, 1), (1, 2, 3, 1, 1), strict=True)
        self.layers = nn.Sequential(
            *(
                nn.Sequential(MirrorConv(*shape), nn.LeakyReLU(inplace=True), FrameNorm(shape[1]))
                for shape in shapes
            )
        )

    def forward(self, features: Tensor) -> Tensor:
        return self.layers(features)
