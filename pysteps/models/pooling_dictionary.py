"""Poolings by a dictionary: frames are shared out to clusters, and what is left of them there is summed up.

Both work in 32 bits. Their output is clusters times channels, so frames are brought to fewer channels first,
if ``channels`` says so.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from .architectures import DictionaryOptions, GhostVladOptions
from .pooling import given_scores


def residuals(frames: Tensor, shares: Tensor, centres: Tensor) -> Tensor:
    """sum over t of shares[t, k] * (frames[t] - centres[k]): [batch, clusters, channels]."""
    return shares.transpose(1, 2) @ frames - shares.sum(dim=1).unsqueeze(2) * centres


class GhostVladPooling(nn.Module):
    """GhostVLAD, and NetVLAD without ghosts (Xie et al., ICASSP 2019, eq. 1; Zhong et al., ACCV 2018).

    The shares of a frame are softmax(w_k . x + b_k) over clusters and ghosts. The residuals of each cluster
    are brought to length 1; those of ghosts are left out: [batch, clusters * channels].
    """

    def __init__(self, options: GhostVladOptions, channels: int) -> None:
        super().__init__()
        width = options.channels or channels
        self.clusters = options.clusters
        self.out_dim = options.clusters * width
        self.narrow = nn.Sequential()
        if options.channels:
            self.narrow = nn.Sequential(nn.Linear(channels, width), nn.ReLU())
        self.assign = nn.Linear(channels, options.clusters + options.ghosts)
        self.centres = nn.Parameter(torch.empty(options.clusters, width))  # a ghost's would never be used
        nn.init.orthogonal_(self.centres)

    def forward(self, frames: Tensor, weights: Tensor | None = None) -> Tensor:
        """``frames`` [batch, time, channels], ``weights`` [batch, time] (>= 0, not all 0) or None."""
        scores, values = self.assign(frames), self.narrow(frames)
        with torch.autocast(frames.device.type, enabled=False):
            shares = scores.float().softmax(dim=2)[..., : self.clusters]
            shares = shares * given_scores(frames, weights).softmax(dim=1)
            found = residuals(values.float(), shares, self.centres)
            return F.normalize(found, dim=2).flatten(1)


class DictionaryPooling(nn.Module):
    """Learnable dictionary encoding (LDE: Cai et al., ICASSP 2018, eq. 3 to 5).

    The shares of a frame are softmax(-s_k |x - centre_k|^2) over the clusters; the residuals of each cluster
    are averaged over the frames: [batch, clusters * channels].
    """

    def __init__(self, options: DictionaryOptions, channels: int) -> None:
        super().__init__()
        width = options.channels or channels
        self.out_dim = options.clusters * width
        self.narrow = nn.Linear(channels, width) if options.channels else nn.Sequential()
        self.centres = nn.Parameter(torch.randn(options.clusters, width))
        # The square is s: so it is not below 0, and the first shares are no choice of one cluster.
        self.root = nn.Parameter(torch.full((options.clusters,), width**-0.5))

    def forward(self, frames: Tensor, weights: Tensor | None = None) -> Tensor:
        """``frames`` [batch, time, channels], ``weights`` [batch, time] (>= 0, not all 0) or None."""
        values = self.narrow(frames)
        with torch.autocast(frames.device.type, enabled=False):
            values = values.float()
            lengths = values.square().sum(dim=2, keepdim=True) + self.centres.square().sum(dim=1)
            squared = (lengths - 2 * F.linear(values, self.centres)).clamp(min=0)
            shares = (-self.root.square() * squared).softmax(dim=2)
            shares = shares * given_scores(frames, weights).softmax(dim=1)
            return residuals(values, shares, self.centres).flatten(1)
