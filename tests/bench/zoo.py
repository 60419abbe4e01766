"""What a training step of every network costs, beside one of ECAPA-512 in the same run: docs/models.md.

Run from the repository: OMP_NUM_THREADS=2 python tests/bench/zoo.py [--batch 64] [NAME ...]. Forward and
backward of a batch x 200 frames in 32 bits. Steps of the two alternate, and the median of the pairs' ratios
is given. Seconds are those of the processor over all threads, so another job on the machine counts little.
Left out are networks of which a step takes longer than --most seconds, and SSL front ends without
transformers.
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

CONF = REPO / "conf" / "models"
MEASURE = "ecapa512"


class Step:
    """A network and a batch for it."""

    def __init__(self, name: str, batch: int) -> None:
        torch.manual_seed(1)
        self.model = SpeakerModel(read_options(CONF / f"{name}.yaml")).train()
        self.features = torch.randn(batch, FRAMES, self.model.options.feature_dim)

    def __call__(self) -> float:
        """One forward and backward; its seconds of processor."""
        self.model.zero_grad()
        began = time.process_time()
        self.model(self.features).square().sum().backward()
        return time.process_time() - began


def main() -> None:
    """Print name, seconds a step and the ratio."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("names", nargs="*", default=sorted(path.stem for path in CONF.glob("*.yaml")))
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--most", type=float, default=20.0)
    options = parser.parse_args()
    measure = Step(MEASURE, options.batch)
    measure()
    a_mac = measure() / macs(without_memory(measure.model.options))
    for name in options.names:
        try:
            work = macs(without_memory(read_options(CONF / f"{name}.yaml")))
            if a_mac * work > options.most:
                print(f"{name}: left out, some {a_mac * work:.0f} s", flush=True)
                continue
            step = Step(name, options.batch)
        except InputError as error:
            print(f"{name}: left out, {error}", flush=True)
            continue
        step()
        pairs = [(step(), measure()) for _ in range(options.repeats)]
        ratio = statistics.median(one / other for one, other in pairs)
        print(
            f"{name}: {statistics.median(one for one, _ in pairs):.2f} s, {ratio:.2f} of {MEASURE}",
            flush=True,
        )


if __name__ == "__main__":
    main()
