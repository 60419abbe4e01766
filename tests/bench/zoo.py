"""What a training step of every network costs, beside one of ECAPA-512 in the same run: docs/models.md.

Run from the repository: OMP_NUM_THREADS=2 python tests/bench/zoo.py [--batch 64] [--bf16] [NAME ...].
Forward and backward of a batch x 200 frames, in 32 bits or with products in bf16. Steps of the two
alternate, and the median of the pairs' ratios is given. Seconds are those of the processor over all threads,
so another job on the machine counts little. Left out are networks of which a step takes longer than --most
seconds, and SSL front ends without transformers.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from pathlib import Path

import torch

REPO = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(REPO))

from pysteps.formats.errors import InputError  # noqa: E402
from pysteps.models.model import SpeakerModel  # noqa: E402
from pysteps.models.zoo import FRAMES, macs, read_options, without_memory  # noqa: E402
from pysteps.train.world import keep_memory  # noqa: E402

CONF = REPO / "conf" / "models"
MEASURE = "ecapa512"


class Step:
    """A network and a batch for it."""

    def __init__(self, name: str, batch: int, bf16: bool) -> None:
        torch.manual_seed(1)
        self.bf16 = bf16
        self.model = SpeakerModel(read_options(CONF / f"{name}.yaml")).train()
        self.features = torch.randn(batch, FRAMES, self.model.options.feature_dim)

    def __call__(self) -> float:
        """One forward and backward; its seconds of processor."""
        self.model.zero_grad()
        began = time.process_time()
        with torch.autocast("cpu", torch.bfloat16, enabled=self.bf16):
            xvectors = self.model(self.features)
        xvectors.float().square().sum().backward()
        return time.process_time() - began


def main() -> None:
    """Print name, seconds a step, chunks a second of processor and the ratio."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("names", nargs="*", default=sorted(path.stem for path in CONF.glob("*.yaml")))
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--bf16", action="store_true", help="products in 16 bits")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--most", type=float, default=20.0)
    options = parser.parse_args()
    keep_memory()
    measure = Step(MEASURE, options.batch, options.bf16)
    measure()
    a_mac = measure() / macs(without_memory(measure.model.options))
    for name in options.names:
        try:
            work = macs(without_memory(read_options(CONF / f"{name}.yaml")))
            if a_mac * work > options.most:
                print(f"{name}: left out, some {a_mac * work:.0f} s", flush=True)
                continue
            step = Step(name, options.batch, options.bf16)
        except InputError as error:
            print(f"{name}: left out, {error}", flush=True)
            continue
        step()
        pairs = [(step(), measure()) for _ in range(options.repeats)]
        ratio = statistics.median(one / other for one, other in pairs)
        seconds = statistics.median(one for one, _ in pairs)
        said = f"{seconds:.2f} s, {options.batch / seconds:.0f} chunks/s, {ratio:.2f} of {MEASURE}"
        print(f"{name}: {said}", flush=True)


if __name__ == "__main__":
    main()
