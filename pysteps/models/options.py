"""What can be set about a model (conf/models/NAME.yaml). Imports no torch: the driver reads it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..formats.errors import InputError
from .architectures import ENCODERS, POOLINGS, filled


@dataclass
class ModelOptions:
    """A model: encoder (frames to frames), pooling (frames to one vector), projector (to the x-vector).

    encoder, pooling: their names; network, pool: what each of them has of options (architectures.py), those
    not named at their defaults. pooled_norm: batch normalisation of the pooled vector, before the
    projector's linear layer; xvector_norm: of the x-vector, after it. xvector_dim: size of the x-vector.
    feature_dim: size of a frame of features. A conf file has that of the paper's; a run fills in its own.
    """

    encoder: str = "ecapa"
    network: dict[str, Any] = field(default_factory=dict)
    pooling: str = "astp"
    pool: dict[str, Any] = field(default_factory=dict)
    pooled_norm: bool = True
    xvector_norm: bool = True
    xvector_dim: int = 192
    feature_dim: int = 80

    def __post_init__(self) -> None:
        for name in ("xvector_dim", "feature_dim"):
            if getattr(self, name) < 1:
                raise InputError(f"model option {name} is {getattr(self, name)}, it must be at least 1")
        self.network = filled(ENCODERS, self.encoder, self.network)
        self.pool = filled(POOLINGS, self.pooling, self.pool)


def weights_from(options: Mapping[str, Any]) -> list[Path]:
    """Files outside the run that a network begins with, by its ModelOptions as a table: an SSL front end's
    weights. Training's stamp has them among what it read."""
    folder = options["network"].get("folder", "")
    return [Path(folder) / "model.safetensors"] if folder else []
