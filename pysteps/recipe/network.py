"""What only torch knows of a run: whether its network can be built, and how large training's states are."""

from __future__ import annotations

import torch
from torch import nn

from ..formats.run import Run
from ..models.model import SpeakerModel
from ..models.options import ModelOptions
from ..train.losses import LOSSES
from ..train.options import TrainOptions

_A_TENSOR = 300  # bytes around each tensor of a torch file


def build(run: Run, speakers: int) -> tuple[SpeakerModel, nn.Module]:
    """The network and its head without any memory for weights; InputError for what cannot be built."""
    options, train = ModelOptions(**run.options["models"]), TrainOptions(**run.options["train"])
    with torch.device("meta"):
        return SpeakerModel(options), LOSSES[train.loss](options.xvector_dim, speakers, train)


def state_bytes(run: Run, speakers: int) -> tuple[float, float]:
    """Bytes of the model's file, and of a state to go on from (with head and optimiser)."""
    model, head = build(run, speakers)
    tensors = [*model.state_dict().values(), *head.state_dict().values()]
    alone = sum(map(_bytes, model.state_dict().values()))
    weights = [*model.parameters(), *head.parameters()]
    adam = run.options["train"]["optimiser"] == "adamw"
    moments = 2 if adam else 1 if run.options["train"]["momentum"] else 0
    state = sum(map(_bytes, tensors)) + moments * sum(map(_bytes, weights))
    return alone, state + _A_TENSOR * (moments + adam) * len(weights)


def _bytes(tensor: torch.Tensor) -> float:
    return tensor.numel() * tensor.element_size() + _A_TENSOR
