"""A speaker model: encoder, pooling, projector; how it is built, saved, loaded and used."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load as load_tensors
from safetensors.torch import save as save_tensors
from torch import Tensor, nn

from ..formats.atomic import replacing
from ..formats.errors import InputError
from .ecapa import EcapaEncoder
from .options import ModelOptions
from .pooling import AttentiveStatisticsPooling, StatisticsPooling
from .registry import Registry
from .tdnn import TdnnEncoder

# An encoder takes ModelOptions and has out_channels, trim and min_frames.
ENCODERS: Registry[type[nn.Module]] = Registry("encoder", {"ecapa": EcapaEncoder, "tdnn": TdnnEncoder})
# A pooling takes (channels, ModelOptions) and has out_dim.
POOLINGS: Registry[type[nn.Module]] = Registry(
    "pooling", {"astp": AttentiveStatisticsPooling, "stats": StatisticsPooling}
)

WEIGHTS = "model.safetensors"
DESCRIPTION = "model.json"


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
    """

    def __init__(self, options: ModelOptions) -> None:
        super().__init__()
        check(options)
        self.options = options
        self.encoder = ENCODERS[options.encoder](options)
        self.pooling = POOLINGS[options.pooling](self.encoder.out_channels, options)  # type: ignore[arg-type]
        self.projector = Projector(self.pooling.out_dim, options)  # type: ignore[arg-type]
        self.min_frames: int = self.encoder.min_frames  # type: ignore[assignment]

    def forward(self, features: Tensor, weights: Tensor | None = None) -> Tensor:
        """``features`` [batch, time, feature], ``weights`` [batch, time] (>= 0) or None -> [batch, xvector].

        The weights act in the pooling only. InputError if the utterances are too short or have another
        feature size.
        """
        time, size = features.shape[1:]
        if size != self.options.feature_dim:
            raise InputError(f"features of size {size}, the model was made for {self.options.feature_dim}")
        if time < self.min_frames:
            raise InputError(f"{time} frames, the network needs at least {self.min_frames}")
        if weights is not None:
            trim = self.encoder.trim
            weights = weights[:, trim : time - trim]  # type: ignore[operator]
        return self.projector(self.pooling(self.encoder(features), weights))


def check(options: ModelOptions) -> None:
    """InputError if the options name no network that can be built."""
    for key, value in asdict(options).items():
        if isinstance(value, int) and not isinstance(value, bool) and value < 1:
            raise InputError(f"model option {key} is {value}, it must be at least 1")
    if options.encoder == "ecapa" and (options.scale < 2 or options.channels % options.scale):
        width = options.channels
        raise InputError(
            f"model option scale is {options.scale}: it must be 2 or more and divide {width} channels"
        )


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
    model: SpeakerModel, features: Sequence[np.ndarray], weights: Sequence[np.ndarray] | None = None
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
        return model(batch, weight).float().cpu().numpy()
