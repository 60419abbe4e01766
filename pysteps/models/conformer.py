"""Conformer and MFA-Conformer, encoders of convolution and self-attention.

Gulati et al., "Conformer: Convolution-augmented Transformer for Speech Recognition", Interspeech 2020
(arXiv:2005.08100), and Zhang et al., "MFA-Conformer: Multi-scale Feature Aggregation Conformer for Automatic
Speaker Verification", Interspeech 2022 (arXiv:2203.15249), Figure 1: there the frames of all blocks go to the
pooling, side by side (``aggregate``). Sizes are those of its authors' program. A bias that has no effect,
before a batch normalisation or on the keys, is left out.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..formats.errors import InputError
from .architectures import ConformerOptions
from .layers import FrameConv, FrameNorm, as_frames, as_image

QUERIES = 512  # that attend at once without a gradient: an hour of frames has more pairs than memory


def sinusoids(positions: Tensor, channels: int) -> Tensor:
    """Vaswani et al., 2017, section 3.5: sines and cosines [time, channels] of ``positions`` [time]."""
    rates = torch.exp(torch.arange(0, channels, 2, device=positions.device) * (-math.log(1e4) / channels))
    angles = positions.float().unsqueeze(1) * rates
    return torch.stack((angles.sin(), angles.cos()), dim=-1).flatten(1)


def shifted(scores: Tensor, keys: int) -> Tensor:
    """Scores [..., n, n + keys - 1] of queries and distances -> [..., n, keys] of queries and keys.

    Distances fall from column to column. The last query reads from the first column on, each query before it
    from one column further on (Dai et al., Transformer-XL, appendix B). Picked by index: an exporter follows
    that for any number of frames.
    """
    count = scores.shape[-2]
    first = count - 1 - torch.arange(count, device=scores.device)
    index = first.unsqueeze(1) + torch.arange(keys, device=scores.device)
    return scores.gather(-1, index.expand(*scores.shape[:-1], keys))


class Subsampling(nn.Module):
    """3x3 convolutions of stride 2 without padding, one (1/2 of the rate) or two (1/4); a linear layer."""

    def __init__(self, options: ConformerOptions, feature_dim: int) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        inputs, bins = 1, feature_dim
        for _ in range(options.subsampling // 2):
            layers += [nn.Conv2d(inputs, options.channels, 3, stride=2), nn.ReLU(inplace=True)]
            inputs, bins = options.channels, (bins - 1) // 2
        if bins < 1:
            said = f"features of size {feature_dim} are too small for a subsampling of {options.subsampling}"
            raise InputError(said)
        self.convolutions = nn.Sequential(*layers)
        self.linear = nn.Linear(options.channels * bins, options.channels)

    def forward(self, features: Tensor) -> Tensor:
        return self.linear(as_frames(self.convolutions(as_image(features))))


class FeedForward(nn.Sequential):
    """Figure 4: normalisation, a wider layer, Swish, and back; a half of it is added."""

    def __init__(self, options: ConformerOptions) -> None:
        super().__init__(
            nn.LayerNorm(options.channels),
            nn.Linear(options.channels, options.hidden_channels),
            nn.SiLU(inplace=True),
            nn.Dropout(options.dropout),
            nn.Linear(options.hidden_channels, options.channels),
            nn.Dropout(options.dropout),
        )


class SelfAttention(nn.Module):
    """Figure 3: multi-head self-attention that knows how far apart two frames are.

    The score of query i and key j is ((q_i + u) k_j + (q_i + v) W r) / sqrt(size), where r encodes i - j
    (Transformer-XL, section 3.3), or with ``positions: key`` j alone, as in WeNet and the authors' program.
    """

    def __init__(self, options: ConformerOptions) -> None:
        super().__init__()
        width = options.channels
        self.heads, self.size = options.heads, width // options.heads
        self.relative = options.positions == "relative"
        self.norm = nn.LayerNorm(width)
        self.query = nn.Linear(width, width)
        self.key = nn.Linear(width, width, bias=False)
        self.value = nn.Linear(width, width)
        self.position = nn.Linear(width, width, bias=False)
        self.out = nn.Linear(width, width)
        self.content_bias = nn.Parameter(torch.empty(self.heads, 1, self.size))  # u
        self.position_bias = nn.Parameter(torch.empty(self.heads, 1, self.size))  # v
        for bias in (self.content_bias, self.position_bias):
            nn.init.xavier_uniform_(bias.data[:, 0])
        self.dropout = nn.Dropout(options.dropout)

    def _headed(self, frames: Tensor) -> Tensor:
        return frames.unflatten(-1, (self.heads, self.size)).transpose(-2, -3)  # [..., head, time, size]

    def _attended(self, query: Tensor, first: int, key: Tensor, value: Tensor) -> Tensor:
        """What the frames ``first`` and on, ``query`` [batch, head, n, size], take from all frames."""
        count, keys = query.shape[2], key.shape[2]
        if self.relative:
            places = first + count - 1 - torch.arange(count + keys - 1, device=query.device)
        else:
            places = torch.arange(keys, device=query.device)
        encoded = self.dropout(sinusoids(places, self.heads * self.size).to(query.dtype))
        scores = (query + self.position_bias) @ self._headed(self.position(encoded)).mT
        scores = (shifted(scores, keys) if self.relative else scores) / math.sqrt(self.size)
        return F.scaled_dot_product_attention(query + self.content_bias, key, value, scores.to(value.dtype))

    def forward(self, frames: Tensor) -> Tensor:
        frames = self.norm(frames)
        query, key, value = (self._headed(of(frames)) for of in (self.query, self.key, self.value))
        if torch.is_grad_enabled() or torch.compiler.is_compiling() or torch.compiler.is_exporting():
            seen = self._attended(query, 0, key, value)
        else:
            parts = enumerate(query.split(QUERIES, dim=2))
            seen = torch.cat([self._attended(part, n * QUERIES, key, value) for n, part in parts], dim=2)
        return self.dropout(self.out(seen.transpose(1, 2).flatten(2)))


class ConvolutionModule(nn.Sequential):
    """Figure 2: a gate, a convolution of each channel over time, batch normalisation and Swish."""

    def __init__(self, options: ConformerOptions) -> None:
        width, kernel = options.channels, options.kernel
        super().__init__(
            nn.LayerNorm(width),
            nn.Linear(width, 2 * width),
            nn.GLU(),
            FrameConv(width, width, kernel, padding=kernel // 2, groups=width, bias=False),
            FrameNorm(width),
            nn.SiLU(inplace=True),
            nn.Linear(width, width),
            nn.Dropout(options.dropout),
        )


class ConformerBlock(nn.Module):
    """Figure 1: attention and convolution between two halves of a feed-forward layer (equation 1)."""

    def __init__(self, options: ConformerOptions) -> None:
        super().__init__()
        self.first = FeedForward(options)
        self.attention = SelfAttention(options)
        self.convolution = ConvolutionModule(options)
        self.second = FeedForward(options)
        self.norm = nn.LayerNorm(options.channels)

    def forward(self, frames: Tensor) -> Tensor:
        frames = frames + 0.5 * self.first(frames)
        frames = frames + self.attention(frames)
        frames = frames + self.convolution(frames)
        return self.norm(frames + 0.5 * self.second(frames))


class ConformerEncoder(nn.Module):
    """Features [batch, time, feature] -> frames [batch, time', out_channels].

    time' is (time - 1) // 2, taken twice where the subsampling is 4. ``out_channels`` is ``channels``, with
    ``aggregate`` those of every block. ``min_frames`` gives the pooling two frames.
    """

    def __init__(self, options: ConformerOptions, feature_dim: int) -> None:
        super().__init__()
        # A frame sees 3 of the input (7 at a quarter) and stands for the 2 (4) in their middle.
        self.stride, self.trim = options.subsampling, options.subsampling // 2
        self.min_frames = 3 * options.subsampling - 1
        self.scale = math.sqrt(options.channels)
        self.aggregate = options.aggregate
        self.out_channels = options.channels * (options.blocks if options.aggregate else 1)
        self.subsampling = Subsampling(options, feature_dim)
        self.dropout = nn.Dropout(options.dropout)
        self.blocks = nn.ModuleList(ConformerBlock(options) for _ in range(options.blocks))
        self.norm = nn.LayerNorm(self.out_channels) if options.aggregate else nn.Identity()

    def forward(self, features: Tensor) -> Tensor:
        frames = self.dropout(self.subsampling(features) * self.scale)
        outputs = []
        for block in self.blocks:
            frames = block(frames)
            outputs.append(frames)
        return self.norm(torch.cat(outputs, dim=-1) if self.aggregate else frames)  # section 2.3
