"""Speed of egs of audio on one core: two-second chunks a second of CPU, and where a chunk's time goes.

Run from the repository: python tests/bench/loader_audio.py [SHARED_DATA] [--dither]. WeSpeaker's settings for
VoxCeleb: three speeds as three voices, with probability 0.6 a room or a noise at 0 to 15 dB, fbank80. Speech,
rooms and noise are the shared real ones; half of the noises are recordings of 70 s, of which only a part is
read. The page cache is warm; only the process's own CPU time counts. Medians of five rounds, each
another epoch. --dither: with WeSpeaker's dither of 1 too.

Processors differ, and one shared with others changes its clock by the minute. So torchaudio's fbank of one
chunk is timed in the same run: WeSpeaker's pipeline takes 2.24 times as long for a chunk (355 chunks a second
where its fbank takes 1.26 ms), and the last line says how many times as many chunks come from here.
"""

from __future__ import annotations

import json
import statistics
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

REPO = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(REPO)]

import numpy as np  # noqa: E402
import soundfile  # noqa: E402
import torch  # noqa: E402

from pysteps.audio.filters import resample  # noqa: E402
from pysteps.augment import batch as augment_batch  # noqa: E402
from pysteps.augment.live import Live  # noqa: E402
from pysteps.egs import batch, source  # noqa: E402
from pysteps.egs.cut import ChunkGeometry  # noqa: E402
from pysteps.egs.reader import ArchiveInfo  # noqa: E402
from pysteps.egs.source import AudioEgs  # noqa: E402
from pysteps.features import contract as contracts  # noqa: E402
from pysteps.formats import arks  # noqa: E402
from pysteps.formats.frames import FrameGeometry  # noqa: E402
from pysteps.formats.run import Run  # noqa: E402
from pysteps.formats.tables import write_table  # noqa: E402
from pysteps.recipe.options import parse  # noqa: E402
from pysteps.recipe.resolve import resolve  # noqa: E402
from tests.torchaudio_stub import kaldi  # noqa: E402

RATE, FRAMES, CHUNKS, ROUNDS, JOINED = 16000, 200, 512, 5, 14
KINDS = "[speed0.9,speed1.1,reverb,noise]"
THEIRS = 1e3 / 355 / 1.26  # WeSpeaker's time for a chunk over that of its fbank, both measured on one core
PARTS: list[tuple[Any, str, str]] = [  # what is timed: where it is called by which name, and the part's own
    (source, "read_audio_archive", "read and parse"),
    (Live, "draw", "draw"),
    (augment_batch, "change_speeds", "speed"),
    (augment_batch, "reverberate", "room"),
    (augment_batch, "add_noise", "noise"),
    (batch.HeardChunks, "_features_of", "features"),
]


def main() -> None:
    torch.set_num_threads(1)
    words = [word for word in sys.argv[1:] if word != "--dither"]
    shared = Path(words[0] if words else REPO.parent / "shared/data")
    dither = "1" if "--dither" in sys.argv else "0"
    with tempfile.TemporaryDirectory() as work:
        run, info = world(Path(work), shared, dither)
        spent: dict[str, list[float]] = defaultdict(list)
        egs = AudioEgs(run.egs, Live.of(run), 0)
        for epoch in range(ROUNDS + 1):
            begin = time.process_time()
            egs.archive(info, epoch)
            if epoch:  # the first fills caches, as the first archive of a training does
                spent["all"].append(time.process_time() - begin)
        for epoch in range(ROUNDS + 1):
            with timed() as parts:
                begin = time.process_time()
                egs.archive(info, epoch)
                parts["the rest"] = time.process_time() - begin - sum(parts.values())
            for name, seconds in parts.items() if epoch else ():
                spent[name].append(seconds)
    chunk = {name: statistics.median(times) * 1e3 / CHUNKS for name, times in spent.items()}
    print(f"{CHUNKS} chunks of {FRAMES} frames, CPU ms a chunk (a part: of all chunks, drawn for it or not)")
    for name, milliseconds in chunk.items():
        print(f"  {name:16s} {milliseconds:6.3f}")
    print(f"chunks a second and core: {1e3 / chunk['all']:.0f}")
    theirs = fbank_of_torchaudio()
    print(f"fbank of torchaudio: {theirs:.2f} ms, so WeSpeaker's would make {1e3 / THEIRS / theirs:.0f}")
    print(f"as many times its chunks: {THEIRS * theirs / chunk['all']:.2f}")


def fbank_of_torchaudio() -> float:
    """Milliseconds of CPU for one chunk, as WeSpeaker computes it: median of ROUNDS times CHUNKS / 4."""
    samples = torch.randn(1, FRAMES * RATE // 100 + 240) * 3000
    times = []
    for _ in range(ROUNDS):
        begin = time.process_time()
        for _ in range(CHUNKS // 4):
            kaldi().fbank(samples, num_mel_bins=80, sample_frequency=RATE, window_type="hamming")
        times.append(time.process_time() - begin)
    return statistics.median(times) * 1e3 / (CHUNKS // 4)


@contextmanager
def timed() -> Iterator[dict[str, float]]:
    """CPU seconds of each of PARTS while this is open."""
    found = {name: 0.0 for _, _, name in PARTS}
    before = [(where, name, getattr(where, name)) for where, name, _ in PARTS]

    def clocked(function: Callable[..., Any], part: str) -> Callable[..., Any]:
        def call(*words: Any, **named: Any) -> Any:
            begin = time.thread_time()
            try:
                return function(*words, **named)
            finally:
                found[part] += time.thread_time() - begin

        return call

    for (where, name, function), (_, _, part) in zip(before, PARTS, strict=True):
        setattr(where, name, clocked(function, part))
    yield found
    for where, name, function in before:
        setattr(where, name, function)


def world(work: Path, shared: Path, dither: str) -> tuple[Run, ArchiveInfo]:
    """A run with its pools and one archive of audio, as stage egs writes it."""
    words = ["--recipe", "folder", "--work", str(work), "--egs.kind", "audio"]
    words += ["--augment.when", "training", "--augment.kinds", KINDS, "--features.dither", dither]
    run = resolve(REPO, parse([*words, "--features.window_type", "hamming"]))
    clips = [_read(path) for path in sorted((shared / "musan").rglob("*.ogg"))]
    joined = [np.concatenate(clips[n : n + JOINED]) for n in range(0, len(clips), JOINED)]
    noises = clips[: len(joined)] + joined
    for pool in ("noise", "rirs"):
        (run.data / pool).mkdir(parents=True)
    paths = {f"n{number:02d}": run.data / "noise" / f"{number}.wav" for number in range(len(noises))}
    for noise, path in zip(noises, paths.values(), strict=True):
        soundfile.write(path, noise, RATE, subtype="PCM_16")
    write_table(run.data / "noise" / "wav.scp", {name: str(path) for name, path in paths.items()})
    rooms = {path.stem: str(path) for path in (shared / "RIRS_NOISES").rglob("*.wav")}
    write_table(run.data / "rirs" / "wav.scp", rooms)
    speech = [path for path in sorted((shared / "LibriSpeech").rglob("*.flac")) if _seconds(path) > 3]
    return run, _egs(run, speech)


def _egs(run: Run, recordings: list[Path]) -> ArchiveInfo:
    run.egs.mkdir(parents=True)
    stored = ChunkGeometry(FrameGeometry(), RATE, 1.1).stored(FRAMES)
    labels, speakers = {}, sorted({path.parent.parent.name for path in recordings})
    voices = sorted(speaker + suffix for speaker in speakers for suffix in ("", "-speed0.9", "-speed1.1"))
    with arks.writing(run.egs / "train.1.ark") as writer:
        for number in range(CHUNKS):
            path = recordings[number * 37 % len(recordings)]
            start = 160 * (number % 5)
            samples, _ = soundfile.read(path, stored, start, dtype="int16", fill_value=0)
            key = f"{number:04d}-{path.stem}@{start // 160}"
            writer.audio(key, samples, RATE)
            labels[key] = str(voices.index(path.parent.parent.name))
    write_table(run.egs / "train.1.lab", labels)
    write_table(run.egs / "speakers", {name: str(number) for number, name in enumerate(voices)})
    contract = contracts.contract(run)
    content = {"kind": "audio", "feature_dim": contract["dim"], "num_speakers": len(voices), "valid": {}}
    content["archives"] = {"train.1": {"chunks": CHUNKS, "frames": FRAMES}}
    (run.egs / "contract.json").write_text(json.dumps(contract))
    (run.egs / "egs.json").write_text(json.dumps(content))
    return ArchiveInfo("train.1", CHUNKS, FRAMES)


def _seconds(path: Path) -> float:
    return soundfile.info(path).duration


def _read(path: Path) -> np.ndarray:
    samples, rate = soundfile.read(path, dtype="float32")
    return resample(samples, rate, RATE)


if __name__ == "__main__":
    main()
