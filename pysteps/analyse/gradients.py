"""Maps from the gradient at the input.

- gradient: Simonyan, Vedaldi and Zisserman, "Deep inside convolutional networks", 2013 (arXiv:1312.6034);
- input x gradient: Shrikumar et al., "Not just a black box", 2016 (arXiv:1605.01713);
- integrated gradients: Sundararajan, Taly and Yan, "Axiomatic attribution for deep networks", ICML 2017
  (arXiv:1703.01365), by captum.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import nn

from ..formats.errors import InputError
from ..models.model import SpeakerModel
from .layers import input_tensor

STEPS = 64  # of the path from the mean to the features
_AT_ONCE = 8  # steps in one batch


def gradient(model: SpeakerModel, features: np.ndarray, target: nn.Module) -> tuple[np.ndarray, float]:
    """The slope of the target at every cell of ``features`` [time, feature], and the target's value."""
    x = input_tensor(features)
    value = target(model(x)).sum()
    (slope,) = torch.autograd.grad(value, x)
    return slope[0].numpy(), value.item()


def integrated(
    model: SpeakerModel, features: np.ndarray, target: nn.Module, steps: int = STEPS
) -> tuple[np.ndarray, float, float]:
    """Integrated gradients [time, feature] from the utterance's mean spectrum to the utterance.

    Returns the map, the target's value and what the map's sum misses of value - value at the mean.
    """
    try:
        from captum.attr import IntegratedGradients
    except ImportError as error:
        mend = ". ./path.sh && pip install -r requirements/analyse.txt"
        raise InputError("integrated gradients need captum", mend=mend) from error
    x = input_tensor(features)
    start = x.detach().mean(dim=1, keepdim=True).expand_as(x).contiguous()
    found, missing = IntegratedGradients(lambda batch: target(model(batch))).attribute(
        x, start, n_steps=steps, internal_batch_size=_AT_ONCE, return_convergence_delta=True
    )
    with torch.no_grad():
        value = float(target(model(x)).sum())
    return found[0].detach().float().numpy(), value, float(missing)
