"""Speed of the front end's stages on one thread, in times real time, start-up excluded.

Run from the repository: python tests/bench/frontend.py [SHARED_DATA]. It prepares LibriSpeech flac whole (no
segments), then does each stage as a job does it: plan, shards, gather, archives on disk. Excluded, and
printed on their own: the imports and tables that a job loads once. Medians of five rounds.

- stages 1+2+4 with energy and with webrtc VAD (the goal is 800 times real time);
- stages 3+4 for a copy with a room of 0.5 s and noise (500 times).
"""

from __future__ import annotations

import contextlib
import io
import os
import statistics
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

REPO = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(REPO)]

import numpy as np  # noqa: E402
import soundfile  # noqa: E402
import torch  # noqa: E402

from pysteps.formats import command, shards  # noqa: E402
from pysteps.formats.rng import generator  # noqa: E402
from pysteps.formats.run import Run  # noqa: E402
from pysteps.formats.tables import invert, read_table, write_table  # noqa: E402
from pysteps.recipe.options import parse  # noqa: E402
from pysteps.recipe.resolve import resolve  # noqa: E402
from pysteps.recipe.status import MODULES  # noqa: E402

ROUNDS, SPEAKERS, ROOM_SECONDS, RATE = 5, 80, 0.5, 16000


def prepare(run: Run, shared: Path) -> None:
    """The sets of ``run``: whole utterances as training set, one each for the other two; noise and a room."""
    files = sorted((shared / "LibriSpeech/train-clean-100").rglob("*.flac"))[: SPEAKERS + 2]
    for name, part in ((run.train_set, files[2:]), (run.dev_set, files[:1]), (run.eval_sets[0], files[1:2])):
        folder = run.data / name
        utt2spk = {file.stem: file.stem.split("-")[0] for file in part}
        write_table(folder / "wav.scp", {file.stem: str(file) for file in part})
        write_table(folder / "utt2spk", utt2spk)
        write_table(folder / "spk2utt", invert(utt2spk))
    noises = sorted((shared / "musan/noise").rglob("*.wav")) or sorted((shared / "musan/noise").rglob("*.*"))
    write_table(run.data / "noise/wav.scp", {file.stem: str(file) for file in noises})
    # Decaying noise: what a room of this reverberation time costs, whatever it sounds like.
    count = int(ROOM_SECONDS * RATE)
    decay = 10 ** (-3 * np.arange(count) / count)
    room = generator(0, "room", "bench").standard_normal(count) * decay * 0.1
    room[0] = 0.9
    path = run.data / "rirs/room.wav"
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, room.astype(np.float32), RATE)
    write_table(run.data / "rirs/wav.scp", {"room": str(path)})


def once(run: Run, stage: str, only: str) -> tuple[float, float]:
    """Do a stage; seconds of the work on the set ``only``, and seconds of what a job loads before it."""
    module = MODULES[stage]
    command.forget(module, run)
    _, todo = command.plan(module, run)
    units = {unit.name: unit for unit in module.units(run)}
    others = [(unit, n) for name, unit in units.items() if name != only for n in shards.pending(unit)]
    loaded = time.perf_counter()
    work = module.worker(run)
    shards.run(others, work, stage)  # also warms caches and plans
    began = time.perf_counter()
    shards.run([(units[only], n) for n in shards.pending(units[only])], work, stage)
    command.gather(module, run)
    return time.perf_counter() - began, began - loaded


def measure(name: str, seconds: float, stages: list[tuple[str, str]], run: Run) -> float:
    """Print and return how many times real time ``stages`` (stage, set) are together."""
    laps: list[list[float]] = [[] for _ in stages]
    loads = [0.0] * len(stages)
    for lap in range(ROUNDS + 1):
        for place, (stage, only) in enumerate(stages):
            with contextlib.redirect_stderr(io.StringIO()):
                spent, load = once(run, stage, only)
            if lap:
                laps[place].append(spent)
            else:
                loads[place] = load
    totals = [sum(spent) for spent in zip(*laps, strict=True)]
    factor = seconds / statistics.median(totals)
    each = ", ".join(
        f"{stage} {seconds / statistics.median(spent):.0f}"
        for (stage, _), spent in zip(stages, laps, strict=True)
    )
    print(f"{name:24s} {factor:7.0f} x real time   ({each}; loading before: {sum(loads):.2f} s)", flush=True)
    return factor


def main() -> None:
    torch.set_num_threads(1)
    os.chdir(REPO)
    shared = Path(sys.argv[1] if len(sys.argv) > 1 else REPO.parent / "shared/data").resolve()
    for vad in ("energy", "webrtc"):
        with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stderr(sys.stderr):
            words = ["--recipe", "librispeech", "--corpus", str(shared / "LibriSpeech"), "--work", folder]
            words += ["--vad.method", vad, "--augment.kinds", "[reverb+noise]"]
            run = replace(resolve(REPO, parse(words)), eval_sets=["eval"])
            prepare(run, shared)
            quiet = contextlib.redirect_stderr(io.StringIO())
            with quiet:
                once(run, "audio", run.train_set)
            durations = read_table(run.of("audio", run.train_set) / "utt2dur").values()
            seconds = sum(map(float, durations))
            if vad == "energy":
                print(f"{len(durations)} utterances, {seconds / 60:.1f} min, one thread")
            train, copy = run.train_set, next(iter(run.copies))
            with quiet:
                once(run, "vad", train)
                once(run, "augment", copy)
            chain = [("audio", train), ("vad", train), ("features", train)]
            measure(f"stages 1+2+4, {vad}", seconds, chain, run)
            if vad == "energy":
                measure("stages 3+4, room and noise", seconds, [("augment", copy), ("features", copy)], run)


if __name__ == "__main__":
    main()
