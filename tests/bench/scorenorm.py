"""AS-norm at size: 150,000 x-vectors of 256 dimensions, a cohort of 6,000, the 300 highest scores.

Run from the repository: OMP_NUM_THREADS=2 python tests/bench/scorenorm.py [VECTORS]. Prints seconds and the
process's peak memory, made-up vectors included; random vectors cost what real ones cost.
"""

from __future__ import annotations

import resource
import sys
import time
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from pysteps.backend.plda import Plda  # noqa: E402
from pysteps.backend.scorenorm import Block, cohort_statistics, cosine_block, plda_block  # noqa: E402

DIM, COHORT, TOP = 256, 6000, 300


def timed(name: str, block: Block, rows: int) -> None:
    """Print what the cohort statistics of ``rows`` vectors cost."""
    begin = time.perf_counter()
    cohort_statistics(block, rows, TOP)
    seconds = time.perf_counter() - begin
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**10
    size = f"{rows} x {DIM} against {COHORT}, top {TOP}"
    print(f"as-norm, {name}: {size}: {seconds:.1f} s, peak {peak:.0f} MB", flush=True)


def main() -> None:
    """Time cosine, then PLDA."""
    rows = int(sys.argv[1]) if len(sys.argv) > 1 else 150_000
    draw = np.random.default_rng(0)
    x = draw.standard_normal((rows, DIM), dtype=np.float32)
    cohort = draw.standard_normal((COHORT, DIM), dtype=np.float32)
    timed("cosine", cosine_block(x, cohort), rows)
    plda = Plda(np.zeros(DIM), np.eye(DIM), np.linspace(4, 0, DIM))
    timed("plda", plda_block(plda, x, cohort), rows)


if __name__ == "__main__":
    main()
