"""Learning rate and margin as functions of the step number alone: nothing to save, nothing to drift."""

from __future__ import annotations

import math
from collections.abc import Callable

from ..formats.errors import InputError
from ..models.registry import Registry
from .options import TrainOptions

# What an exponentially growing margin still lacks at the end of its rise, before it is scaled to
# arrive exactly: half of the rise is done after a tenth of the time.
MARGIN_REST = 1e-3


def _exponential(options: TrainOptions, done: float, epoch: float) -> float:
    return options.lr * (options.final_lr / options.lr) ** done


def _cosine(options: TrainOptions, done: float, epoch: float) -> float:
    return options.final_lr + (options.lr - options.final_lr) * (1 + math.cos(math.pi * done)) / 2


def _step(options: TrainOptions, done: float, epoch: float) -> float:
    return max(options.final_lr, options.lr * options.step_factor ** int(epoch / options.step_epochs))


# Each takes the options, the share of the training that is done (0 at the first step, 1 at the last)
# and the epoch with its fraction.
SCHEDULES: Registry[Callable[[TrainOptions, float, float], float]] = Registry(
    "schedule", {"exponential": _exponential, "cosine": _cosine, "step": _step}
)


def learning_rate(step: int, steps_per_epoch: int, options: TrainOptions) -> float:
    """Learning rate of ``step`` (from 0).

    The warm-up multiplies the schedule by a line from 0 to 1: its first step already has a rate above
    0. ``exponential`` and ``cosine`` end at ``final_lr`` with the last step.
    """
    last = max(1, options.epochs * steps_per_epoch - 1)
    warmup = round(options.warmup_epochs * steps_per_epoch)
    share = min(1.0, (step + 1) / warmup) if warmup else 1.0
    rate = SCHEDULES[options.schedule](options, min(1.0, step / last), step / steps_per_epoch)
    return share * rate


def margin(step: int, steps_per_epoch: int, options: TrainOptions) -> float:
    """Margin of ``step``: 0 until ``margin_start_epoch``, ``margin`` from ``margin_end_epoch`` on."""
    epoch = step / steps_per_epoch
    if epoch >= options.margin_end_epoch:
        return options.margin
    if epoch <= options.margin_start_epoch:
        return 0.0
    done = (epoch - options.margin_start_epoch) / (options.margin_end_epoch - options.margin_start_epoch)
    if options.margin_growth == "linear":
        return options.margin * done
    return options.margin * (1 - MARGIN_REST**done) / (1 - MARGIN_REST)


def check(options: TrainOptions) -> None:
    """InputError if the options make no schedule."""
    SCHEDULES[options.schedule]
    if not 0 < options.final_lr <= options.lr:
        raise InputError(f"final_lr is {options.final_lr}: it must be above 0 and at most lr ({options.lr})")
    if options.margin_growth not in ("exponential", "linear"):
        raise InputError(f"unknown margin_growth {options.margin_growth!r}; known: exponential, linear")
    if options.margin_start_epoch > options.margin_end_epoch:
        raise InputError("margin_start_epoch is after margin_end_epoch")
    if options.step_epochs <= 0 or options.warmup_epochs < 0:
        raise InputError("step_epochs must be above 0 and warmup_epochs at least 0")
