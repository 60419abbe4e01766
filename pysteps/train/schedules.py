"""Learning rate and margin as functions of the step's number and the epochs so far: nothing to save, nothing
to drift. Steps and epochs are those of the phase."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

from ..formats.errors import InputError
from ..models.registry import Registry
from .options import TrainOptions

# What an exponentially growing margin still lacks at the end of its rise, before it is scaled to
# arrive exactly: half of the rise is done after a tenth of the time.
MARGIN_REST = 1e-3
CYCLE_BEGIN = 25  # onecycle: lr divided by this is where it begins


class Place(NamedTuple):
    """Where a step (from 0) stands: in epochs with their fraction, as a share of the phase (0 at its first
    step, 1 at its last), before the last step of the warm-up (a step's number, -1 without one), and what the
    epochs before were judged by, less being better."""

    step: int
    last: float
    epoch: float
    done: float
    risen: int
    judged: Sequence[float]


def _exponential(options: TrainOptions, place: Place) -> float:
    return options.lr * (options.final_lr / options.lr) ** place.done


def _between(low: float, high: float, done: float) -> float:
    return low + (high - low) * (1 + math.cos(math.pi * done)) / 2


def _cosine(options: TrainOptions, place: Place) -> float:
    return _between(options.final_lr, options.lr, place.done)


def _step(options: TrainOptions, place: Place) -> float:
    return max(options.final_lr, options.lr * options.step_factor ** int(place.epoch / options.step_epochs))


def _onecycle(options: TrainOptions, place: Place) -> float:
    # Smith and Topin, 2018 (arXiv:1708.07120), in cosines up and down, as torch's OneCycleLR.
    if place.step < place.risen:
        return _between(options.lr, options.lr / CYCLE_BEGIN, place.step / place.risen)
    down = (place.step - max(0, place.risen)) / max(1, place.last - max(0, place.risen))
    return _between(options.final_lr, options.lr, down)


def _triangular2(options: TrainOptions, place: Place) -> float:
    # Smith, 2017 (arXiv:1506.01186), section 3.2: up and down in straight lines, half as high every cycle.
    cycle, within = divmod(place.epoch / options.step_epochs, 1.0)
    return options.final_lr + (options.lr - options.final_lr) * 2.0**-cycle * (1 - abs(2 * within - 1))


def _plateau(options: TrainOptions, place: Place) -> float:
    falls = plateaus(place.judged, options.plateau_patience)
    return max(options.final_lr, options.lr * options.step_factor**falls)


def plateaus(judged: Sequence[float], patience: int) -> int:
    """How often more than ``patience`` epochs after each other, counted anew each time, were no better than
    the best before them."""
    best, waited, found = math.inf, 0, 0
    for value in judged:
        best, waited = (value, 0) if value < best else (best, waited + 1)
        if waited > patience:
            waited, found = 0, found + 1
    return found


SCHEDULES: Registry[Callable[[TrainOptions, Place], float]] = Registry(
    "schedule",
    {
        "exponential": _exponential,
        "cosine": _cosine,
        "onecycle": _onecycle,
        "plateau": _plateau,
        "step": _step,
        "triangular2": _triangular2,
    },
)
RISES = ("onecycle", "triangular2")  # the rise is their own: no warm-up before it


def learning_rate(
    step: int, steps_per_epoch: float, options: TrainOptions, judged: Sequence[float] = ()
) -> float:
    """Learning rate of ``step`` (from 0), the epochs before it being ``judged`` (plateau looks at that).

    The warm-up multiplies the schedule by a line from 0 to 1: its first step already has a rate above
    0. ``exponential``, ``cosine`` and ``onecycle`` end at ``final_lr`` with the last step.
    """
    last = max(1, options.epochs * steps_per_epoch - 1)
    warmup = round(options.warmup_epochs * steps_per_epoch)
    share = min(1.0, (step + 1) / warmup) if warmup and options.schedule not in RISES else 1.0
    place = Place(step, last, step / steps_per_epoch, min(1.0, step / last), warmup - 1, judged)
    rate = SCHEDULES[options.schedule](options, place)
    if options.lr_batch:
        rate *= options.batch_size / options.lr_batch
    return share * rate


def margin(step: int, steps_per_epoch: float, options: TrainOptions) -> float:
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
