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
