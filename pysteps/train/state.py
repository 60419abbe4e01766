"""All that changes while training, how a checkpoint takes and gives it, and how a phase follows another."""

from __future__ import annotations

import io
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from ..formats.errors import InputError
from ..formats.rng import generator
from ..models.model import SpeakerModel
from .arithmetic import OPTIMISERS, choose_precision
from .checkpoint import Checkpoints, refuse_changes, state_of
from .compiled import compiled
from .curves import write_curves
from .frozen import freeze
from .losses import build_head
from .meter import Meter
from .options import TrainOptions
from .phases import to_average
from .plan import Plan
from .start import begin_head, begin_with
from .world import World


class Trainee(nn.Module):
    """Model and head as the one module that torchrun's processes keep in step."""

    def __init__(self, model: SpeakerModel, head: nn.Module) -> None:
        super().__init__()
        self.model, self.head = model, head
        self.through: Callable[[Tensor], Tensor] | None = None  # the model translated, where that is wanted

    def forward(self, features: Tensor, labels: Tensor, margin: float) -> tuple[Tensor, Tensor]:
        return self.head((self.through or self.model)(features), labels, margin)


class State:
    """Weights, optimiser and place of a training; loop.Training moves them."""

    def __init__(self, plan: Plan, out: Path, world: World) -> None:
        self.plan, self.out, self.world = plan, out, world
        self.precision = choose_precision(plan.options.precision, world.device)
        # torch's own initialisers draw the first weights, from a seed that says what it is for.
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(int(generator(plan.options.seed, "weights", "train").integers(2**62)))
            self.model = SpeakerModel(plan.model_options)
            head = self.new_head(plan.phases[0])
            self.learning = [weight for weight in self.model.parameters() if weight.requires_grad]
            self.refuse_frozen()
        if plan.options.channels_last:
            self.model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.checkpoints = Checkpoints(self.out / "checkpoints", plan.options.keep)
        self.starts = [0]  # the epoch that each phase so far began with
        self.epoch = self.batch = 0
        self.before = self.whole = 0  # steps of the phases that are over, of this phase's whole epochs
        self.totals = torch.zeros(3, dtype=torch.float64, device=world.device)  # loss, correct, chunks
        self.curves: list[dict[str, Any]] = []
        self.meter = Meter()
        self.enter(head)

    def new_head(self, options: TrainOptions) -> nn.Module:
        """The loss of a phase, its weights drawn from torch's generator as that is."""
        xvector_dim, speakers = self.plan.model_options.xvector_dim, self.plan.egs.num_speakers
        return build_head(options.loss, xvector_dim, speakers, options)

    def refuse_frozen(self) -> None:
        """InputError if a phase, now or in days, freezes what the network has not, or all that learns."""
        for number, options in enumerate(self.plan.phases, 1):
            where = f"phase {number}" if self.plan.options.phases else None
            freeze(self.model, options.freeze, self.learning, where)
            weights = [*self.model.parameters(), *self.new_head(options).parameters()]
            if not any(weight.requires_grad for weight in weights):
                raise InputError("freeze leaves nothing to learn", where=where, mend="--train.freeze less")

    def enter(self, head: nn.Module) -> None:
        """Make what belongs to the phase alone: its options, its optimiser, and what they act on."""
        self.options, self.mean_steps = self.plan.phases[self.phase], self.plan.steps[self.phase]
        self.frozen = freeze(self.model, self.options.freeze, self.learning)
        self.trainee = Trainee(self.model, head).to(self.world.device)
        if self.options.compile:
            self.trainee.through = compiled(self.model)
        parts = [part for part in self.model.modules() if hasattr(part, "constrain")]
        self.constrained = [part for part in parts if any(w.requires_grad for w in part.parameters())]
        self.optimiser = OPTIMISERS[self.options.optimiser](self.trainee, self.options)
        self.scaler = torch.amp.GradScaler(self.world.device.type, enabled=self.precision == torch.float16)
        self.ema: AveragedModel | None = None
        if self.options.ema:
            decay = get_ema_multi_avg_fn(self.options.ema)
            self.ema = AveragedModel(self.trainee, multi_avg_fn=decay, use_buffers=True)

    @property
    def phase(self) -> int:
        """From 0."""
        return len(self.starts) - 1

    @property
    def per_epoch(self) -> int:
        """Steps of this epoch."""
        return self.plan.steps_of(self.phase, self.epoch)

    @property
    def within(self) -> int:
        """Steps of this phase that are done."""
        return self.whole + self.batch

    @property
    def step(self) -> int:
        """Steps that are done."""
        return self.before + self.within

    @property
    def lines(self) -> list[dict[str, Any]]:
        """This phase's epochs, as in the curves."""
        return self.curves[self.starts[-1] :]

    @property
    def kept(self) -> Trainee:
        """What is judged and written: the running mean, where there is one."""
        return self.trainee if self.ema is None else self.ema.module  # type: ignore[return-value]

    def say(self, line: str) -> None:
        """A line for whoever watches, from the first process."""
        if self.world.first:
            print(f"train: {line}", file=sys.stderr, flush=True)

    def begin(self, contract: Mapping[str, Any]) -> str:
        """Take the weights of the model that training begins with, if one is named; a line on the loss's."""
        if not self.plan.options.init:
            return ""
        folder = Path(self.plan.options.init)
        begin_with(self.model, folder, contract)
        return begin_head(self.trainee.head, self.plan.egs.speakers, folder)

    def save(self) -> None:
        """Write a checkpoint; the processes' counts become one in the first."""
        totals = self.world.sum(self.totals.clone())
        self.totals = totals if self.world.first else torch.zeros_like(totals)
        if self.world.first:
            state = {
                "identity": self.plan.identity(self.precision),
                "trainee": self.trainee.state_dict(),
                "optimiser": self.optimiser.state_dict(),
                "scaler": self.scaler.state_dict(),
                "ema": self.ema.state_dict() if self.ema is not None else {},
                "starts": self.starts,
                "before": self.before,
                "whole": self.whole,
                "epoch": self.epoch,
                "batch": self.batch,
                "totals": totals,
                "curves": self.curves,
                "meter": self.meter.state(),
                "processes": self.world.width,
            }
            self.checkpoints.save(state, self.step)
        self.world.wait()

    def resume(self) -> bool:
        """Take the newest checkpoint's place; False if there is none."""
        content = self.checkpoints.newest_bytes() if self.world.first else b""
        state = state_of(self.world.share(content))
        if state is not None:
            refuse_changes(state["identity"], self.plan.identity(self.precision), self.checkpoints.folder)
            self.starts, self.before, self.whole = state["starts"], state["before"], state["whole"]
            if self.phase:
                self.enter(self.new_head(self.plan.phases[self.phase]))
            self.trainee.load_state_dict(state["trainee"])
            self.optimiser.load_state_dict(state["optimiser"])
            self.scaler.load_state_dict(state["scaler"])
            if self.ema is not None:
                self.ema.load_state_dict(state["ema"])
            self.epoch, self.batch = state["epoch"], state["batch"]
            self.curves, self.meter = state["curves"], Meter(**state["meter"])
            if self.world.first:
                self.totals = state["totals"].to(self.world.device)
            self.say(f"going on after step {self.step}")
            if state["processes"] != self.world.width:
                self.say("another number of processes: same chunks, other bits")
        if self.world.first:
            write_curves(self.curves, self.out / "curves.jsonl")
        # Nothing writes here before every process has read.
        self.world.wait()
        return state is not None

    def needed(self) -> list[int]:
        """The epochs whose models count: those of this phase that its mean is of, and those that it began
        with, for a checkpoint may be damaged."""
        found = to_average(self.lines, self.options)
        if self.phase:
            lines = self.curves[self.starts[-2] : self.starts[-1]]
            found += to_average(lines, self.plan.phases[self.phase - 1])
        return found

    def mean(self) -> dict[str, Tensor]:
        """The mean of the models and heads that this phase ends with."""
        return self.checkpoints.average(to_average(self.lines, self.options))

    def next_phase(self) -> None:
        """Begin the next phase with the mean of what this one ends with, and all else anew."""
        content = io.BytesIO()
        if self.world.first:
            torch.save(self.mean(), content)
        mean = state_of(self.world.share(content.getvalue())) or {}
        place = self.phase + 1
        options = self.plan.phases[place]
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(int(generator(options.seed, "head", "train", copy=place).integers(2**62)))
            head = self.new_head(options)
        drawn = {f"head.{name}": value for name, value in head.state_dict().items()}
        old = {name: value for name, value in mean.items() if name.startswith("head.")}
        same = {name: v.shape for name, v in old.items()} == {name: v.shape for name, v in drawn.items()}
        if not same:
            mean = {name: value for name, value in mean.items() if name not in old} | drawn
        self.before, self.whole, self.starts = self.step, 0, [*self.starts, self.epoch]
        self.enter(head)
        self.trainee.load_state_dict(mean)
        told = "goes on with the loss's weights" if same else "begins with new weights in the loss"
        self.say(f"phase {place + 1} of {len(self.plan.phases)} {told}")
