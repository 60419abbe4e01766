"""Every VAD on real speech in real noise: misses, false alarms and cost, as the tables of docs/vad.md.

Run from the repository: OMP_NUM_THREADS=1 python tests/bench/vad.py. Reads LibriSpeech and MUSAN-shaped
noise from ../shared/data, or from where TIMBRE_SHARED points. Each utterance gets one noise from a random
place, looped, at an SNR over the whole utterance; the sum saturates at full scale as 16 bits do.
"""

from __future__ import annotations

import os
import sys
import time
from collections import defaultdict
from pathlib import Path

import numpy as np
import soundfile

REPO = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(REPO))

from pysteps.audio.filters import resample  # noqa: E402
from pysteps.formats.rng import generator  # noqa: E402
from pysteps.vad.decide import decider  # noqa: E402
from pysteps.vad.options import VadOptions  # noqa: E402

SHARED = Path(os.environ.get("TIMBRE_SHARED", REPO.parent / "shared" / "data"))
RATE = 16000  # LibriSpeech's
SNRS = (20, 10, 5, 0)
TRAIN = 40  # utterances of train-clean-100 beside all of test-other
METHODS: dict[str, VadOptions] = {
    "energy": VadOptions(method="energy"),
    **{f"webrtc, mode {mode}": VadOptions(method="webrtc", mode=mode) for mode in range(4)},
    "silero": VadOptions(method="silero"),
}
JURY = ("energy", "webrtc, mode 2", "silero")


class Count:
    """Frames of a reference and what was decided of them."""

    def __init__(self) -> None:
        self.speech = self.missed = self.other = self.alarms = 0

    def add(self, decided: np.ndarray, reference: np.ndarray) -> None:
        """Take in one utterance: bool [frames] each."""
        self.speech += int(reference.sum())
        self.missed += int((reference & ~decided).sum())
        self.other += int((~reference).sum())
        self.alarms += int((~reference & decided).sum())

    def __str__(self) -> str:
        return f"{100 * self.missed / self.speech:.1f} / {100 * self.alarms / self.other:.1f}"


def utterances() -> list[Path]:
    """The recordings in order of their names."""
    corpus = SHARED / "LibriSpeech"
    train = sorted((corpus / "train-clean-100").rglob("*.flac"))
    return [*sorted((corpus / "test-other").rglob("*.flac")), *train[:: max(1, len(train) // TRAIN)][:TRAIN]]


def recorded_noises() -> list[np.ndarray]:
    """The noises at the speech's rate, [time] each, in order of their names."""
    read = [
        soundfile.read(path, dtype="float32", always_2d=True)
        for path in sorted((SHARED / "musan" / "noise").rglob("*.*"))
        if path.suffix in (".ogg", ".wav", ".flac")
    ]
    return [resample(samples.mean(1), rate, RATE) for samples, rate in read]


def mixed(speech: np.ndarray, noises: list[np.ndarray], utt: str, snr: float) -> np.ndarray:
    """``speech`` [time] with a noise; utterance and SNR decide which and where it begins."""
    draw = generator(0, utt, f"vad bench {snr}")
    noise = noises[draw.integers(len(noises))]
    looped = np.resize(np.roll(noise, -draw.integers(len(noise))), len(speech)).astype(np.float64)
    ratio = np.dot(speech, speech) / max(np.dot(looped, looped), 1e-9) / 10 ** (snr / 10)
    return np.clip(speech + np.sqrt(ratio) * looped, -1, 32767 / 32768).astype(np.float32)


def main() -> None:
    """Print both tables."""
    noises = recorded_noises()
    deciders = {name: decider(options) for name, options in METHODS.items()}
    own, common = defaultdict(Count), defaultdict(Count)
    seconds, spent, voiced, total = 0.0, dict.fromkeys(METHODS, 0.0), dict.fromkeys(METHODS, 0), 0
    paths = utterances()
    for path in paths:
        clean, rate = soundfile.read(path, dtype="float32")
        signals = {"clean": clean} | {f"{snr} dB": mixed(clean, noises, path.stem, snr) for snr in SNRS}
        seconds += len(clean) / rate * len(signals)
        decided = {}
        for name, decide in deciders.items():
            begin = time.perf_counter()
            decided[name] = {condition: decide(signal, rate) for condition, signal in signals.items()}
            spent[name] += time.perf_counter() - begin
        jury = sum(decided[name]["clean"].astype(int) for name in JURY) >= 2
        total += len(jury)
        for name in METHODS:
            voiced[name] += int(decided[name]["clean"].sum())
            for condition in signals:
                own[name, condition].add(decided[name][condition], decided[name]["clean"])
                common[name, condition].add(decided[name][condition], jury)
    minutes = seconds / len(signals) / 60
    print(f"{len(paths)} utterances, {minutes:.0f} minutes; miss / false alarm in % of frames\n")
    noisy = [f"{snr} dB" for snr in SNRS]
    print("Against the method's own decisions on the clean recording:\n")
    table(["method", "cost", "speech in clean", *noisy])
    for name in METHODS:
        cost, share = f"{seconds / spent[name]:.0f} x", f"{100 * voiced[name] / total:.1f} %"
        row([name, cost, share, *(str(own[name, condition]) for condition in noisy)])
    print("\nAgainst what two of " + "; ".join(JURY) + " say of the clean recording:\n")
    table(["method", "clean", *noisy])
    for name in METHODS:
        row([name, *(str(common[name, condition]) for condition in ["clean", *noisy])])


def table(head: list[str]) -> None:
    """The head of a markdown table."""
    row(head)
    row(["---"] * len(head))


def row(cells: list[str]) -> None:
    """A line of a markdown table."""
    print(f"| {' | '.join(cells)} |")


if __name__ == "__main__":
    main()
