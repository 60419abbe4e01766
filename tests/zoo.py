"""The networks of conf/models for tests: as they are, and shrunk to a size that takes milliseconds."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from pysteps.models.model import SpeakerModel
from pysteps.models.options import ModelOptions
from pysteps.models.zoo import read_options

CONF = Path(__file__).resolve().parent.parent / "conf" / "models"
NAMES = sorted(path.stem for path in CONF.glob("*.yaml"))
_WIDTHS = {"channels": 16, "frame_channels": 24}
# What is smaller in a shrunk network. All that makes a network another one (its block, its attention, its
# strides, its back end) stays as the conf file has it.
_NETWORK: dict[str, dict[str, Any]] = {
    "aret": {**_WIDTHS, "groups": 4},
    "campplus": {"channels": 8, "front_channels": 4, "growth": 4, "bottleneck": 2, "layers": [2, 2, 2]},
    "cnn": {"channels": [4, 4, 6, 8], "convolutions": 1},
    "conformer": {"channels": 8, "blocks": 2, "heads": 2, "hidden_channels": 16},
    "conv1d": {"channels": [16, 16, 16, 16, 24]},
    "conv2d": {**_WIDTHS, "front_channels": [4, 8], "groups": 4},
    "dtdnn": {"channels": 12, "growth": 8, "layers": [2, 2]},
    "ecapa": {**_WIDTHS, "scale": 4, "se_channels": 8},
    "eres2netv2": {"channels": 8, "blocks": [1, 1, 1, 1], "base_width": 32},
    "etdnn": _WIDTHS,
    "ftdnn": {"first_channels": 12, "channels": 16, "bottleneck": 8, "frame_channels": 24},
    "identity": {},
    "lstm": {"hidden": 12, "layers": 2},
    "redimnet": {"channels": 4, "stages": [[1, 1, 2, 0], [2, 1, 1, 2], [2, 1, 1, 2]]},
    "rescnn": {"channels": 4, "blocks": 1},
    "resnet": {"channels": 4, "blocks": [1, 1, 1, 1]},
    "resnet_preact": {"channels": [4, 4, 8, 8], "blocks": [1, 1, 1, 1]},
    "ssl": {**_WIDTHS, "lora_rank": 2},
    "tdnn": _WIDTHS,
}
_POOL: dict[str, Any] = {"attention_channels": 8, "segment_channels": 12, "channels": [4, 6, 8]}
SSL: dict[str, Any] = {
    "hidden_size": 16,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 24,
    "conv_dim": (8,) * 7,
    "num_conv_pos_embeddings": 16,
    "num_conv_pos_embedding_groups": 2,
}


def full(name: str) -> ModelOptions:
    """A conf file; an SSL front end in its published base size."""
    return read_options(CONF / f"{name}.yaml")


def shrunk(options: ModelOptions) -> ModelOptions:
    """The same network with few channels and few blocks, for 16 features and x-vectors of 10 numbers."""
    network = {**options.network, **_NETWORK[options.encoder]}
    if options.encoder == "lstm":
        network["projection"] = min(8, network["projection"])
    if options.encoder == "redimnet":
        network["group"] = min(2, network["group"])
    if options.encoder == "ssl":
        network["config"] = {**SSL, **network["config"]}
    pool = {**options.pool, **{key: value for key, value in _POOL.items() if key in options.pool}}
    size = options.feature_dim if options.encoder == "ssl" else 16
    return replace(options, network=network, pool=pool, xvector_dim=10, feature_dim=size)


def distinct() -> list[str]:
    """Names of which no two are shrunk to the same network: B1 and B2 of ReDimNet are one."""
    found: dict[str, str] = {}
    for name in NAMES:
        found.setdefault(repr(shrunk(full(name))), name)
    return list(found.values())


def seen(options: ModelOptions) -> SpeakerModel:
    """The network in evaluation mode; its normalisations have seen data, so that no statistic is 0 or 1."""
    torch.manual_seed(1)
    model = SpeakerModel(options)
    with torch.no_grad():
        for _ in range(3):
            model(torch.randn(4, model.min_frames + 30, options.feature_dim) * 2 + 1)
    return model.eval()
