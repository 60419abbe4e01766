"""The factorised TDNN (F-TDNN): Povey et al., "Semi-orthogonal low-rank matrix factorization for deep neural
networks", Interspeech 2018; as a speaker network in Villalba et al., "State-of-the-art speaker recognition
with neural network embeddings in NIST SRE18 and Speakers in the Wild evaluations", Computer Speech and
Language, 2020.

The matrix of a layer is a product of three, each over two frames (the first paper's "3-stage splicing"), of
which the first two are kept nearly semi-orthogonal while the network is trained. Some layers see the outputs
of earlier layers too (its skip connections). Sizes, dilations and the third factor, which the second paper's
layers do not have, are those of github.com/cvqluu/Factorized-TDNN. Convolutions keep the length with zeros at
the utterance's own ends.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from .architectures import FactorisedTdnnOptions
from .layers import FrameConv, FrameLayer, FrameNorm

# (dilation, zeros at either end) of the three factors of a layer. What one of them sees is not even about a
# frame, what all three see is.
ONE_FRAME: tuple[tuple[int, int], ...] = ()
SEVEN_FRAMES = ((2, 1), (2, 1), (2, 1))
NINE_FRAMES = ((3, 2), (3, 1), (2, 1))


class SemiOrthogonalConv(FrameConv):
    """A convolution without bias whose matrix M [out, in * kernel] is drawn to M M' = a^2 I, a being free.

    If it is higher than wide, its transpose is.
    """

    def reset_parameters(self) -> None:
        with torch.no_grad():
            nn.init.orthogonal_(self.weight.view(len(self.weight), -1))

    @torch.no_grad()
    def constrain(self) -> None:
        """One step towards semi-orthogonality; training takes one after every few of its own.

        The "floating case" of Povey et al., slower far from the goal as in Kaldi, where a step could diverge.
        """
        matrix = self.weight.view(len(self.weight), -1)
        matrix = matrix.T if matrix.shape[0] > matrix.shape[1] else matrix
        product = matrix @ matrix.T  # P
        trace, square = product.trace(), product.square().sum()  # tr(P), tr(P P')
        scale = square / trace  # a^2
        ratio = square * len(product) / trace.square()  # 1 when all singular values are equal
        speed = 0.125 * torch.where(ratio > 1.02, 0.5, 1.0) * torch.where(ratio > 1.1, 0.5, 1.0)
        error = product - scale * torch.eye(len(product), dtype=product.dtype, device=product.device)
        matrix.sub_(4 * speed / scale * (error @ matrix))


class FactorisedLayer(nn.Sequential):
    """Three factors, ReLU, batch normalisation: frames [batch, time, inputs] -> [batch, time, outputs]."""

    def __init__(
        self, inputs: int, bottleneck: int, outputs: int, factors: tuple[tuple[int, int], ...]
    ) -> None:
        kernel = 2 if factors else 1
        (d1, p1), (d2, p2), (d3, p3) = factors or ((1, 0),) * 3
        super().__init__(
            SemiOrthogonalConv(inputs, bottleneck, kernel, d1, p1, bias=False),
            SemiOrthogonalConv(bottleneck, bottleneck, kernel, d2, p2, bias=False),
            FrameConv(bottleneck, outputs, kernel, d3, p3, bias=False),
            nn.ReLU(inplace=True),
            FrameNorm(outputs),
        )


class FactorisedTdnnEncoder(nn.Module):
    """Frames [batch, time, feature] -> [batch, time, frame_channels].

    ``min_frames``: the widest layer covers 9 frames.
    """

    trim, stride = 0, 1
    min_frames = 9

    def __init__(self, options: FactorisedTdnnOptions, feature_dim: int) -> None:
        super().__init__()
        width, inner = options.channels, options.bottleneck
        self.out_channels = options.frame_channels
        self.layer1 = FrameLayer(feature_dim, options.first_channels, kernel=5, padding=2)
        #                                                                            also sees   context
        self.layer2 = FactorisedLayer(options.first_channels, inner, width, SEVEN_FRAMES)  #          11
        self.layer3 = FactorisedLayer(width, inner, width, ONE_FRAME)  #                              11
        self.layer4 = FactorisedLayer(width, inner, width, NINE_FRAMES)  #                            19
        self.layer5 = FactorisedLayer(2 * width, inner, width, ONE_FRAME)  #         3                19
        self.layer6 = FactorisedLayer(width, inner, width, NINE_FRAMES)  #                            27
        self.layer7 = FactorisedLayer(3 * width, inner, width, NINE_FRAMES)  #       4, 2             35
        self.layer8 = FactorisedLayer(width, inner, width, NINE_FRAMES)  #                            43
        self.layer9 = FactorisedLayer(3 * width, inner, width, ONE_FRAME)  #         6, 4             43
        self.layer10 = FrameLayer(width, options.frame_channels)  #                                   43

    def forward(self, features: Tensor) -> Tensor:
        second = self.layer2(self.layer1(features))
        third = self.layer3(second)
        fourth = self.layer4(third)
        sixth = self.layer6(self.layer5(torch.cat((fourth, third), dim=-1)))
        eighth = self.layer8(self.layer7(torch.cat((sixth, fourth, second), dim=-1)))
        return self.layer10(self.layer9(torch.cat((eighth, sixth, fourth), dim=-1)))
