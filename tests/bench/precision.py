"""Steps of ECAPA-512 (batch 64 x 200 frames, AAM over 5,994 speakers, SGD) in fp32, in bf16, and in bf16
translated by torch.compile.

Run from the repository, alone on the machine: OMP_NUM_THREADS=2 python tests/bench/precision.py [--eager].
All in one run, taking turns; the median of five steps each, behind two that count not. Translating takes
minutes; --eager leaves it out. Before the turns fp32 without what training does about memory
(world.keep_memory), which is torch as it comes.
"""

from __future__ import annotations

import statistics
import sys
import time
from pathlib import Path

import torch

REPO = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(REPO))

from pysteps.models.model import SpeakerModel  # noqa: E402
from pysteps.models.zoo import read_options  # noqa: E402
from pysteps.train.compiled import compiled  # noqa: E402
from pysteps.train.losses import build_head  # noqa: E402
from pysteps.train.options import TrainOptions  # noqa: E402
from pysteps.train.world import keep_memory  # noqa: E402

AS_IT_COMES = "fp32 of torch as it comes"
BATCH, FRAMES, SPEAKERS = 64, 200, 5994


class Step:
    """A training's step; ``__call__`` gives its seconds."""

    def __init__(self, precision: torch.dtype, translated: bool) -> None:
        torch.manual_seed(1)
        self.precision = precision
        model = SpeakerModel(read_options(REPO / "conf" / "models" / "ecapa512.yaml")).train()
        self.head = build_head("aam", model.options.xvector_dim, SPEAKERS, TrainOptions(loss="aam"))
        self.forward = compiled(model) if translated else model
        weights = [*model.parameters(), *self.head.parameters()]
        self.optimiser = torch.optim.SGD(weights, 0.01, momentum=0.9, nesterov=True)
        self.features = torch.randn(BATCH, FRAMES, model.options.feature_dim)
        self.labels = torch.randint(SPEAKERS, (BATCH,))

    def __call__(self) -> float:
        began = time.perf_counter()
        self.optimiser.zero_grad(set_to_none=True)
        with torch.autocast("cpu", self.precision, enabled=self.precision != torch.float32):
            losses, _ = self.head(self.forward(self.features), self.labels, 0.2)
        losses.mean().backward()
        self.optimiser.step()
        return time.perf_counter() - began


def main() -> None:
    """Print seconds a step and how many times as many steps as fp32 makes."""
    steps = {"fp32": Step(torch.float32, False), "bf16": Step(torch.bfloat16, False)}
    if "--eager" not in sys.argv:
        steps["bf16, compiled"] = Step(torch.bfloat16, True)
    seconds: dict[str, list[float]] = {AS_IT_COMES: [steps["fp32"]() for _ in range(7)][2:]}
    keep_memory()
    seconds |= {name: [] for name in steps}
    for turn in range(7):
        for name, step in steps.items():
            took = step()
            print(f"turn {turn}, {name}: {took:.2f} s", file=sys.stderr, flush=True)
            seconds[name] += [took] if turn > 1 else []
    plain = statistics.median(seconds["fp32"])
    bare = statistics.median(seconds[AS_IT_COMES])
    for name, found in seconds.items():
        middle = statistics.median(found)
        times = f"{plain / middle:.2f} times the steps of fp32, {bare / middle:.2f} of {AS_IT_COMES}"
        print(f"{name}: {middle:.3f} s a step, {times}", flush=True)


if __name__ == "__main__":
    main()
