"""A step of training asks for deterministic arithmetic (pysteps/train/world.py); on a GPU torch ends where it
has none. Without one, a step's operations are held against those that torch's documentation names.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch.nn import functional as F
from torch.utils._python_dispatch import TorchDispatchMode

from pysteps.models.architectures import POOLINGS, filled
from pysteps.models.model import SpeakerModel, build
from pysteps.models.options import ModelOptions
from tests.test_models_mirror import MIRRORED
from tests.test_models_zoo import SMALL, utterances
from tests.test_train_losses import EVERY, head
from tests.zoo import full, shrunk

# torch.use_deterministic_algorithms of torch 2.13, what raises a RuntimeError with CUDA.
RAISES = re.compile(
    r"aten\.(avg_pool3d_backward|_adaptive_avg_pool\dd_backward|adaptive_max_pool\dd_backward"
    r"|fractional_max_pool\dd_backward|max_unpool\dd|_?upsample_(linear|bi|tri)\w*_backward"
    r"|reflection_pad\dd_backward|nll_loss2d\w*|_ctc_loss_backward|_embedding_bag\w*backward|put_?|histc|bincount"
    r"|(nan)?median|grid_sampler_\dd_backward|cumsum|scatter_reduce|resize_)\b"
)


class Operations(TorchDispatchMode):
    """Names of all that torch does within the block, on the way back too."""

    def __init__(self) -> None:
        super().__init__()
        self.names: set[str] = set()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.names.add(str(func))
        return func(*args, **(kwargs or {}))


def raising(work: Callable[[], torch.Tensor]) -> list[str]:
    """Of what ``work`` and the way back from its sum do, that for which a GPU has nothing deterministic."""
    with Operations() as seen:
        work().sum().backward()
    return sorted(name for name in seen.names if RAISES.match(name))


def test_what_would_raise_is_seen() -> None:
    image = torch.randn(2, 3, 8, requires_grad=True)
    assert raising(lambda: F.pad(image, (2, 2), mode="reflect")) == ["aten.reflection_pad1d_backward.default"]
    assert raising(lambda: F.interpolate(image, 5, mode="linear"))
    assert raising(lambda: F.relu(image).cumsum(1))


def step(options: ModelOptions) -> Callable[[], torch.Tensor]:
    torch.manual_seed(4)
    model = SpeakerModel(options).train()
    features = utterances(model, 4, model.min_frames + 30)
    return lambda: model(features)


@pytest.mark.parametrize("name", SMALL)
def test_a_networks_step_is_deterministic(name: str) -> None:
    assert raising(step(shrunk(full(name)))) == []


@pytest.mark.parametrize("name", MIRRORED)
def test_a_mirrored_networks_step_is_deterministic(name: str) -> None:
    assert raising(step(MIRRORED[name])) == []


@pytest.mark.parametrize("name", POOLINGS.names())
def test_a_poolings_step_is_deterministic(name: str) -> None:
    pooling = build(POOLINGS[name], filled(POOLINGS, name, {}), 16).train()
    frames, weights = torch.randn(2, 30, 16, requires_grad=True), torch.rand(2, 30)
    assert raising(lambda: pooling(frames, weights)) == []


@pytest.mark.parametrize("line", EVERY)
def test_a_losss_step_is_deterministic(line: str) -> None:
    made, labels = head(line).train(), torch.tensor([3, 3, 0, 0, 2, 2])
    xvectors = torch.randn(6, 3, requires_grad=True)
    assert raising(lambda: made(xvectors, labels, 0.2)[0]) == []
