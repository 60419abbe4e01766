"""Optimisers and precisions by name."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import nn
from torch.optim import SGD, Adam, AdamW, Optimizer

from ..formats.errors import InputError
from ..models.registry import Registry
from .options import TrainOptions


def _weights(trainee: nn.Module, options: TrainOptions) -> Iterable[Any]:
    # Of the model and of the head, which may have a decay of its own.
    if not options.head_weight_decay:
        return trainee.parameters()
    model, head = trainee.get_submodule("model"), trainee.get_submodule("head")
    own = {"params": list(head.parameters()), "weight_decay": options.head_weight_decay}
    return [{"params": list(model.parameters())}, own]


def _sgd(trainee: nn.Module, options: TrainOptions) -> Optimizer:
    return SGD(
        _weights(trainee, options),
        options.lr,
        options.momentum,
        weight_decay=options.weight_decay,
        nesterov=options.momentum > 0,
    )


def _adam(trainee: nn.Module, options: TrainOptions) -> Optimizer:
    return Adam(_weights(trainee, options), options.lr, weight_decay=options.weight_decay)


def _adamw(trainee: nn.Module, options: TrainOptions) -> Optimizer:
    return AdamW(_weights(trainee, options), options.lr, weight_decay=options.weight_decay)


OPTIMISERS: Registry[Callable[[nn.Module, TrainOptions], Optimizer]] = Registry(
    "optimiser", {"sgd": _sgd, "adam": _adam, "adamw": _adamw}
)
PRECISIONS: Registry[torch.dtype] = Registry(
    "precision", {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}
)


def choose_precision(name: str, device: torch.device) -> torch.dtype:
    """The number format of autocast; InputError if the device is none for it.

    ``auto`` is bf16 where the device multiplies in it (nearly twice as fast as fp32), else fp32.
    """
    if name == "auto":
        return torch.bfloat16 if _has_bf16(device) else torch.float32
    dtype = PRECISIONS[name]
    if dtype == torch.float16 and device.type != "cuda":
        raise InputError("precision fp16 needs a GPU", mend="--train.precision bf16 or fp32")
    return dtype


def _has_bf16(device: torch.device) -> bool:
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    able = torch.cpu.get_capabilities()
    return bool(able.get("avx512_bf16") or able.get("amx_bf16"))
