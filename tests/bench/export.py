"""Real-time factors of exported networks, and what part of them is matrix products at this core's own speed.

Run from the repository, on a machine that does nothing else:

    OMP_NUM_THREADS=1 python tests/bench/export.py [--networks ecapa512 ...] [--repeats 30]

First the speed of one large product in torch and in ONNX Runtime: at that speed, what would the network's
products alone take? No arithmetic in 32 bits gets below it; the limits of issue 6 are printed beside it.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

import numpy as np

REPO = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(REPO))

from pysteps.export.onnx_file import session_of  # noqa: E402
from pysteps.export.rtf import median, table  # noqa: E402
from pysteps.models.model import SpeakerModel  # noqa: E402
from pysteps.models.zoo import FRAMES, macs, read_options  # noqa: E402

SECONDS, PER_SECOND = 5.0, 100
LIMITS = {"torch with features": 0.009, "onnxruntime": 0.007}
SIZE = 1536  # of ECAPA-TDNN's largest layer


def products(repeats: int) -> dict[str, float]:
    """Multiplications and additions a second of a product [498, 1536] x [1536, 1536], by program."""
    import onnx
    import torch
    from onnx import TensorProto, helper, numpy_helper

    torch.set_num_threads(1)
    rng = np.random.default_rng(0)
    x = rng.standard_normal((498, SIZE)).astype(np.float32)
    w = rng.standard_normal((SIZE, SIZE)).astype(np.float32)
    shapes = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [498, SIZE]) for name in "xy"]
    node = helper.make_node("MatMul", ["x", "w"], ["y"])
    graph = helper.make_graph([node], "product", shapes[:1], shapes[1:], [numpy_helper.from_array(w, "w")])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    onnx.checker.check_model(model)
    session = session_of(model.SerializeToString())
    one, other = torch.from_numpy(x), torch.from_numpy(w)
    work: dict[str, Any] = {
        "torch": lambda: one @ other.T,
        "onnxruntime": lambda: session.run(None, {"x": x}),
    }
    return {name: 498 * SIZE * SIZE / median(call, repeats) for name, call in work.items()}


def main() -> None:
    """Print the table and the bound."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--networks", nargs="+", default=["ecapa512"])
    parser.add_argument("--seconds", type=float, nargs="+", default=[SECONDS])
    parser.add_argument("--repeats", type=int, default=30)
    options = parser.parse_args()
    speed = products(options.repeats)
    for line in table(options.networks, options.seconds, options.repeats, int8=True):
        print(line, flush=True)
    work = (
        macs(SpeakerModel(read_options(REPO / "conf" / "models" / "ecapa512.yaml")).eval())
        / FRAMES
        * PER_SECOND
    )
    for name, rate in speed.items():
        print(f"{name}: {2 * rate / 1e9:.0f} GFLOP/s, so the products of ecapa512 take {work / rate:.5f}")
    for name, limit in LIMITS.items():
        print(f"limit, ecapa512, 5 s, {name}: {limit}")


if __name__ == "__main__":
    main()
