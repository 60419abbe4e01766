"""Where a network's layers lie over the features: which one Grad-CAM reads, and how its frames and bins are
brought back to those of the input.

What a module gives is an image [batch, channels, bins, time] or [batch, channels, time, bins], as its encoder
has images, or frames [batch, time, channels], or, behind a pooling over the mean spectrum, bins [batch, bins,
channels].
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..formats.errors import InputError
from ..models.model import SpeakerModel


class Place(NamedTuple):
    """``layer``: the deepest one that still lies over the features, as named_modules has it; ``axes`` of the
    encoder's images: "bins time" or "time bins"; "frames" and "bins" where there are no images."""

    layer: str
    axes: str


# The encoders that convolve. {last} is the number of the last stage.
PLACES = {
    "aret": Place("encoder", "frames"),
    "campplus": Place("encoder.front.blocks", "time bins"),
    "cnn": Place("encoder.layers", "bins time"),
    "conv1d": Place("encoder", "frames"),
    "conv2d": Place("encoder.front.images", "bins time"),
    "dtdnn": Place("encoder", "frames"),
    "ecapa": Place("encoder", "frames"),
    "ecapa_mirror": Place("encoder", "frames"),
    "eres2netv2": Place("encoder.fusion", "time bins"),
    "etdnn": Place("encoder", "frames"),
    "ftdnn": Place("encoder", "frames"),
    "identity": Place("pooling.stages.{last}", "bins"),
    "redimnet": Place("encoder.stages.{last}.leave", "time bins"),
    "rescnn": Place("encoder.stages", "bins time"),
    "resnet": Place("encoder.layer4", "bins time"),
    "resnet_preact": Place("encoder.layer4", "bins time"),
    "tdnn": Place("encoder", "frames"),
    "tdnn_mirror": Place("encoder", "frames"),
}
REFUSED = {
    "conformer": "its frames have seen the whole utterance by attention: a map of them says nothing of where",
    "lstm": "it is recurrent and has no convolution",
    "ssl": "it hears samples, not bins",
}


def place_of(model: SpeakerModel) -> Place:
    """Where Grad-CAM looks into ``model``; InputError with the reason where it cannot."""
    encoder = model.options.encoder
    if encoder not in PLACES or (encoder == "identity" and model.options.pooling != "mean_cnn"):
        why = REFUSED.get(encoder, "it has no convolution")
        said = f"Grad-CAM does not fit the encoder {encoder}: {why}"
        raise InputError(said, mend="gradient, input_x_gradient or integrated do")
    place = PLACES[encoder]
    stages = getattr(model.pooling if encoder == "identity" else model.encoder, "stages", None)
    last = len(stages) - 1 if isinstance(stages, nn.ModuleList) else 0
    return place._replace(layer=place.layer.format(last=last))


def find_layer(model: SpeakerModel, name: str) -> nn.Module:
    """The layer ``name`` of the encoder or pooling; InputError with those that there are."""
    modules = dict(model.named_modules())
    if name not in modules or name.partition(".")[0] not in ("encoder", "pooling"):
        known = [one for one in modules if one.startswith("encoder") and one.count(".") < 3]
        raise InputError(f"no layer {name!r}", mend=f"as {', '.join(known[:12])} ...")
    return modules[name]


def planes(output: Tensor, module: nn.Module, axes: str) -> Tensor | None:
    """What a module gave for one utterance as [channels, time, bins]; one bin where it has none, and one
    frame for bins alone. None for what has no time, as a pooled vector."""
    if output.dim() == 4 and isinstance(module, nn.LayerNorm):  # channels innermost
        return output[0].permute(2, 0, 1)
    if output.dim() == 4:
        return output[0].transpose(1, 2) if axes == "bins time" else output[0]
    if output.dim() == 3:
        return output[0].T.unsqueeze(1) if axes == "bins" else output[0].T.unsqueeze(2)
    return None


def spread(values: Tensor, shape: tuple[int, int], trim: int = 0, *, keep_sum: bool = False) -> Tensor:
    """A layer's ``values`` [time, bins] over the input's ``shape`` (frames, bins).

    A layer without padding, whose frames are the middle ones of the input (up to ``trim`` are missing at each
    end), is put there, with 0 at the ends; others are stretched (bilinear). ``keep_sum``: what a cell holds
    is shared by those that it becomes, so that the sum stays.
    """
    frames, bins = shape
    missing = frames - len(values)
    ends = missing // 2 if 0 < missing <= 2 * trim else 0
    inside = frames - missing if ends else frames
    size = (inside, bins)
    out = values
    if values.shape != size:
        out = F.interpolate(values[None, None], size, mode="bilinear", align_corners=False)[0, 0]
        total = out.sum()
        if keep_sum and total != 0:
            out = out * (values.sum() / total)
    return F.pad(out, (0, 0, ends, frames - inside - ends)) if ends else out


def full_rate_trim(model: SpeakerModel) -> int:
    """Frames that the encoder loses at each end, where a frame comes out for a frame that goes in; else 0."""
    return int(model.encoder.trim) if int(model.encoder.stride) == 1 else 0  # type: ignore[arg-type]


def input_tensor(features: object, dtype: torch.dtype = torch.float32) -> Tensor:
    """Features [time, feature] as a batch of one that collects a gradient."""
    return torch.as_tensor(features, dtype=dtype).unsqueeze(0).clone().requires_grad_()
