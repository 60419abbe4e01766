"""Stage 6, train: a network and its loss on the egs, judged every epoch on the development speakers."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from ..egs import live
from ..formats import scratch
from ..formats.atomic import asking
from ..formats.run import Run
from ..formats.stamps import Unit
from ..formats.tables import read_table
from ..models.options import weights_from
from . import owner
from .develop import LabelledSet
from .options import WANTED, TrainOptions, deciding

NAME = "train"
WEIGHTS, DESCRIPTION = "model.safetensors", "model.json"
LOSS = ("head.safetensors", "speakers")  # beside a model that was trained here
VERSION = 1


def units(run: Run) -> list[Unit]:
    """One unit: the model."""
    dev = run.of("features", run.dev_set)
    model = run.options[NAME]["model"]
    given: list[Path] = []
    if (folder := model or run.options[NAME]["init"]) and folder != WANTED:
        given = [Path(folder) / name for name in (WEIGHTS, DESCRIPTION)]
        given += [path for name in LOSS if (path := Path(folder) / name).is_file()]
    given += [] if model else weights_from(run.options["models"])
    trained = (
        run.egs / "egs.json",
        run.egs / "speakers",
        dev / "feats.scp",
        run.data / run.dev_set / "utt2spk",
        *([run.data / run.dev_set / run.labels] if run.labels else []),
        *live.pools(run),
    )
    return [
        Unit(
            name=run.tag,
            stage=NAME,
            folder=run.exp,
            version=VERSION,
            options={
                **deciding(run.options[NAME]),
                "models": run.options["models"],
                **({"labels": run.labels} if run.labels else {}),
                **({"augment": live.deciding(run)} if live.augments_live(run) else {}),
            },
            inputs=(*given, *(() if model else trained)),
            upstream=(dev / ".features.done.json",)
            if model
            else (run.egs / ".egs.done.json", dev / ".features.done.json"),
            outputs=(run.exp / "model" / "model.safetensors", run.exp / "model" / "model.json"),
        )
    ]


def reset(run: Run, unit: Unit) -> None:
    """Forget checkpoints: --force trains from the beginning."""
    owner.give_up(unit)


class DevelopmentSet:
    """Development utterances and all their pairs, at most ``limit`` utterances (evenly chosen)."""

    def __init__(self, run: Run, limit: int = 500) -> None:
        self._run = run
        utts = sorted(read_table(run.of("features", run.dev_set) / "feats.scp"))
        utts = [utts[round(index)] for index in np.linspace(0, len(utts) - 1, min(limit, len(utts)))]
        utt2spk = run.set(run.dev_set).utt2spk()
        speakers = np.unique([utt2spk[utt] for utt in utts], return_inverse=True)[1]
        self.enrol, self.test = np.triu_indices(len(utts), 1)
        self.target = speakers[self.enrol] == speakers[self.test]
        self._utts = utts

    def utterances(self) -> Iterator[tuple[str, np.ndarray]]:
        """(utterance, features [time, feature]) in the order that ``trials`` counts them."""
        from ..features.voiced import VoicedFeatures

        with VoicedFeatures(self._run, self._run.dev_set) as voiced:
            for utt in self._utts:
                yield utt, voiced.matrix(utt)

    @property
    def trials(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Indices of the two utterances of every pair, and whether it is a target pair."""
        return self.enrol, self.test, self.target


def do(run: Run, unit: Unit, after_epoch: Callable[[list[dict[str, Any]]], None] | None = None) -> None:
    """Train, or go on where an interrupted training of the same options stopped; ``after_epoch``: see
    loop.run_training."""
    from ..egs.source import open_egs
    from ..features.contract import read
    from ..models.options import ModelOptions
    from .crew import crew
    from .data import on_scratch
    from .loop import run_training

    if run.options[NAME]["model"]:
        _take(run)
        return
    options = TrainOptions(**run.options[NAME])
    with (
        on_scratch(open_egs(run), scratch.chosen()) as egs,
        crew(egs, options.workers) as source,
        ExitStack() as writing,
    ):

        def before() -> None:
            if int(os.environ.get("RANK", "0")) == 0:
                owner.take_up(unit)
            writing.enter_context(asking(partial(owner.refuse_another, unit, unit.key())))

        run_training(
            options,
            ModelOptions(**run.options["models"]),
            source,
            LabelledSet(run, source.plan().speakers) if run.labels else DevelopmentSet(run),
            run.exp,
            read(run.egs),
            before=before,
            after_epoch=after_epoch,
        )


def _take(run: Run) -> None:
    # Features of the development set stand for all: they are there without egs too.
    from ..features.contract import read
    from ..models.options import ModelOptions
    from .start import stand_in

    if int(os.environ.get("RANK", "0")) == 0:
        folder, contract = Path(run.options[NAME]["model"]), read(run.of("features", run.dev_set))
        stand_in(folder, ModelOptions(**run.options["models"]), contract, run.exp / "model")
        print(f"train: the model of {folder}, as it is", file=sys.stderr)
