"""Times of learning a back end: python tests/bench/backend.py plda [VECTORS] [DIM] [SPEAKERS].

plda: fit_plda on float32 vectors in memory; seconds and the process's peak memory, vectors included.
The goal of issue 4: 1,000,000 x 256 from 6,000 speakers in under 90 s and 4 GB on 2 cores.
"""

from __future__ import annotations

import os
import resource
import sys
import time
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "2")
sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import numpy as np  # noqa: E402

from pysteps.backend import fit_plda  # noqa: E402


def _speech(vectors: int, dim: int, speakers: int) -> tuple[np.ndarray, list[str]]:
    random = np.random.default_rng(0)
    label = random.integers(0, speakers, vectors)
    x = random.standard_normal((vectors, dim), dtype=np.float32)
    voices = random.standard_normal((speakers, dim), dtype=np.float32) * np.linspace(2, 0.2, dim)
    for begin in range(0, vectors, 1 << 16):
        x[begin : begin + (1 << 16)] += voices[label[begin : begin + (1 << 16)]].astype(np.float32)
    names = [f"id{number:05d}" for number in range(speakers)]
    return x, [names[number] for number in label]


def plda(vectors: int = 1_000_000, dim: int = 256, speakers: int = 6_000) -> None:
    """Ten iterations of EM, as stage 8 does them."""
    x, names = _speech(vectors, dim, speakers)
    for rank in (None, min(100, dim)):
        began = time.monotonic()
        learned = fit_plda(x, names, rank=rank)
        took = time.monotonic() - began
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
        kind = "two-covariance" if rank is None else f"simplified, rank {rank}"
        expected = np.linspace(2, 0.2, dim) ** 2
        off = np.abs(learned.psi[:rank] / expected[:rank] - 1).mean()
        size = f"{vectors:,} x {dim} from {speakers:,} speakers"
        print(f"PLDA, {kind}: {size}: {took:.1f} s, peak {peak:.2f} GB")
        print(f"  mean relative error of a between-speaker variance: {off:.2f}")


PARTS = {"plda": plda}

if __name__ == "__main__":
    if len(sys.argv) < 2 or sys.argv[1] not in PARTS:
        raise SystemExit(__doc__)
    PARTS[sys.argv[1]](*map(int, sys.argv[2:]))
