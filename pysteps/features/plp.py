"""From autocorrelation to PLP cepstra: Kaldi's Durbin and Lpc2Cepstrum on many frames at once."""

from __future__ import annotations

import torch
from torch import Tensor

_EPSILON = torch.finfo(torch.float32).eps


def prediction(autocorrelation: Tensor) -> tuple[Tensor, Tensor]:
    """Linear prediction by Durbin's recursion: coefficients [..., order] and residual energy [..., 1].

    ``autocorrelation`` is [..., order + 1]. As in Kaldi no step takes more than all but 1e-5 of the energy.
    """
    energy = autocorrelation[..., :1]
    coefficients = autocorrelation[..., :0]
    for order in range(autocorrelation.shape[-1] - 1):
        before = autocorrelation[..., 1 : order + 1].flip(-1)
        reflection = autocorrelation[..., order + 1 : order + 2]
        reflection = (reflection + (coefficients * before).sum(-1, keepdim=True)) / energy
        energy = energy * (1 - reflection.square()).clamp(min=1e-5)
        coefficients = torch.cat((coefficients - reflection * coefficients.flip(-1), -reflection), dim=-1)
    return coefficients, energy


def cepstra(autocorrelation: Tensor, count: int) -> Tensor:
    """The log residual energy and ``count`` - 1 cepstra: [..., count]."""
    coefficients, energy = prediction(autocorrelation)
    found = coefficients[..., :0]
    for order in range(count - 1):
        weights = torch.arange(1, order + 1, dtype=found.dtype, device=found.device) / (order + 1)
        past = (found * weights * coefficients[..., :order].flip(-1)).sum(-1, keepdim=True)
        found = torch.cat((found, -coefficients[..., order : order + 1] - past), dim=-1)
    return torch.cat((energy.log().clamp(min=_EPSILON), found), dim=-1)
