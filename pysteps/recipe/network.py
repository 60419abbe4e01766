"""What only torch knows of a run: whether its network can be built, and how large training's states are."""

from __future__ import annotations

import torch
from torch import nn

from ..formats.run import Run
from ..models.model import SpeakerModel
from ..models.options import ModelOptions
from ..train.losses import build_head
from ..train.options import TrainOptions
from ..train.phases import phases_of

_A_TENSOR = 300  # bytes around each tensor of a torch file


def build(run: Run, speakers: int) -> tuple[SpeakerModel, nn.Module]:
    """The network and its head without any memory for weights; InputError for what cannot be built."""
    options, train = ModelOptions(**run.options["models"]), TrainOptions(**run.options["train"])
    with torch.device("meta"):
        return SpeakerModel(options), build_head(train.loss, options.xvector_dim, speakers, train)


def state_bytes(run: Run, speakers: int) -> tuple[float, float]:
    """Bytes of a model with its loss, and of a state to go on from (with the optimiser's and a running mean):
    of the phase of training whose are most."""
    model, train = build(run, speakers)[0], TrainOptions(**run.options["train"])
    found = []
    for phase in phases_of(train):
        with torch.device("meta"):
            head = build_head(phase.loss, model.options.xvector_dim, speakers, phase)
        weights = [*model.parameters(), *head.parameters()]
        both = sum(map(_bytes, [*model.state_dict().values(), *head.state_dict().values()]))
        adam = phase.optimiser != "sgd"
        moments = 2 if adam else 1 if phase.momentum else 0
        state = (2 if phase.ema else 1) * both + moments * sum(map(_bytes, weights))
        found.append((both, state + _A_TENSOR * (moments + adam) * len(weights)))
    return max(both for both, _ in found), max(state for _, state in found)


def _bytes(tensor: torch.Tensor) -> float:
    return tensor.numel() * tensor.element_size() + _A_TENSOR
