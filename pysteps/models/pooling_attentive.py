"""Poolings whose attention sees a frame alone: one weight a frame, one a part of the channels, or many.

That of ECAPA-TDNN, which sees the utterance too, is in ``pooling.py``. Weights that are given count in every
softmax: a weight of 2 is the frame twice.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ..formats.errors import InputError
from .architectures import AttentiveOptions, HeadsOptions, MultiQueryOptions
from .layers import FrameConv
from .pooling import given_scores, mean_and_deviation
from .statistics import statistics


def weighted(scores: Tensor, frames: Tensor, weights: Tensor | None) -> Tensor:
    """``scores`` [batch, time, any] in 32 bits, moved so that their softmax counts ``weights``."""
    return scores.float() if weights is None else scores.float() + given_scores(frames, weights)


def part_size(channels: int, heads: int) -> int:
    """Channels of a head; InputError if they do not come out even."""
    if channels % heads:
        raise InputError(f"{heads} heads do not divide the {channels} channels of the encoder")
    return channels // heads


class FrameAttention(nn.Module):
    """A score a frame: v . tanh(W x + b), [batch, time, channels] -> [batch, time, 1]."""

    def __init__(self, options: AttentiveOptions, channels: int) -> None:
        super().__init__()
        self.hidden = nn.Linear(channels, options.attention_channels)
        self.score = nn.Linear(options.attention_channels, 1, bias=False)

    def forward(self, frames: Tensor) -> Tensor:
        scores: Tensor = self.score(torch.tanh(self.hidden(frames)))
        return scores


class SelfAttentivePooling(nn.Module):
    """Mean under one attention (SAP: Cai et al., Odyssey 2018, eq. 3 to 5): [batch, channels]."""

    def __init__(self, options: AttentiveOptions, channels: int) -> None:
        super().__init__()
        self.out_dim = channels
        self.attention = FrameAttention(options, channels)

    def forward(self, frames: Tensor, weights: Tensor | None = None) -> Tensor:
        """``frames`` [batch, time, channels], ``weights`` [batch, time] (>= 0, not all 0) or None."""
        return statistics(frames, weighted(self.attention(frames), frames, weights))[0]


class PlainAttentivePooling(nn.Module):
    """Mean and deviation under one attention (Okabe et al., Interspeech 2018): [batch, 2 * channels].

    The attention's last bias moves all scores alike, so it is left out.
    """

    def __init__(self, options: AttentiveOptions, channels: int) -> None:
        super().__init__()
        self.out_dim = 2 * channels
        self.attention = FrameAttention(options, channels)

    def forward(self, frames: Tensor, weights: Tensor | None = None) -> Tensor:
        """``frames`` [batch, time, channels], ``weights`` [batch, time] (>= 0, not all 0) or None."""
        scores = weighted(self.attention(frames), frames, weights)
        return torch.cat(mean_and_deviation(frames, scores), dim=-1)


class MultiHeadPooling(nn.Module):
    """Self multi-head attention (India, Safari and Hernando, Interspeech 2019): [batch, channels].

    The channels are cut into parts; the frames of each are averaged under softmax(u . x / sqrt(part)) over
    time with a learned u.
    """

    def __init__(self, options: HeadsOptions, channels: int) -> None:
        super().__init__()
        self.out_dim = channels
        part = part_size(channels, options.heads)
        self.query = nn.Parameter(torch.empty(options.heads, part))
        nn.init.xavier_uniform_(self.query)

    def forward(self, frames: Tensor, weights: Tensor | None = None) -> Tensor:
        """``frames`` [batch, time, channels], ``weights`` [batch, time] (>= 0, not all 0) or None."""
        heads, part = self.query.shape
        likeness = (frames.unflatten(2, (heads, part)) * self.query).float().sum(dim=3) / part**0.5
        scores = weighted(likeness, frames, weights).unsqueeze(3).expand(-1, -1, -1, part).flatten(2)
        return statistics(frames, scores)[0]


class MultiQueryPooling(nn.Module):
    """Multi-query multi-head attentive statistics (Zhao et al., 2021, arXiv:2110.05042, section 2.1).

    The channels are cut into ``heads`` parts. Every part is attended to ``queries`` times, each time by two
    layers with tanh between, that end in a score for the part (``shared``) or for each of its channels:
    [batch, queries * 2 * channels], mean and deviation of the first query first.
    """

    def __init__(self, options: MultiQueryOptions, channels: int) -> None:
        super().__init__()
        queries, heads, inner = options.queries, options.heads, options.attention_channels
        part = part_size(channels, heads)
        self.heads, self.queries, self.part = heads, queries, part
        self.out_dim = 2 * channels * queries
        several = heads * queries
        self.hidden = FrameConv(channels, several * inner, groups=heads)
        scores = several * (1 if options.shared else part)
        self.score = FrameConv(several * inner, scores, groups=several, bias=False)

    def forward(self, frames: Tensor, weights: Tensor | None = None) -> Tensor:
        """``frames`` [batch, time, channels], ``weights`` [batch, time] (>= 0, not all 0) or None."""
        scores = weighted(self.score(torch.tanh(self.hidden(frames))), frames, weights)
        scores = scores.unflatten(2, (self.heads, self.queries, -1)).expand(-1, -1, -1, -1, self.part)
        pooled: list[Tensor] = []
        for of_query in scores.unbind(dim=3):
            pooled.extend(mean_and_deviation(frames, of_query.flatten(2)))
        return torch.cat(pooled, dim=-1)
