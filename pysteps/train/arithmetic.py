"""Optimisers and precisions by name."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import nn
from torch.optim import SGD, AdamW, Optimizer

from ..formats.errors import InputError
from ..models.registry import Registry
from .options import TrainOptions


def _sgd(model: nn.Module, options: TrainOptions) -> Optimizer:
    return SGD(
        model.parameters(),
        options.lr,
        options.momentum,
        weight_decay=options.weight_decay,
        nesterov=options.momentum > 0,
    )


def _adamw(model: nn.Module, options: TrainOptions) -> Optimizer:
    return AdamW(model.parameters(), options.lr, weight_decay=options.weight_decay)


OPTIMISERS: Registry[Callable[[nn.Module, TrainOptions], Optimizer]] = Registry(
    "optimiser", {"sgd": _sgd, "adamw": _adamw}
)
PRECISIONS: Registry[torch.dtype] = Registry(
    "precision", {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}
)


def choose_precision(name: str, device: torch.device) -> torch.dtype:
    """The number format of autocast; InputError if the device is none for it."""
    dtype = PRECISIONS[name]
    if dtype == torch.float16 and device.type != "cuda":
        raise InputError("precision fp16 needs a GPU", mend="--train.precision bf16 or fp32")
    return dtype
