"""A network made for use: the same x-vectors to a few parts in a million, in less time.

Nearly all the time of a TDNN goes into matrix products, and those run at what a core can do. What is left to
gain: sums over time as products, and weights laid out once for the products instead of at every call.
"""

from __future__ import annotations

from copy import deepcopy

import torch
from torch import Tensor, nn

from ..formats.errors import InputError
from ..models.ecapa import SqueezeExcitation
from ..models.layers import FrameConv
from ..models.model import SpeakerModel
from ..models.pooling import VARIANCE_FLOOR, AttentiveStatisticsPooling
from ..models.ssl import SslEncoder

PRECISIONS = ("fp32", "bf16")
_LEAST = 1 << 14  # weights of a layer that is worth laying out
_FRAMES = 512  # the number of frames it is laid out for; others are no slower


class Squeezed(nn.Module):
    """ECAPA-TDNN's squeeze and excitation; the mean over time is a product."""

    def __init__(self, block: SqueezeExcitation) -> None:
        super().__init__()
        self.squeeze, self.excite = block.squeeze, block.excite

    def forward(self, frames: Tensor) -> Tensor:
        mean = torch.matmul(_shares(frames), frames)
        return frames * torch.sigmoid(self.excite(torch.relu(self.squeeze(mean))))


class Pooled(nn.Module):
    """models.pooling.AttentiveStatisticsPooling without weights."""

    def __init__(self, pooling: AttentiveStatisticsPooling) -> None:
        super().__init__()
        weight = pooling.hidden.weight.detach().squeeze(-1)
        of_frame, of_context = weight.split([pooling.channels, 2 * pooling.channels], dim=1)
        assert pooling.hidden.bias is not None
        self.of_frame = _linear(of_frame)
        self.of_context = _linear(of_context, pooling.hidden.bias)
        # A score's bias is the same in all frames: no softmax over time sees it.
        self.score = _linear(pooling.score.weight.squeeze(-1))

    def forward(self, frames: Tensor, weights: Tensor | None = None) -> Tensor:
        """``frames`` [batch, time, channels] -> [batch, 2 * channels]."""
        shares = _shares(frames)
        mean = torch.matmul(shares, frames)
        # Around the utterance's mean, which leaves little to cancel in what follows.
        centred = frames - mean
        squares = centred.square()
        deviation = torch.matmul(shares, squares).clamp(min=VARIANCE_FLOOR).sqrt()
        shared = self.of_context(torch.cat((mean, deviation), dim=-1))
        attention = self.score(torch.tanh(self.of_frame(frames) + shared)).softmax(dim=1)
        ones = torch.ones_like(shares)
        moved = torch.matmul(ones, attention * centred)
        variance = torch.matmul(ones, attention * squares) - moved.square()
        deviation = variance.clamp(min=VARIANCE_FLOOR).sqrt()
        return torch.cat((mean + moved, deviation), dim=-1).squeeze(1)


def _shares(frames: Tensor) -> Tensor:
    # [batch, 1, time]: a product with it is the mean over time.
    return torch.ones_like(frames[:, :, :1]).mT / frames.shape[1]


def _linear(weight: Tensor, bias: Tensor | None = None) -> nn.Linear:
    made = nn.Linear(weight.shape[1], weight.shape[0], bias=bias is not None)
    made.weight = nn.Parameter(weight.detach().clone(), requires_grad=False)
    if bias is not None:
        made.bias = nn.Parameter(bias.detach().clone(), requires_grad=False)
    return made


def faster(model: SpeakerModel) -> SpeakerModel:
    """A copy of ``model`` for x-vectors alone, without frame weights, that can be exported."""
    found = deepcopy(model)
    for parent in list(found.modules()):
        for name, child in list(parent.named_children()):
            if isinstance(child, SqueezeExcitation):
                setattr(parent, name, Squeezed(child))
    if isinstance(found.pooling, AttentiveStatisticsPooling):
        found.pooling = Pooled(found.pooling)
    return found.requires_grad_(False).eval()


class Packed(nn.Module):
    """A linear layer over the last axis, perhaps with ReLU, whose weights lie as oneDNN reads them."""

    def __init__(self, weight: Tensor, bias: Tensor | None, relu: bool) -> None:
        super().__init__()
        self.bias, self.after = bias, "relu" if relu else "none"
        self.packed = torch.ops.mkldnn._reorder_linear_weight(weight.contiguous(), _FRAMES)

    def forward(self, frames: Tensor) -> Tensor:
        frames = frames.to(self.packed.dtype)
        done: Tensor = torch.ops.mkldnn._linear_pointwise(frames, self.packed, self.bias, self.after, [], "")
        return done


class Halved(nn.Module):
    """A network with its products in bf16: x-vectors of a cosine near 0.9999 to those in 32 bits, float32.

    Sums over time are products here, so they are in bf16 too. About half the time where the processor
    multiplies in bf16, and more than the whole where it does not.
    """

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, features: Tensor, weights: Tensor | None = None) -> Tensor:
        """As models.model.SpeakerModel."""
        with torch.autocast(features.device.type, torch.bfloat16):
            found: Tensor = self.network(features, weights)
        return found.float()


def ready(model: SpeakerModel, device: str = "cpu", precision: str = "fp32") -> nn.Module:
    """``faster`` on ``device``, in ``precision`` (one of PRECISIONS); InputError for what cannot be."""
    if precision not in PRECISIONS:
        raise InputError(f"no precision {precision!r}", mend=f"one of {', '.join(PRECISIONS)}")
    try:
        found = faster(model).to(device)
    except (RuntimeError, AssertionError) as error:  # a build without CUDA, a name that is none
        raise InputError(f"no device {device!r}: {str(error).splitlines()[0]}", mend="device='cpu'") from None
    if (
        precision == "bf16"
        and device != "cpu"
        and not torch.cuda.is_bf16_supported(including_emulation=False)
    ):
        raise InputError(f"device {device!r} does not multiply in bf16", mend="precision='fp32'")
    if precision == "bf16":
        for layer in found.modules():
            if isinstance(layer, (nn.Conv1d, nn.Conv2d, nn.Linear)):
                layer.to(torch.bfloat16)  # once, not at every call
    if device == "cpu":
        found = packed(found)
    return found if precision == "fp32" else Halved(found).eval()


def packed(model: SpeakerModel) -> SpeakerModel:
    """``model`` itself with the weights of its one-tap layers laid out for a CPU; it cannot be exported then.

    Where torch lacks oneDNN, or oneDNN the weights' precision on this processor, or torch's inner functions
    have changed, the model is left as it is. So are SSL front ends: their code reads the weights of others.
    """
    kinds = {layer.weight.dtype for layer in model.modules() if isinstance(layer, (nn.Conv1d, nn.Linear))}
    try:
        for kind in kinds:
            Packed(torch.ones(2, 2, dtype=kind), None, False)(torch.ones(1, 2))
    except (AttributeError, RuntimeError):
        return model
    foreign = {part for one in model.modules() if isinstance(one, SslEncoder) for part in one.front.modules()}
    for parent in [part for part in model.modules() if part not in foreign]:
        names = list(parent.named_children())
        for place, (name, child) in enumerate(names):
            if not (isinstance(child, (FrameConv, nn.Linear)) and _one_tap(child)):
                continue
            if child.weight.numel() < _LEAST:
                continue
            follows = (
                names[place + 1] if isinstance(parent, nn.Sequential) and place + 1 < len(names) else None
            )
            relu = follows is not None and isinstance(follows[1], nn.ReLU)
            bias = None if child.bias is None else child.bias.detach()
            setattr(parent, name, Packed(child.weight.detach().flatten(1), bias, relu))
            if relu and follows is not None:
                setattr(parent, follows[0], nn.Identity())
    return model


def _one_tap(layer: nn.Module) -> bool:
    if isinstance(layer, FrameConv):
        shape = (layer.kernel_size, layer.padding, layer.stride, layer.groups)
        return shape == ((1,), (0,), (1,), 1)
    return type(layer) is nn.Linear
