"""The methods by name: features and a target to a map of relevance."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from torch import nn

from ..formats.errors import InputError
from ..models.model import SpeakerModel
from ..models.registry import Registry
from .cam import grad_cam
from .fullgrad import full_gradient
from .gradients import gradient, integrated


@dataclass(frozen=True)
class Explanation:
    """``values`` [time, feature] (float32) of the features as the network got them; ``output``: the target's
    value; ``note``: what the method says of itself."""

    method: str
    values: np.ndarray
    output: float
    note: str = ""

    @property
    def relevance(self) -> np.ndarray:
        """What cells are ordered by, most relevant highest: a slope counts by its size, a share of the output
        with its sign."""
        return np.abs(self.values) if METHODS[self.method].slope else self.values


Made = tuple[np.ndarray, float, str]


def _gradient(model: SpeakerModel, features: np.ndarray, target: nn.Module, layer: str) -> Made:
    return *gradient(model, features, target), ""


def _input_x_gradient(model: SpeakerModel, features: np.ndarray, target: nn.Module, layer: str) -> Made:
    slope, value = gradient(model, features, target)
    return slope * features, value, ""


def _integrated(model: SpeakerModel, features: np.ndarray, target: nn.Module, layer: str) -> Made:
    values, output, missing = integrated(model, features, target)
    return values, output, f"sum misses {abs(missing):.1e} of the difference to the mean spectrum"


def _grad_cam(model: SpeakerModel, features: np.ndarray, target: nn.Module, layer: str) -> Made:
    values, output, layer = grad_cam(model, features, target, layer)
    return values, output, f"layer {layer}"


def _grad_cam_plus(model: SpeakerModel, features: np.ndarray, target: nn.Module, layer: str) -> Made:
    values, output, layer = grad_cam(model, features, target, layer, plus=True)
    return values, output, f"layer {layer}"


def _fullgrad(model: SpeakerModel, features: np.ndarray, target: nn.Module, layer: str) -> Made:
    found = full_gradient(model, features, target)
    said = f"input {found.inputs:.4g} + biases {found.biases:.4g} + target's own {found.last:.2g}"
    return found.map, found.output, f"{said} = {found.output:.4g}, error {found.error:.0e}"


class Method(NamedTuple):
    """``slope``: the map is a slope, not a share of the output; ``layered``: it looks at a layer."""

    make: Callable[[SpeakerModel, np.ndarray, nn.Module, str], Made]
    title: str
    slope: bool = False
    signed: bool = False
    layered: bool = False


METHODS: Registry[Method] = Registry(
    "method",
    {
        "gradient": Method(_gradient, "gradient", slope=True, signed=True),
        "input_x_gradient": Method(_input_x_gradient, "input x gradient", signed=True),
        "integrated": Method(_integrated, "integrated gradients", signed=True),
        "grad_cam": Method(_grad_cam, "Grad-CAM", layered=True),
        "grad_cam++": Method(_grad_cam_plus, "Grad-CAM++", layered=True),
        "fullgrad": Method(_fullgrad, "FullGrad"),
    },
)


def explain(
    model: SpeakerModel, features: np.ndarray, target: nn.Module, method: str, layer: str = ""
) -> Explanation:
    """The map of ``method`` for ``features`` [time, feature] and ``target`` (x-vectors [batch, xvector] ->
    [batch]) of a model in evaluation mode.

    InputError for an unknown method, one that does not fit the network, an utterance that is too short.
    """
    chosen = METHODS[method]
    if layer and not chosen.layered:
        raise InputError(f"{method} looks at no layer", mend="leave --layer out, or take grad_cam")
    if model.options.encoder == "ssl":
        raise InputError("the encoder ssl hears samples: there are no bins to draw a map over")
    values, output, note = chosen.make(model, np.ascontiguousarray(features, np.float32), target, layer)
    if not (np.isfinite(values).all() and np.isfinite(output)):
        raise InputError(f"{method} gives a map that is not finite", mend="are the features and weights?")
    return Explanation(method, np.asarray(values, np.float32), output, note)
