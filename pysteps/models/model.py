"""A speaker model: encoder, pooling, projector; how it is built, saved, loaded and used."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load as load_tensors
from safetensors.torch import save as save_tensors
from torch import Tensor, nn
from torch.nn import functional as F

from ..formats.atomic import replacing
from ..formats.errors import InputError
from .architectures import ENCODERS, POOLINGS, Kind
from .options import ModelOptions

WEIGHTS = "model.safetensors"
DESCRIPTION = "model.json"


def build(kind: Kind, options: Mapping[str, Any], size: int) -> nn.Module:
    """The encoder or pooling of ``kind`` for an input of ``size`` numbers a frame; imports its file alone."""
    module, _, name = kind.place.partition(":")
    made = getattr(import_module(f".{module}", __package__), name)
    return made(kind.options(**options), size)


class Projector(nn.Sequential):
    """The pooled vector to the x-vector: a linear layer, with the normalisations that are asked for."""

    def __init__(self, inputs: int, options: ModelOptions) -> None:
        layers: list[nn.Module] = [nn.Linear(inputs, options.xvector_dim)]
        if options.pooled_norm:
            layers.insert(0, nn.BatchNorm1d(inputs))
        if options.xvector_norm:
            layers.append(nn.BatchNorm1d(options.xvector_dim))
        super().__init__(*layers)


class SpeakerModel(nn.Module):
    """An utterance's features to its x-vector.

    All utterances of a batch have one length: nothing is padded, so an utterance gets in a batch the
    x-vector that it gets alone. ``min_frames`` is the shortest utterance it takes.

    An encoder says how its frames lie over the input's: ``trim`` input frames are lost at each end, and one
    frame comes out for ``stride`` that go in.
    """

    def __init__(self, options: ModelOptions) -> None:
        super().__init__()
        self.encoder = build(ENCODERS[options.encoder], options.network, options.feature_dim)
        self.pooling = build(POOLINGS[options.pooling], options.pool, self.encoder.out_channels)  # type: ignore[arg-type]
        self.projector = Projector(self.pooling.out_dim, options)  # type: ignore[arg-type]
        self.min_frames: int = self.encoder.min_frames  # type: ignore[assignment]
        # What the encoder took from outside is in its weights by now: as saved, the model needs it no more.
        settled = getattr(self.encoder, "settled", {})
        self.options = replace(options, network={**options.network, **settled}) if settled else options

    def forward(self, features: Tensor, weights: Tensor | None = None) -> Tensor:
        """``features`` [batch, time, feature], ``weights`` [batch, time] (>= 0) or None -> [batch, xvector].

        The weights act in the pooling only; in the frames that come out, one at least is above 0. InputError
        if the utterances are too short or have another feature size.
        """
        time, size = features.shape[1:]
        if size != self.options.feature_dim:
            raise InputError(f"features of size {size}, the model was made for {self.options.feature_dim}")
        if time < self.min_frames:
            raise InputError(f"{time} frames, the network needs at least {self.min_frames}")
        frames = self.encoder(features)
        if weights is not None:
            weights = self.weights_of(weights, frames.shape[1])
        return self.projector(self.pooling(frames, weights))

    def weights_of(self, weights: Tensor, frames: int) -> Tensor:
        """``weights`` [batch, time] of the input as weights [batch, frames] of the encoder's frames.

        A frame that stands for ``stride`` of the input has their mean weight; ends that it reaches beyond
        do not count.
        """
        trim, stride = int(self.encoder.trim), int(self.encoder.stride)  # type: ignore[arg-type]
        weights = weights[:, trim : weights.shape[1] - trim].float()
        if stride == 1:
            return weights
        missing = frames * stride - weights.shape[1]
        ends = F.pad(torch.stack((weights, torch.ones_like(weights))), (0, max(0, missing)))
        total, count = ends[..., : frames * stride].unflatten(-1, (frames, stride)).sum(-1)
        return total / count.clamp(min=1)


def save_model(model: SpeakerModel, folder: Path, contract: Mapping[str, Any]) -> None:
    """Write ``folder``/model.safetensors and model.json (options and feature contract).

    The same weights, options and contract give the same bytes.
    """
    tensors = {name: value.detach().cpu().contiguous() for name, value in model.state_dict().items()}
    with replacing(folder / WEIGHTS, "wb") as handle:
        handle.write(save_tensors(tensors))
    description = {"model": asdict(model.options), "features": dict(contract)}
    with replacing(folder / DESCRIPTION) as handle:
        handle.write(json.dumps(description, indent=2, sort_keys=True, ensure_ascii=False) + "\n")


def read_description(folder: Path) -> dict[str, Any]:
    """What model.json says: {"model": architecture options, "features": the feature contract}."""
    path = folder / DESCRIPTION
    try:
        description = json.loads(path.read_text(encoding="utf-8"))
        return {"model": dict(description["model"]), "features": dict(description["features"])}
    except FileNotFoundError:
        raise InputError("no such file", where=path, mend="is this the folder of a trained model?") from None
    except (ValueError, KeyError, TypeError) as error:
        raise InputError(f"not the description of a model ({error!r})", where=path) from None


def load_model(folder: Path) -> SpeakerModel:
    """The model that ``save_model`` wrote, in evaluation mode, on the CPU."""
    folder = Path(folder)
    try:
        model = SpeakerModel(ModelOptions(**read_description(folder)["model"]))
        model.load_state_dict(load_tensors((folder / WEIGHTS).read_bytes()))
    except InputError as error:
        raise InputError(str(error), where=folder) from None
    except Exception as error:  # safetensors has its own exception classes for a broken file
        raise InputError(f"the weights cannot be read: {error}", where=folder / WEIGHTS) from None
    return model.eval()


def embed(
    model: nn.Module, features: Sequence[np.ndarray], weights: Sequence[np.ndarray] | None = None
) -> np.ndarray:
    """X-vectors [N, xvector] (float32) of N utterances of one length.

    ``features``: N matrices [time, feature]; ``weights``: N vectors [time] or None. Each utterance gets
    what it would get alone, to 1e-5 of its length.
    """
    lengths = {len(matrix) for matrix in features}
    if len(lengths) != 1:
        raise ValueError(f"a batch holds utterances of one length, not {sorted(lengths)}")
    if model.training:
        raise ValueError("the model is in training mode")
    device = next(model.parameters()).device
    batch = torch.from_numpy(np.stack(features).astype(np.float32, copy=False)).to(device)
    weight = None if weights is None else torch.from_numpy(np.stack(weights).astype(np.float32)).to(device)
    with torch.inference_mode():
        found: np.ndarray = model(batch, weight).float().cpu().numpy()
        return found
