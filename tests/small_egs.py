"""Egs folders of a few chunks, as stage egs writes them, and what training makes of them."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path

import numpy as np

from pysteps.augment.draw import Voices
from pysteps.augment.live import Live
from pysteps.augment.options import AugmentOptions
from pysteps.egs.reader import ArchiveInfo
from pysteps.egs.source import AudioEgs, EgsFolder, utterance
from pysteps.features.contract import contract
from pysteps.formats import arks
from pysteps.recipe.options import parse
from pysteps.recipe.resolve import resolve
from pysteps.train.data import Batch, batches
from pysteps.train.options import TrainOptions

REPO = Path(__file__).resolve().parent.parent
SIZES = (11, 9, 8)
OPTIONS = TrainOptions(batch_size=4, time_masks=1, time_width=2)


def egs(folder: Path) -> Path:
    """Three archives of features of other lengths, as stage egs writes them; speakers come in turn."""
    infos = {}
    for number, chunks in enumerate(SIZES, 1):
        keys = [f"{row:06d}-utt{'x' * row}ß@{row}" for row in range(chunks)]  # of many lengths
        rng = np.random.default_rng(number)
        with arks.writing(folder / f"train.{number}.ark") as writer:
            for key in keys:
                chunk = rng.normal(size=(4 + number, 3)).astype(np.float32)
                writer.array(key, chunk, arks.TWO_BYTES)
        lines = (f"{key} {row % 4}\n" for row, key in enumerate(keys))
        (folder / f"train.{number}.lab").write_text("".join(lines), "utf-8")
        infos[f"train.{number}"] = {"chunks": chunks, "frames": 4 + number}
    (folder / "speakers").write_text("".join(f"s{n} {n}\n" for n in range(4)))
    content = {"kind": "features", "feature_dim": 3, "num_speakers": 4, "archives": infos, "valid": {}}
    (folder / "egs.json").write_text(json.dumps(content))
    return folder


def noise_of(pool: str, name: str, fraction: float = 0.0, length: int | None = None) -> np.ndarray:
    rng = np.random.default_rng(sum(map(ord, pool + name)))
    return rng.normal(0, 0.1, length or 9000).astype(np.float32)


def audio_egs(folder: Path) -> tuple[AudioEgs, list[ArchiveInfo]]:
    """Egs of audio with another speed's voices, augmented in training; one archive is of long chunks."""
    utts = {f"s{n % 3}-utt-{n}": n % 3 for n in range(8)}
    names = sorted(f"s{n}{end}" for n in range(3) for end in ("", "-speed1.1"))
    for name in ("train.1", "train.2", "long.1"):
        keys = [f"{row:06d}-{utt}@{row}" for row, utt in enumerate(utts)]
        with arks.writing(folder / f"{name}.ark") as writer:
            for key in keys:
                writer.audio(key, (noise_of(name, key, 0.0, 3700) * 32768).astype(np.int16), 16000)
        lines = (f"{key} {names.index(f's{utts[utterance(key)]}')}\n" for key in keys)
        (folder / f"{name}.lab").write_text("".join(lines))
    (folder / "speakers").write_text("".join(f"{name} {n}\n" for n, name in enumerate(names)))
    infos = {name: {"chunks": 8, "frames": 19} for name in ("train.1", "train.2")}
    content = {"kind": "audio", "feature_dim": 80, "num_speakers": 6, "archives": infos, "valid": {}}
    (folder / "egs.json").write_text(json.dumps({**content, "long": {"long.1": infos["train.1"]}}))
    run = resolve(REPO, parse(["--recipe", "folder"]))
    (folder / "contract.json").write_text(json.dumps(contract(run)))
    options = AugmentOptions(kinds=["speed1.1", "noise"], probability=0.6, speed_speakers="new")
    speakers = Voices({utt: f"s{n}" for utt, n in utts.items()})
    source = AudioEgs(folder, Live(options, {"noise": ["a", "b"]}, speakers, noise_of, 16000))
    plan = source.plan()
    return source, [*plan.archives, *plan.long]


def seen(source: EgsFolder, epoch: int = 0, options: TrainOptions = OPTIONS, **rest: int) -> list[tuple]:
    found = batches(source, source.plan().archives, epoch, options, **rest)
    return [comparable(batch) for batch in found]


def comparable(batch: Batch) -> tuple:
    arrays = (batch.rows, batch.features, batch.labels)
    return batch.archive, batch.number, batch.share, *(array.tobytes() for array in arrays)


class Dying(EgsFolder):
    """Its second archive ends whoever reads it."""

    def archive(self, info: ArchiveInfo, epoch: int = 0, rows: np.ndarray | None = None):
        if info.name == "train.2" and epoch == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        if info.name == "train.2" and epoch == 1:
            raise ZeroDivisionError("what nobody thought of")
        return super().archive(info, epoch, rows)
