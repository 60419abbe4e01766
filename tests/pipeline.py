"""Helpers of the end-to-end tests: a few real voices, a tiny network, ./run.sh as a user calls it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

REPO = Path(__file__).resolve().parent.parent
SPEECH = REPO / "egs" / "mini" / "corpus" / "speech"

# A network and a training of seconds; everything else as the recipe has it.
TINY = {
    "models.network.channels": "32",
    "models.network.frame_channels": "96",
    "models.network.scale": "4",
    "models.network.se_channels": "16",
    "models.pool.attention_channels": "16",
    "models.xvector_dim": "32",
    "train.epochs": "3",
    "train.threads": "1",
    "train.batch_size": "16",
    "train.average": "2",
    "train.checkpoint_steps": "2",
    "train.warmup_epochs": "1",
    "train.margin_start_epoch": "1",
    "train.margin_end_epoch": "2",
    "egs.archive_chunks": "24",
    "egs.min_seconds": "1.0",
    "egs.max_seconds": "1.6",
    "backend.backends.plda": "center | lda 4 | length-norm | plda",
    "score.replicates": "100",
    "audio.shard_utterances": "9",
    "vad.shard_utterances": "10",
    "augment.shard_utterances": "13",
    "features.shard_utterances": "11",
    "extract.shard_utterances": "12",
}


def small_corpus(folder: Path, speakers: int = 14, utterances: int = 5) -> Path:
    """Copy a few voices of the embedded corpus: train, dev and eval folders, a folder a speaker."""
    chosen = sorted(path for path in SPEECH.iterdir() if path.is_dir())[:: max(1, 64 // speakers)][:speakers]
    for number, speaker in enumerate(chosen):
        name = "eval" if number < 4 else "dev" if number < 7 else "train"
        target = folder / name / speaker.name
        target.mkdir(parents=True)
        for file in sorted(speaker.iterdir())[:utterances]:
            shutil.copy(file, target)
    return folder


def arguments(corpus: Path, work: Path, *extra: str, **settings: str) -> list[str]:
    """The command line of a tiny run."""
    words = ["--recipe", "folder", "--corpus", str(corpus), "--work", str(work)]
    for key, value in {**TINY, **{key.replace("__", "."): value for key, value in settings.items()}}.items():
        words += [f"--{key}", value]
    return [*words, *extra]


def environment() -> dict[str, str]:
    """The tests' own Python for ./run.sh."""
    return {**os.environ, "PYTHON": sys.executable}


def run_sh(*words: str, check: bool = True, timeout: float = 300) -> subprocess.CompletedProcess[str]:
    """./run.sh with these words; with ``check`` a failure shows what it printed."""
    done = subprocess.run(
        [str(REPO / "run.sh"), *words],
        capture_output=True,
        text=True,
        timeout=timeout,
        env=environment(),
        check=False,
    )
    if check and done.returncode != 0:
        raise AssertionError(f"./run.sh {' '.join(words)}\n{done.stdout}\n{done.stderr}")
    return done


# Logs, times, pictures, stamps of paths and checkpoints' bookkeeping are outside the promise of equal bytes.
_OUTSIDE = ("log", "seconds", "todo", ".lock", ".lock.holder", ".lease")
_PICTURES = ("report.html", "det.png", "results.json", "run.json")


def products(work: Path) -> dict[str, bytes]:
    """Every product of a run by relative path, with the work folder's own name taken out of tables."""
    found = {}
    for path in sorted(work.rglob("*")):
        relative = path.relative_to(work)
        skip = any(part in (*_OUTSIDE, *_PICTURES, "shards", "checkpoints") for part in relative.parts)
        if path.is_file() and not skip and not path.name.endswith(".done.json"):
            found[str(relative)] = path.read_bytes().replace(str(work).encode(), b"WORK")
    curves = [name for name in found if name.endswith("curves.jsonl")]
    for name in curves:
        found[name] = _without_measures(found[name])
    return found


def _without_measures(curves: bytes) -> bytes:
    import json

    from pysteps.train.meter import MEASURED

    lines = [json.loads(line) for line in curves.splitlines()]
    kept = [{key: value for key, value in line.items() if key not in MEASURED} for line in lines]
    return json.dumps(kept).encode()


def differing(first: dict[str, bytes], second: dict[str, bytes]) -> list[str]:
    """Names of products that are not the same."""
    return sorted(name for name in {*first, *second} if first.get(name) != second.get(name))
