"""A ResNet whose blocks normalise before they convolve: He et al., "Identity Mappings in Deep Residual
Networks", ECCV 2016 (arXiv:1603.05027), Figure 4 (e), as SpeechBrain has it (Ravanelli et al., 2021; its
lobes/models/ResNet.py).

There a block has a third convolution, of one point, nothing stands behind the sum, and blocks of the first
two stages end in SE, as wide inside as outside. A shortcut that changes the size sees the image before its
normalisation. Images are [batch, channels, bins, time] and frames as those of ``resnet.py``.
"""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional as F

from .architectures import PreActResNetOptions
from .layers import as_frames, as_image
from .resnet import SqueezeExcitation, shortcut

GATED = 2  # the first stages, those with SE


class PreActBlock(nn.Module):
    """Normalisation, ReLU and convolution, three times: 3x3, 3x3 and 1x1."""

    def __init__(self, inputs: int, width: int, stride: int, gated: bool) -> None:
        super().__init__()
        self.bn1 = nn.BatchNorm2d(inputs)
        self.conv1 = nn.Conv2d(inputs, width, 3, stride, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, padding=1, bias=False)
        self.bn3 = nn.BatchNorm2d(width)
        self.conv3 = nn.Conv2d(width, width, 1, bias=False)
        self.attention = SqueezeExcitation(width, reduction=1) if gated else nn.Identity()
        self.shortcut = shortcut(inputs, width, stride)

    def forward(self, image: Tensor) -> Tensor:
        out = self.conv1(F.relu(self.bn1(image), inplace=True))
        out = self.conv2(F.relu(self.bn2(out), inplace=True))
        out = self.conv3(F.relu(self.bn3(out), inplace=True))
        return self.attention(out) + self.shortcut(image)


class PreActResNetEncoder(nn.Module):
    """Features [batch, time, feature] -> frames [batch, ceil(time / 8), out_channels].

    A frame holds all bins of channel 0, then all of channel 1 and so on. ``min_frames`` gives the pooling two
    frames: a deviation needs both.
    """

    trim, stride = 0, 8
    min_frames = stride + 1

    def __init__(self, options: PreActResNetOptions, feature_dim: int) -> None:
        super().__init__()
        inputs = options.channels[0]
        self.conv1 = nn.Conv2d(1, inputs, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(inputs)
        layers = []
        for number, (width, stride) in enumerate(zip(options.channels, (1, 2, 2, 2), strict=True)):
            layer = []
            for step in [stride] + [1] * (options.blocks[number] - 1):
                layer.append(PreActBlock(inputs, width, step, number < GATED))
                inputs = width
            layers.append(nn.Sequential(*layer))
        self.layer1, self.layer2, self.layer3, self.layer4 = layers
        self.out_channels = inputs * -(-feature_dim // self.stride)

    def forward(self, features: Tensor) -> Tensor:
        image = F.relu(self.bn1(self.conv1(as_image(features))), inplace=True)
        return as_frames(self.layer4(self.layer3(self.layer2(self.layer1(image)))))
