"""FullGrad: Srinivas and Fleuret, "Full-gradient representation for neural network visualization", NeurIPS
2019 (arXiv:1905.00780): the output is input x gradient and, of every layer, bias x gradient.

The paper has ReLU networks, where a layer's bias is its own and batch normalisation's, and says that any
other function counts as its tangent, with what is left as a bias. That is what is done here, for whole
stretches of a network at once. Take some tensors z_1 ... z_n on the way (what the modules give), and let J_vp
be the slope of z_v in z_p with everything between them. Then with

    b_v = z_v - sum over p of J_vp z_p

the sum over v of b_v . df/dz_v telescopes, and f(x) = x . df/dx + sum of b_v . df/dz_v, whatever lies
between: of a convolution b_v is its bias, of a batch normalisation beta - gamma * mean / deviation, of ReLU
nothing, of a gate, a softmax or a deviation what makes it no straight line. sum J_vp z_p is what forward-mode
differentiation gives when each z_p has itself for its tangent, so one pass finds all biases, element by
element, and one pass backwards all slopes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.autograd import forward_ad
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.overrides import TorchFunctionMode

from ..formats.errors import InputError
from ..models.model import SpeakerModel
from .layers import PLACES, full_rate_trim, input_tensor, planes, spread

_CANNOT = {
    "lstm": "torch has no forward-mode differentiation of its LSTM",
    "ssl": "it hears samples, not bins",
}


@dataclass(frozen=True)
class FullGradient:
    """``output`` = ``inputs`` (sum of input x gradient) + ``biases`` (of all modules) + ``last`` (what makes
    the target no straight line in the x-vector: all of a cosine, which has no slope along the x-vector).

    ``map`` [time, feature]: absolute values, those of a layer shared out over the cells that it covers. Parts
    of modules without time (``timeless``, behind the pooling) are in the sum and not in the map. ``parts``: a
    module's name and the sum of its bias x gradient.
    """

    output: float
    inputs: float
    biases: float
    timeless: float
    last: float
    map: np.ndarray
    parts: list[tuple[str, float]]

    @property
    def error(self) -> float:
        """What the parts miss of the output, relative to it."""
        return abs(self.output - self.inputs - self.biases - self.last) / max(abs(self.output), 1e-12)


class _KeepDouble(TorchFunctionMode):
    """Poolings and heads work in 32 bits by their own word; here they stay in 64."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func is Tensor.float and args[0].dtype == torch.float64:
            return args[0]
        return func(*args, **(kwargs or {}))


def _passes_on(module: nn.Module) -> bool:
    # It gives what a module in it gave, or what it got.
    return type(module).forward is nn.Sequential.forward or isinstance(module, (nn.Identity, nn.Dropout))


@contextmanager
def _hooked(model: nn.Module, hook: Callable[[str, nn.Module, Tensor], Tensor]) -> Iterator[None]:
    """Within the block ``hook(name, module, output)`` stands for the output of every module in ``model``."""

    def added(name: str, module: nn.Module) -> Any:
        def after(module: nn.Module, _: object, output: Any) -> Any:
            return hook(name, module, output) if isinstance(output, Tensor) else output

        return module.register_forward_hook(after)

    handles = [added(name, one) for name, one in model.named_modules() if name and not _passes_on(one)]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


@dataclass
class _Taken:
    """What one module gave in one call: its bias [as its output] and the target's slope there."""

    name: str
    module: nn.Module
    bias: Tensor
    slope: Tensor | None = None


def _biases(model: SpeakerModel, x: Tensor, target: nn.Module) -> tuple[list[_Taken], float, float]:
    """Every module's bias in order of the calls, the target's own remainder, and the target's value."""
    taken: list[_Taken] = []

    def restart(name: str, module: nn.Module, output: Tensor) -> Tensor:
        value, moved = forward_ad.unpack_dual(output)
        taken.append(_Taken(name, module, value.clone() if moved is None else value - moved))
        return forward_ad.make_dual(value.clone(), value.clone())  # ReLUs in place change both

    with torch.no_grad(), forward_ad.dual_level(), sdpa_kernel(SDPBackend.MATH), _hooked(model, restart):
        value, moved = forward_ad.unpack_dual(target(model(forward_ad.make_dual(x, x.clone()))))
        last = value if moved is None else value - moved
    return taken, float(last.sum()), float(value.sum())


def _slopes(model: SpeakerModel, x: Tensor, target: nn.Module, taken: list[_Taken]) -> Tensor:
    """Fill in the slope of the target at what every module gave; returns that at the input."""
    count = 0

    def watch(_: str, __: nn.Module, output: Tensor) -> Tensor:
        nonlocal count
        mine = taken[count]
        count += 1
        fresh = output.clone() if output.requires_grad else output.clone().requires_grad_()

        def keep(slope: Tensor) -> None:
            mine.slope = slope.detach()

        fresh.register_hook(keep)
        return fresh

    with sdpa_kernel(SDPBackend.MATH), _hooked(model, watch):
        value = target(model(x)).sum()
    value.backward()  # whatever collects a slope: the input, and what modules gave that does not hang on it
    assert x.grad is not None
    return x.grad


def full_gradient(model: SpeakerModel, features: np.ndarray, target: nn.Module) -> FullGradient:
    """The decomposition of the target's value for ``features`` [time, feature], in 64 bits."""
    encoder = model.options.encoder
    if encoder in _CANNOT:
        said = f"FullGrad does not fit the encoder {encoder}: {_CANNOT[encoder]}"
        raise InputError(said, mend="gradient or integrated do" if encoder == "lstm" else None)
    wide, goal = deepcopy(model).double().requires_grad_(False), deepcopy(target).double()
    x = input_tensor(features, torch.float64)
    with _KeepDouble():
        taken, last, output = _biases(wide, x.detach(), goal)
        slope = _slopes(wide, x, goal, taken)
    inputs = (slope * x.detach())[0]
    shape = (inputs.shape[0], inputs.shape[1])
    found, parts, timeless = inputs.abs(), [], 0.0
    axes, trim = PLACES[encoder].axes if encoder in PLACES else "frames", full_rate_trim(model)
    for one in taken:
        if one.slope is None:
            continue
        share = one.slope * one.bias
        parts.append((one.name, float(share.sum())))
        plane = planes(share, one.module, axes if one.name.startswith("encoder") else _behind(axes))
        if plane is None:
            timeless += float(share.sum())
        else:
            found = found + spread(plane.abs().sum(0), shape, trim, keep_sum=True)
    biases = float(sum(part for _, part in parts))
    return FullGradient(
        output, float(inputs.sum()), biases, timeless, last, found.float().numpy(), _by_module(parts)
    )


def _behind(axes: str) -> str:
    return axes if axes == "bins" else "frames"


def _by_module(parts: list[tuple[str, float]]) -> list[tuple[str, float]]:
    total: dict[str, float] = {}
    for name, part in parts:  # a module may be called several times
        total[name] = total.get(name, 0.0) + part
    return list(total.items())
