"""What a training is going to do: its phases, archives and steps of each, and what decides its weights."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, replace
from typing import Any

import numpy as np

from ..egs.reader import ArchiveInfo
from ..formats.errors import InputError
from ..formats.rng import generator
from ..models.options import ModelOptions
from . import schedules
from .arithmetic import OPTIMISERS
from .balance import refuse_unbalanced
from .data import EgsSource, steps_per_epoch
from .line import check_loss, judges_alone
from .options import TrainOptions, check_init, deciding
from .phases import check_phase, needs_judging, phases_of
from .weights import class_weights


class Plan:
    """The training's own ``options``, the ``phases`` (options of each), and for every phase its ``archives``
    and the ``steps`` of an epoch, on average.

    InputError where the egs do not serve a phase; all are looked at before the first begins. ``judged``:
    whether there is a development set.
    """

    def __init__(
        self,
        options: TrainOptions,
        model_options: ModelOptions,
        source: EgsSource,
        width: int,
        judged: bool,
    ) -> None:
        self.options, self.phases, self.egs = options, phases_of(options), source.plan()
        self.model_options, self.width = replace(model_options, feature_dim=self.egs.feature_dim), width
        self.archives = [self._archives(phase) for phase in self.phases]
        # [class]: what the losses of its chunks are multiplied with; None: nothing
        self.weights = class_weights(source, self.egs) if options.class_weights == "balanced" else None
        self.steps = []
        for phase, archives in zip(self.phases, self.archives, strict=True):
            self.steps.append(self._steps(phase, archives) / phase.epoch_parts)
            refuse_unbalanced(source, archives, phase, width)
            if not self.steps[-1]:
                raise InputError("no archive holds enough chunks for a step", mend="lower --train.batch_size")
            if len(archives) < phase.epoch_parts:
                said = f"epoch_parts {phase.epoch_parts}: there are {len(archives)} archives"
                raise InputError(said, mend="lower it, or --egs.archive_chunks")
            wanted = needs_judging(phase)
            if wanted and not judged and not (self.egs.valid and judges_alone(phase.loss)):
                raise InputError(
                    f"{wanted} needs epochs that are judged, and there is neither a development set nor are "
                    "there held-out chunks for this loss",
                    mend="--egs.valid_share 0.03",
                )

    def _steps(self, phase: TrainOptions, archives: Sequence[ArchiveInfo]) -> int:
        return steps_per_epoch(archives, phase.batch_size, self.width, phase.utterances_per_speaker)

    def _archives(self, phase: TrainOptions) -> list[ArchiveInfo]:
        found = self.egs.archives if phase.chunks == "train" else self.egs.long
        if not found and phase.chunks == "long":
            raise InputError("chunks long: these egs have no long chunks", mend="--egs.long_seconds 6")
        return [info for info in found if self._steps(phase, [info])] if phase.epoch_parts > 1 else found

    def archives_of(self, place: int, epoch: int) -> list[ArchiveInfo]:
        """What phase ``place`` reads in ``epoch`` (of the training, both from 0); where an epoch is a part,
        they are dealt anew when all have been read."""
        archives, parts = self.archives[place], self.phases[place].epoch_parts
        if parts == 1:
            return archives
        turn, part = divmod(epoch, parts)
        order = generator(self.options.seed, "parts", "train", epoch=turn).permutation(len(archives))
        return [archives[index] for index in np.array_split(order, parts)[part]]

    def steps_of(self, place: int, epoch: int) -> int:
        """Steps of an epoch of a phase; see ``archives_of``."""
        return self._steps(self.phases[place], self.archives_of(place, epoch))

    def last_epoch(self, starts: Sequence[int]) -> int:
        """The training's last epoch if no phase from now on ends early; ``starts`` of the phases so far."""
        return starts[-1] + sum(phase.epochs for phase in self.phases[len(starts) - 1 :])

    def identity(self, precision: object) -> dict[str, Any]:
        """What decides the weights; a checkpoint of another identity is refused."""
        own = {f"train.{key}": value for key, value in deciding(asdict(self.options)).items()}
        own |= {f"models.{key}": value for key, value in asdict(self.model_options).items()}
        read = [info for part in ([self.egs.archives], self.archives) for some in part for info in some]
        archives = dict.fromkeys(f"{info.name} {info.chunks} {info.frames}" for info in read)
        return own | {
            "egs.archives": " ".join(archives),
            "egs.speakers": self.egs.num_speakers,
            "steps an epoch": self.steps,
            "arithmetic": str(precision),  # what precision auto came to
        }


def check(options: TrainOptions) -> None:
    """InputError if the options cannot be trained with."""
    for number, phase in enumerate(phases_of(options), 1):
        try:
            _check(phase)
        except InputError as error:
            if number == 1:
                raise
            raise InputError(f"phase {number}: {error}") from None


def _check(options: TrainOptions) -> None:
    check_init(options)
    positive = ("epochs", "batch_size", "average", "checkpoint_steps", "keep", "threads", "lr", "scale")
    for key in (*positive, "accumulate", "epoch_parts"):
        if getattr(options, key) <= 0:
            raise InputError(f"{key} is {getattr(options, key)}, it must be above 0", mend=f"--train.{key}")
    if options.batch_size < 2:
        raise InputError("batch_size is 1: batch normalisation needs 2", mend="--train.batch_size")
    check_loss(options.loss, options.batch_size, options.utterances_per_speaker)
    OPTIMISERS[options.optimiser]
    schedules.check(options)
    check_phase(options)
