"""Grad-CAM: Selvaraju et al., "Grad-CAM: Visual explanations from deep networks via gradient-based
localization", ICCV 2017 (arXiv:1610.02391); Grad-CAM++: Chattopadhay et al., WACV 2018 (arXiv:1710.11063).

Both weigh the channels of one layer by the gradients that reach it and add them up.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from ..formats.errors import InputError
from ..models.model import SpeakerModel
from .layers import find_layer, full_rate_trim, input_tensor, place_of, planes, spread


def weighed(activations: Tensor, slopes: Tensor) -> Tensor:
    """Grad-CAM, eq. 1 and 2: [channels, time, bins] twice -> [time, bins], none below 0."""
    return (slopes.mean((1, 2), keepdim=True) * activations).sum(0).clamp(min=0)


def weighed_plus(activations: Tensor, slopes: Tensor) -> Tensor:
    """Grad-CAM++, eq. 10 and 19: the same with alphas of every cell, for exp(target) whose higher derivatives
    are powers of the first."""
    square = slopes.square()
    below = 2 * square + activations.sum((1, 2), keepdim=True) * square * slopes
    alpha = torch.where(below != 0, square / torch.where(below != 0, below, 1.0), 0.0)
    weights = (alpha * slopes.clamp(min=0)).sum((1, 2), keepdim=True)
    return (weights * activations).sum(0).clamp(min=0)


def seen_and_sloped(
    model: SpeakerModel, features: np.ndarray, target: nn.Module, layer: str, axes: str
) -> tuple[Tensor, Tensor, float]:
    """What ``layer`` gives for ``features`` and the target's gradient there, [channels, time, bins] each, and
    the target's value."""
    module = find_layer(model, layer)
    kept: list[Tensor] = []

    def keep(_: nn.Module, __: object, output: Tensor) -> Tensor:
        kept.append(output.clone())  # what follows may change it in its place
        return kept[-1]

    handle = module.register_forward_hook(keep)
    try:
        value = target(model(input_tensor(features))).sum()
    finally:
        handle.remove()
    (slope,) = torch.autograd.grad(value, kept[-1])
    both = [planes(tensor.detach(), module, axes) for tensor in (kept[-1], slope)]
    if both[0] is None or both[1] is None:
        raise InputError(f"the layer {layer} has no time", mend="name one before the pooling")
    return both[0], both[1], value.item()


def grad_cam(
    model: SpeakerModel, features: np.ndarray, target: nn.Module, layer: str = "", plus: bool = False
) -> tuple[np.ndarray, float, str]:
    """A map [time, feature] of Grad-CAM, or of Grad-CAM++ (``plus``), the target's value and the layer.

    ``layer``: the encoder's own choice (layers.PLACES) by default. The layer of a TDNN has no bins: then all
    bins of a frame are alike.
    """
    place = place_of(model)
    layer = layer or place.layer
    activations, slopes, value = seen_and_sloped(model, features, target, layer, place.axes)
    found = (weighed_plus if plus else weighed)(activations, slopes)
    return spread(found, (features.shape[0], features.shape[1]), full_rate_trim(model)).numpy(), value, layer


def has_bins(model: SpeakerModel, layer: str = "") -> bool:
    """Whether Grad-CAM's map of this network tells bins apart."""
    place = place_of(model)
    return place.axes != "frames" and not (layer and _frames_only(model, layer, place.axes))


def _frames_only(model: SpeakerModel, layer: str, axes: str) -> bool:
    x = np.zeros((model.min_frames + 8, model.options.feature_dim), np.float32)
    with torch.enable_grad():
        target = _First()
        return seen_and_sloped(model, x, target, layer, axes)[0].shape[2] == 1


class _First(nn.Module):
    def forward(self, xvectors: Tensor) -> Tensor:
        return xvectors[:, 0]
