"""The training loop. Read it from ``run_training`` down.

Everything that happens is decided by the options, the egs and the number of the step; so a training
that was killed goes on from its newest checkpoint to the very bytes that it would have reached.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from ..formats.errors import InputError
from ..formats.progress import Progress
from ..formats.rng import generator
from ..models.model import SpeakerModel, save_model
from ..models.options import ModelOptions
from . import schedules
from .arithmetic import OPTIMISERS, choose_precision
from .checkpoint import Checkpoints, refuse_changes, state_of
from .curves import write_curves, write_events
from .data import Batch, EgsSource, batches, steps_per_epoch
from .judge import DevelopmentSet, judge_chunks, judge_speakers
from .losses import LOSSES
from .options import FREE, TrainOptions
from .world import World, exact, joined, keep_memory


def run_training(
    options: TrainOptions,
    model_options: ModelOptions,
    source: EgsSource,
    dev: DevelopmentSet | None,
    out: Path,
    contract: Mapping[str, Any],
    *,
    stop_after: int | None = None,
) -> None:
    """Train on ``source``, or go on where an interrupted training stopped.

    Writes ``out``/checkpoints/, ``out``/curves.jsonl (a line an epoch) and in the end ``out``/model/:
    the mean of the last epochs' models, with ``contract``, the feature contract. ``dev`` gives the EER
    of each epoch. Under torchrun every process calls this. ``stop_after`` a step leaves as a kill
    would (for tests). InputError names what is wrong with options or egs, and the batch whose loss is
    not finite.
    """
    check(options)
    keep_memory()
    with exact(options.threads), joined(options.device) as world:
        training = Training(options, model_options, source, out, world)
        training.resume()
        while training.epoch < options.epochs:
            if not training.run_epoch(stop_after):
                return
            training.close_epoch(dev)
        if world.first:
            training.finish(contract)
        world.wait()


class Trainee(nn.Module):
    """Model and head as the one module that torchrun's processes keep in step."""

    def __init__(self, model: SpeakerModel, head: nn.Module) -> None:
        super().__init__()
        self.model, self.head = model, head

    def forward(self, features: Tensor, labels: Tensor, margin: float) -> tuple[Tensor, Tensor]:
        return self.head(self.model(features), labels, margin)


class Training:
    """All that changes while training, and the steps that change it."""

    def __init__(
        self, options: TrainOptions, model_options: ModelOptions, source: EgsSource, out: Path, world: World
    ) -> None:
        self.options, self.source, self.out, self.world = options, source, Path(out), world
        self.plan = source.plan()
        self.model_options = replace(model_options, feature_dim=self.plan.feature_dim)
        self.per_epoch = steps_per_epoch(self.plan.archives, options.batch_size, world.width)
        if not self.per_epoch:
            raise InputError("no archive holds enough chunks for a step", mend="lower --train.batch_size")
        self.precision = choose_precision(options.precision, world.device)
        # torch's own initialisers draw the first weights, from a seed that says what it is for.
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(int(generator(options.seed, "weights", "train").integers(2**62)))
            self.model = SpeakerModel(self.model_options)
            head = LOSSES[options.loss](self.model_options.xvector_dim, self.plan.num_speakers, options)
        self.trainee = Trainee(self.model, head).to(world.device)
        self.optimiser = OPTIMISERS[options.optimiser](self.trainee, options)
        self.scaler = torch.amp.GradScaler(world.device.type, enabled=self.precision == torch.float16)
        self.checkpoints = Checkpoints(self.out / "checkpoints")
        self.epoch = self.batch = 0
        self.totals = torch.zeros(3, dtype=torch.float64, device=world.device)  # loss, correct, chunks
        self.curves: list[dict[str, Any]] = []
        self.seconds = 0.0

    @property
    def step(self) -> int:
        """Steps that are done."""
        return self.epoch * self.per_epoch + self.batch

    def identity(self) -> dict[str, Any]:
        """What decides the weights; a checkpoint of another identity is refused."""
        own = {f"train.{key}": value for key, value in asdict(self.options).items() if key not in FREE}
        own |= {f"models.{key}": value for key, value in asdict(self.model_options).items()}
        archives = [f"{info.name} {info.chunks} {info.frames}" for info in self.plan.archives]
        return own | {
            "egs.archives": " ".join(archives),
            "egs.speakers": self.plan.num_speakers,
            "steps an epoch": self.per_epoch,
            "arithmetic": str(self.precision),  # what precision auto came to
        }

    def save(self) -> None:
        """Write a checkpoint; the processes' counts become one in the first."""
        totals = self.world.sum(self.totals.clone())
        self.totals = totals if self.world.first else torch.zeros_like(totals)
        if self.world.first:
            state = {
                "identity": self.identity(),
                "trainee": self.trainee.state_dict(),
                "optimiser": self.optimiser.state_dict(),
                "scaler": self.scaler.state_dict(),
                "epoch": self.epoch,
                "batch": self.batch,
                "totals": totals,
                "curves": self.curves,
                "seconds": self.seconds,
                "processes": self.world.width,
            }
            self.checkpoints.save(state, self.step)
        self.world.wait()

    def resume(self) -> None:
        """Take the newest checkpoint's place, if there is one."""
        content = self.checkpoints.newest_bytes() if self.world.first else b""
        state = state_of(self.world.share(content))
        if state is not None:
            refuse_changes(state["identity"], self.identity(), self.checkpoints.folder)
            self.trainee.load_state_dict(state["trainee"])
            self.optimiser.load_state_dict(state["optimiser"])
            self.scaler.load_state_dict(state["scaler"])
            self.epoch, self.batch = state["epoch"], state["batch"]
            self.curves, self.seconds = state["curves"], state["seconds"]
            if self.world.first:
                self.totals = state["totals"].to(self.world.device)
                print(f"train: going on after step {self.step}", file=sys.stderr)
                if state["processes"] != self.world.width:
                    print("train: another number of processes: same chunks, other bits", file=sys.stderr)
        if self.world.first:
            write_curves(self.curves, self.out / "curves.jsonl")
        # Nothing writes here before every process has read.
        self.world.wait()

    def run_epoch(self, stop_after: int | None = None) -> bool:
        """The rest of an epoch's steps; False if stopped on the way."""
        options, world = self.options, self.world
        # Made here, after resume: torch copies the first process's weights to the others.
        forward: nn.Module = self.trainee
        if world.width > 1:
            forward = DistributedDataParallel(self.trainee)
        self.trainee.train()
        start, before = time.monotonic(), self.seconds
        label = f"train epoch {self.epoch + 1}/{options.epochs}"
        progress = Progress(self.per_epoch - self.batch, "steps", label, quiet=not world.first)
        for batch in batches(
            self.source,
            self.plan.archives,
            self.epoch,
            options,
            first=self.batch,
            rank=world.rank,
            width=world.width,
        ):
            if stop_after is not None and self.step >= stop_after:
                return False
            self.one_step(forward, batch)
            self.batch += 1
            self.seconds = before + time.monotonic() - start
            progress.update()
            # The last batch's checkpoint is close_epoch's, after the epoch was judged.
            if self.batch < self.per_epoch and self.step % options.checkpoint_steps == 0:
                self.save()
        progress.close()
        return True

    def one_step(self, forward: nn.Module, batch: Batch) -> None:
        """Forward, backward, update: the whole of learning."""
        options, device = self.options, self.world.device
        rate = schedules.learning_rate(self.step, self.per_epoch, options)
        margin = schedules.margin(self.step, self.per_epoch, options)
        for group in self.optimiser.param_groups:
            group["lr"] = rate
        seed = generator(options.seed, str(self.world.rank), "step", epoch=self.step)
        torch.manual_seed(int(seed.integers(2**62)))  # dropout, where a network has it
        features = torch.from_numpy(batch.features).to(device)
        labels = torch.from_numpy(batch.labels).to(device)
        with torch.autocast(device.type, self.precision, enabled=self.precision != torch.float32):
            losses, logits = forward(features, labels, margin)
        # Gradients are averaged over processes; the share makes that the mean over all chunks.
        loss = losses.mean() * batch.share
        self.refuse_not_finite(losses, batch, rate)
        self.optimiser.zero_grad(set_to_none=True)
        self.scaler.scale(loss).backward()
        if options.clip_norm:
            self.scaler.unscale_(self.optimiser)
            nn.utils.clip_grad_norm_(self.trainee.parameters(), options.clip_norm)
        self.scaler.step(self.optimiser)
        self.scaler.update()
        correct = (logits.argmax(1) == labels).sum()
        self.totals += torch.stack(
            (losses.detach().double().sum(), correct.double(), correct.new_tensor(len(labels)).double())
        )

    def refuse_not_finite(self, losses: Tensor, batch: Batch, rate: float) -> None:
        """InputError with the batch's name if a loss is NaN or infinite."""
        finite = torch.isfinite(losses)
        if bool(finite.all()):
            return
        broken = ~np.isfinite(batch.features).all(axis=(1, 2))
        # Batch normalisation spreads one broken chunk over all: say which one it was.
        rows = batch.rows[broken] if broken.any() else batch.rows[~finite.cpu().numpy()]
        cause = "features are not finite" if broken.any() else "features are finite, losses are not"
        raise InputError(
            f"the loss is not finite at step {self.step} (epoch {self.epoch + 1}, batch {batch.number}, "
            f"learning rate {rate:.3g}): {cause} in chunks {self.names_of(batch.archive, rows)}",
            where=f"archive {batch.archive}",
            mend="mend the features" if broken.any() else "lower --train.lr, or set --train.clip_norm",
        )

    def names_of(self, archive: str, rows: np.ndarray) -> str:
        """The first few of an archive's chunks: their keys if the egs know them, else their places from 0."""
        keys = self.source.keys(archive) if hasattr(self.source, "keys") else None
        shown = [str(row) if keys is None else keys[row] for row in sorted(rows)[:8]]
        return ", ".join(shown) + (f" and {len(rows) - 8} more" if len(rows) > 8 else "")

    def close_epoch(self, dev: DevelopmentSet | None) -> None:
        """Judge the model, add a line to the curves, keep model and checkpoint."""
        rate = schedules.learning_rate(self.step - 1, self.per_epoch, self.options)
        margin = schedules.margin(self.step - 1, self.per_epoch, self.options)
        loss, correct, chunks = self.world.sum(self.totals).tolist()
        self.totals = torch.zeros_like(self.totals)
        self.epoch, self.batch = self.epoch + 1, 0
        if self.world.first:
            line: dict[str, Any] = {"epoch": self.epoch, "loss": loss / chunks, "accuracy": correct / chunks}
            self.trainee.eval()
            valid = judge_chunks(self.model, self.trainee.head, self.source, self.plan)
            if valid is not None:
                line |= {"valid_loss": valid[0], "valid_accuracy": valid[1]}
            if dev is not None:
                line["dev_eer"] = 100 * judge_speakers(self.model, dev)
            line |= {"lr": rate, "margin": margin, "chunks": int(chunks), "seconds": round(self.seconds, 3)}
            self.curves.append(line)
            said = ", ".join(f"{key} {value:.4g}" for key, value in line.items() if key != "epoch")
            print(f"train epoch {self.epoch}/{self.options.epochs}: {said}", file=sys.stderr, flush=True)
            if self.options.tensorboard:
                write_events(line, self.out / "tensorboard")
            self.checkpoints.save_epoch(self.model.state_dict(), self.epoch, self.options.average)
        self.seconds = 0.0
        self.save()
        if self.world.first:
            write_curves(self.curves, self.out / "curves.jsonl")

    def finish(self, contract: Mapping[str, Any]) -> None:
        """The mean of the last epochs' models becomes the model."""
        mean = self.checkpoints.average(self.options.average, self.options.epochs)
        self.model.load_state_dict(mean)
        save_model(self.model, self.out / "model", contract)


def check(options: TrainOptions) -> None:
    """InputError if the options cannot be trained with."""
    for key in ("epochs", "batch_size", "average", "checkpoint_steps", "threads", "lr", "scale"):
        if getattr(options, key) <= 0:
            raise InputError(f"{key} is {getattr(options, key)}, it must be above 0", mend=f"--train.{key}")
    if options.batch_size < 2:
        raise InputError("batch_size is 1: batch normalisation needs 2", mend="--train.batch_size")
    LOSSES[options.loss]
    OPTIMISERS[options.optimiser]
    schedules.check(options)
