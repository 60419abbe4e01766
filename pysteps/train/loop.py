"""The training loop. Read it from ``run_training`` down.

Everything that happens is decided by the options, the egs and the number of the step; so a training
that was killed goes on from its newest checkpoint to the very bytes that it would have reached.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Mapping
from contextlib import ExitStack, closing, nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from ..formats.errors import InputError
from ..formats.progress import Progress
from ..formats.rng import generator
from ..models.model import save_model
from ..models.options import ModelOptions
from . import schedules
from .curves import write_curves
from .data import Batch, EgsSource, batches, heard_on
from .develop import LabelledSet
from .judge import DevelopmentSet, judge_chunks, judge_classes, judge_speakers
from .losses import judges_alone
from .meter import Meter
from .options import TrainOptions
from .phases import ended, judged_by
from .plan import Plan, check
from .readers import to_device
from .start import save_head
from .state import State
from .watch import Watchers
from .world import World, exact, joined, keep_memory

CONSTRAIN_STEPS = 4  # Povey et al., Interspeech 2018, section 2: after every fourth step


def run_training(
    options: TrainOptions,
    model_options: ModelOptions,
    source: EgsSource,
    dev: DevelopmentSet | LabelledSet | None,
    out: Path,
    contract: Mapping[str, Any],
    *,
    before: Callable[[], None] | None = None,
    after_epoch: Callable[[list[dict[str, Any]]], None] | None = None,
    stop_after: int | None = None,
) -> None:
    """Train on ``source``, or go on where an interrupted training stopped.

    Writes ``out``/checkpoints/, ``out``/curves.jsonl (a line an epoch) and in the end ``out``/model/:
    the mean of some epochs' models, with ``contract``, the feature contract, and the loss's weights. ``dev``
    gives the EER of each epoch, or how well labels are told. Under torchrun every process calls this.
    ``before`` is called when nothing is left to be refused, ahead of the first look at ``out``;
    ``after_epoch`` in the first process, with the curves' lines so far, behind each epoch's checkpoint: what
    it raises ends the training. ``stop_after`` a step leaves as a kill would (for tests). InputError names
    what is wrong with options or egs, and the batch whose loss is not finite.
    """
    check(options)
    keep_memory()
    with ExitStack() as stack:
        stack.enter_context(exact(options.threads))
        world = stack.enter_context(joined(options.device))
        source = heard_on(source, options, world.device)
        plan = Plan(options, model_options, source, world.width, dev is not None)
        training = Training(plan, source, Path(out), world)
        began = training.begin(contract)
        if before is not None:
            before()
        world.wait()
        if world.first:
            training.watchers = stack.enter_context(Watchers(options, Path(out)))
        if not training.resume() and began:
            training.say(began)
        if options.compile:
            training.say("torch.compile translates the network at the first step: that takes minutes")
        while True:
            while not training.phase_over():
                if not training.run_epoch(stop_after):
                    return
                training.close_epoch(dev)
                if after_epoch is not None and world.first:
                    after_epoch(training.curves)
            if training.phase + 1 == len(plan.phases):
                break
            training.next_phase()
        if world.first:
            training.finish(contract)
        world.wait()


class Training(State):
    """The steps, and what happens between them."""

    def __init__(self, plan: Plan, source: EgsSource, out: Path, world: World) -> None:
        super().__init__(plan, out, world)
        self.source = source
        self.watchers: Watchers | None = None  # of the first process
        self.weights = None if plan.weights is None else torch.from_numpy(plan.weights).to(world.device)

    def phase_over(self) -> bool:
        """Whether the phase's epochs are done, or patience with them is at its end, which is said."""
        why = ended(self.lines, self.options)
        if why and len(self.lines) < self.options.epochs:
            self.say(f"ending after epoch {self.epoch}: {why}")
        return bool(why)

    def run_epoch(self, stop_after: int | None = None) -> bool:
        """The rest of an epoch's steps; False if stopped on the way."""
        options, world = self.options, self.world
        # Made here, after resume: torch copies the first process's weights to the others.
        forward: nn.Module = self.trainee
        if world.width > 1:
            forward = DistributedDataParallel(self.trainee)
        self.trainee.train()
        for part in self.frozen:
            part.eval()
        label = f"train epoch {self.epoch + 1}/{self.plan.last_epoch(self.starts)}"
        steps = self.per_epoch
        progress = Progress(steps - self.batch, "steps", label, quiet=not world.first)
        archives, where = self.plan.archives_of(self.phase, self.epoch), {"first": self.batch}
        where |= {"rank": world.rank, "width": world.width}
        with closing(batches(self.source, archives, self.epoch, options, **where)) as feed:  # type: ignore[type-var]
            for batch in self.meter.timed(feed):
                if stop_after is not None and self.step >= stop_after:
                    return False
                with self.meter.warming(options.compile):
                    self.one_step(forward, batch)
                self.batch += 1
                progress.update()
                # The last batch's checkpoint is close_epoch's, after the epoch was judged.
                if self.batch < steps and self.step % options.checkpoint_steps == 0:
                    self.save()
        progress.close()
        return True

    def rate(self, step: int) -> float:
        """The learning rate of the phase's ``step``."""
        judged = [judged_by(line) or 0.0 for line in self.lines]
        return schedules.learning_rate(step, self.mean_steps, self.options, judged)

    def one_step(self, forward: nn.Module, batch: Batch) -> None:
        """Forward, backward, update: the whole of learning."""
        options, device = self.options, self.world.device
        rate, margin = self.rate(self.within), schedules.margin(self.within, self.mean_steps, options)
        for group in self.optimiser.param_groups:
            group["lr"] = rate
        seed = generator(options.seed, str(self.world.rank), "step", epoch=self.step)
        torch.manual_seed(int(seed.integers(2**62)))  # dropout, where a network has it
        self.optimiser.zero_grad(set_to_none=True)
        features, labels = to_device(batch.features, device), to_device(batch.labels, device)
        # Where memory is short, in parts: of two chunks at least, for batch normalisation.
        parts = max(1, min(options.accumulate, len(labels) // 2))
        for place, rows in enumerate(np.array_split(np.arange(len(labels)), parts)):
            some = slice(rows[0], rows[-1] + 1)
            more = place + 1 < parts and isinstance(forward, DistributedDataParallel)
            with forward.no_sync() if more else nullcontext():  # type: ignore[operator]
                with torch.autocast(device.type, self.precision, enabled=self.precision != torch.float32):
                    losses, logits = forward(features[some], labels[some], margin)
                self.refuse_not_finite(losses, batch, batch.rows[some], rate)
                if self.weights is not None:
                    losses = losses * self.weights[labels[some]]
                # Gradients are averaged over processes; the share makes that the mean over all chunks.
                loss = losses.mean() * (batch.share * (len(rows) / len(labels)))
                self.scaler.scale(loss).backward()
            correct = (logits.argmax(1) == labels[some]).sum()
            count = correct.new_tensor(len(rows))
            self.totals += torch.stack((losses.detach().double().sum(), correct.double(), count.double()))
        self.update()

    def update(self) -> None:
        """Move the weights along their gradients, and what follows them."""
        scale = self.scaler.get_scale()  # 1 without fp16
        if self.options.clip_norm:
            self.scaler.unscale_(self.optimiser)
            nn.utils.clip_grad_norm_(self.trainee.parameters(), self.options.clip_norm)
        self.scaler.step(self.optimiser)
        self.scaler.update()
        # fp16 looks for its scale: where gradients overflow, it leaves the step out and halves the scale.
        self.meter.skipped += self.scaler.get_scale() < scale
        if (self.step + 1) % CONSTRAIN_STEPS == 0:
            for part in self.constrained:
                part.constrain()  # type: ignore[operator]
        if self.ema is not None:
            self.ema.update_parameters(self.trainee)

    def refuse_not_finite(self, losses: Tensor, batch: Batch, rows: np.ndarray, rate: float) -> None:
        """InputError with the batch's name if a loss, of the chunks in these ``rows``, is NaN or infinite."""
        finite = torch.isfinite(losses)
        if bool(finite.all()):
            return
        broken = ~torch.as_tensor(batch.features).isfinite().flatten(1).all(1).cpu().numpy()
        # Batch normalisation spreads one broken chunk over all: say which one it was.
        rows = batch.rows[broken] if broken.any() else rows[~finite.cpu().numpy()]
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

    def close_epoch(self, dev: DevelopmentSet | LabelledSet | None) -> None:
        """Judge the model, add a line to the curves, keep model and checkpoint."""
        rate = self.rate(self.within - 1)
        margin = schedules.margin(self.within - 1, self.mean_steps, self.options)
        steps = self.per_epoch
        loss, correct, chunks = self.world.sum(self.totals).tolist()
        self.totals = torch.zeros_like(self.totals)
        if self.meter.skipped == steps:  # in all processes: their gradients are one
            said = f"no step of epoch {self.epoch + 1} was taken: gradients overflow fp16 at every scale"
            raise InputError(said, mend="--train.precision bf16, or lower --train.lr")
        self.whole, self.epoch, self.batch = self.within, self.epoch + 1, 0
        line: dict[str, Any] = {}
        if self.world.first:
            line = {"epoch": self.epoch}
            line |= {"phase": self.phase + 1} if len(self.plan.phases) > 1 else {}
            line |= {"loss": loss / chunks, "accuracy": correct / chunks, **self.judged(dev)}
            line |= {"lr": rate, "margin": margin, "chunks": int(chunks)}
            line |= self.meter.line(int(chunks), steps, self.world.device, self.options.compile)
            if self.scaler.is_enabled():
                line["skipped_steps"] = self.meter.skipped
        # What comes next may hang on how good the epoch was: all processes know it.
        line = json.loads(self.world.share(json.dumps(line).encode()))
        self.curves.append(line)
        self.meter = Meter()
        if self.world.first:
            said = ", ".join(f"{key} {value:.4g}" for key, value in line.items() if key != "epoch")
            last = self.plan.last_epoch(self.starts)
            print(f"train epoch {self.epoch}/{last}: {said}", file=sys.stderr, flush=True)
            if self.watchers is not None:
                self.watchers.epoch(line)
            self.checkpoints.save_epoch(self.kept.state_dict(), self.epoch, self.needed())
        self.save()
        if self.world.first:
            write_curves(self.curves, self.out / "curves.jsonl")

    def judged(self, dev: DevelopmentSet | LabelledSet | None) -> dict[str, float]:
        """What held-out chunks and development utterances say of the model."""
        said: dict[str, float] = {}
        self.kept.eval()
        if judges_alone(self.options.loss):
            valid = judge_chunks(self.kept.model, self.kept.head, self.source, self.plan.egs)
            if valid is not None:
                said |= {"valid_loss": valid[0], "valid_accuracy": valid[1]}
        if isinstance(dev, LabelledSet):
            told = judge_classes(self.kept.model, self.kept.head, dev)
            said |= {"dev_loss": told.loss, "dev_accuracy": told.accuracy}
            said |= {"dev_balanced_accuracy": told.balanced_accuracy}
        elif dev is not None:
            found = judge_speakers(self.kept.model, dev)
            said |= {"dev_eer": 100 * found.eer}
            said |= {"same_cosine": found.same, "different_cosine": found.different}
        return said

    def finish(self, contract: Mapping[str, Any]) -> None:
        """The mean of the epochs that count becomes the model."""
        self.trainee.load_state_dict(self.mean())
        save_head(self.trainee.head, self.plan.egs.speakers, self.out / "model")
        save_model(self.model, self.out / "model", contract)
