"""The features of a contract as one module that torch and ONNX can export: samples to a network's input."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from ..features.cmvn import mean_and_scale
from ..features.fbank import Fbank
from ..formats.errors import InputError
from ..models.model import SpeakerModel
from .heard import Heard
from .products import Products, suits

_SLIDING_FLOOR, _RELATIVE_FLOOR, _STORED_FLOOR = 1e-10, 1e-4, 2 / 65535  # features.cmvn's


class Front(nn.Module):
    """samples [batch, time] in [-1, 1) at the model's rate -> [batch, kept, feature], ready for the network.

    ``frames`` int64 [batch, kept] are the frames that VAD keeps, rising; None keeps all. VAD itself is
    outside: WebRTC's is a program, not a sum of products. InputError for features with pitch.
    """

    mean: Tensor  # None but for a global CMVN
    scale: Tensor

    def __init__(self, heard: Heard) -> None:
        super().__init__()
        if heard.features.pitch:
            mend = "train without it, or use timbre.SpeakerModel on the model's folder"
            raise InputError("pitch is no part of a graph that can be exported", mend=mend)
        self.options = heard.features
        options = heard.features.acoustic()
        self.fbank: nn.Module = Products(options) if suits(options) else Fbank(options)
        mean, scale = (None, None)
        if heard.stats is not None:
            found = mean_and_scale(heard.stats, norm_vars=heard.features.cmvn_vars)
            mean, scale = (torch.from_numpy(values).float() for values in found)
        self.register_buffer("mean", mean)
        self.register_buffer("scale", scale)

    def forward(self, samples: Tensor, frames: Tensor | None = None) -> Tensor:
        features: Tensor = self.fbank(samples)
        if self.options.voiced_only:
            return self.normalised(_picked(features, frames))
        return _picked(self.normalised(features, frames), frames)

    def normalised(self, features: Tensor, frames: Tensor | None = None) -> Tensor:
        """``features`` [batch, time, feature] after CMVN over all of these frames, or as it is set."""
        options = self.options
        if options.cmvn == "none":
            return features
        if options.cmvn == "global":
            return (features - self.mean) * self.scale
        if options.cmvn == "sliding":
            return slid(features, options.cmvn_window, options.cmvn_vars)
        mean = features.mean(dim=1, keepdim=True)
        centred = features - mean
        if not options.cmvn_vars:
            return centred
        variance = centred.square().mean(dim=1, keepdim=True)
        power = (variance + mean.square()).amax(dim=2, keepdim=True)
        floor = (_RELATIVE_FLOOR * mean).square() + _STORED_FLOOR**2 * power + 1e-20
        return centred / torch.maximum(variance, floor).sqrt()


def _picked(features: Tensor, frames: Tensor | None) -> Tensor:
    if frames is None:
        return features
    return features.gather(1, frames.unsqueeze(-1).expand(-1, -1, features.shape[-1]))


def slid(features: Tensor, window: int, norm_vars: bool) -> Tensor:
    """features.cmvn.sliding_cmn (centred) of [batch, time, feature], for any time that an exporter sees."""
    time = features.shape[1]
    t = torch.arange(time, device=features.device)
    start = torch.clamp(torch.minimum(t - window // 2, torch.full_like(t, time - window)), min=0)
    end = torch.clamp(start + window, max=time)
    # The mean over all goes first, and sums are of 64 bits: small differences keep their digits.
    values = (features - features.mean(dim=1, keepdim=True)).double()
    count = (end - start).unsqueeze(-1)
    mean = _between(values, start, end) / count
    out = values - mean
    if norm_vars:
        variance = (_between(values.square(), start, end) / count - mean.square()).clamp(min=_SLIDING_FLOOR)
        out = torch.where(count == 1, torch.zeros_like(out), out / variance.sqrt())
    return out.float()


def _between(values: Tensor, start: Tensor, end: Tensor) -> Tensor:
    total = torch.cat((torch.zeros_like(values[:, :1]), values.cumsum(dim=1)), dim=1)
    return total.index_select(1, end) - total.index_select(1, start)


class Whole(nn.Module):
    """Samples [batch, time] and the frames to keep [batch, kept] -> x-vectors [batch, xvector]."""

    def __init__(self, front: Front, model: SpeakerModel) -> None:
        super().__init__()
        self.front, self.model = front, model

    def forward(self, *given: Tensor) -> Any:
        return self.model(self.front(*given))
