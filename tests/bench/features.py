"""Speed of fbank-80 of 60 s on one thread: ours, torchaudio.compliance.kaldi, kaldi-native-fbank.

Run from the repository: python tests/bench/features.py. Medians of five rounds, in each of which the
three take turns, so that a busy machine slows all of them.
"""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

import kaldi_native_fbank
import numpy as np
import torch

REPO = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(REPO), str(REPO / "tests")]

from torchaudio_stub import kaldi  # noqa: E402

from pysteps.features.fbank import Fbank, compute  # noqa: E402
from pysteps.features.options import FbankOptions  # noqa: E402

RATE, SECONDS, BINS, ROUNDS = 16000, 60, 80, 5


def contenders(samples: np.ndarray) -> dict[str, Callable[[], object]]:
    """The three programs, each from float32 samples in [-1, 1) to a feature matrix."""
    ours, torchaudio = Fbank(FbankOptions(num_mel_bins=BINS)), kaldi()

    def native() -> np.ndarray:
        options = kaldi_native_fbank.FbankOptions()
        options.frame_opts.dither = 0.0
        options.mel_opts.num_bins = BINS
        fbank = kaldi_native_fbank.OnlineFbank(options)
        fbank.accept_waveform(RATE, samples * 32768)
        fbank.input_finished()
        return np.stack([fbank.get_frame(i) for i in range(fbank.num_frames_ready)])

    return {
        "ours": lambda: compute(samples, ours, utt="bench"),
        "torchaudio": lambda: torchaudio.fbank(
            torch.from_numpy(samples)[None] * 32768, num_mel_bins=BINS, sample_frequency=RATE
        ),
        "kaldi-native-fbank": native,
    }


def main() -> None:
    torch.set_num_threads(1)
    rng = np.random.default_rng(0)
    samples = (rng.standard_normal(RATE * SECONDS) * 0.1).astype(np.float32)
    programs = contenders(samples)
    times: dict[str, list[float]] = {name: [] for name in programs}
    for lap in range(ROUNDS + 1):
        for name, program in programs.items():
            begin = time.perf_counter()
            program()
            if lap:  # the first lap warms caches and plans
                times[name].append(time.perf_counter() - begin)
    medians = {name: statistics.median(values) for name, values in times.items()}
    for name, median in medians.items():
        print(f"{name:20s} {median * 1e3:7.1f} ms  {median / medians['ours']:5.2f} x ours")


if __name__ == "__main__":
    main()
