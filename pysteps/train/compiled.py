"""The network translated by torch.compile, for any batch and time: once for all lengths."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from ..formats.errors import InputError

# Channels innermost in all convolutions, as our networks lay them. Without it the gradient of a convolution
# makes torch 2.13's inductor take the time for a constant (guard_int_seq in convolution_backward_lowering).
OPTIONS = {"force_layout_optimization": True}


def compiled(model: nn.Module) -> Callable[[Tensor], Tensor]:
    """``model`` [batch, time, feature] -> [batch, xvector], translated when it is first called.

    Only training goes this way: models are judged and written as they are. InputError where no compiler is.
    """
    names = [os.environ.get("CXX") or "g++", "clang++"]
    if not any(shutil.which(name) for name in names):
        said = f"compile needs a C++ compiler, and {' and '.join(names)} are not here"
        raise InputError(said, mend="install g++, or --train.compile false")
    _know_sizes()
    through = torch.compile(model.forward, options=dict(OPTIONS))

    def call(features: Tensor) -> Tensor:
        for place in (0, 1):
            torch._dynamo.mark_dynamic(features, place)
        return through(features)

    return call


def _know_sizes() -> None:
    # torch 2.13's inductor puts strides that are formulas of the time (8 t - 32, where a network loses frames
    # at its ends) in order without what it knows of t, and fails ("truth value of Relational"). It is told.
    from torch._inductor import ir
    from torch._inductor.virtualized import V

    order = ir.get_stride_order
    if order.__module__ == __name__:
        return

    def get_stride_order(strides: Sequence[Any], known: Any = None) -> Sequence[int]:
        try:
            return order(strides, known)
        except TypeError:
            return order(strides, V.graph.sizevars.shape_env)

    ir.get_stride_order = get_stride_order  # type: ignore[assignment]


def translations() -> int:
    """How many have been made in this process."""
    return int(torch._dynamo.utils.counters["stats"]["unique_graphs"])
