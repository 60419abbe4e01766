"""An egs folder as training sees it: archives of features, or of audio that is augmented on the way."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ..features import contract as contracts
from ..formats.errors import InputError
from ..formats.rng import generator
from ..formats.run import Run
from ..formats.tables import read_table
from .live import live_of
from .reader import ArchiveInfo, EgsPlan, read_archive, read_audio_archive, read_plan

if TYPE_CHECKING:
    from ..augment.live import Live

_TOGETHER = 64  # chunks whose samples are held as float32 at a time


class EgsFolder:
    """The plan of a folder and its archives."""

    def __init__(self, folder: Path) -> None:
        self.folder = Path(folder)

    def plan(self) -> EgsPlan:
        """What the folder holds."""
        return read_plan(self.folder)

    def archive(self, info: ArchiveInfo, epoch: int = 0) -> tuple[np.ndarray, np.ndarray]:
        """Features [chunks, frames, feature] and labels [chunks] of one archive, the same every epoch."""
        return read_archive(self.folder, info)

    def keys(self, archive: str) -> list[str]:
        """The chunks' keys (NUMBER-UTTERANCE@START) in order, for messages."""
        return list(read_table(self.folder / f"{archive}.lab"))


class AudioEgs(EgsFolder):
    """Archives of audio: features are computed when an archive is read, after ``live`` augmented it.

    What an archive gives depends on its chunks, on the epoch, on ``seed``, on ``features_seed`` (of the
    dither) and on the augmentation's seed, and on nothing else. The held-out archives hold features, clean
    ones.
    """

    def __init__(
        self, folder: Path, live: Live | None = None, seed: int = 0, features_seed: int = 0
    ) -> None:
        super().__init__(folder)
        from .chunks import ChunkFeatures  # and torch

        self._features = ChunkFeatures(contracts.read(self.folder), features_seed)
        self._geometry = self._features.geometry()
        self._live, self._seed = live, seed
        self._names = read_plan(self.folder).speakers
        self._labels = {name: label for label, name in enumerate(self._names)}

    def archive(self, info: ArchiveInfo, epoch: int = 0) -> tuple[np.ndarray, np.ndarray]:
        """Features [chunks, frames, feature] and labels [chunks] of one archive in epoch ``epoch``."""
        if info.name.startswith("valid."):
            return read_archive(self.folder, info)
        keys, chunks, labels = read_audio_archive(self.folder, info)
        features = np.empty((len(keys), info.frames, self._features.options.dim), np.float32)
        for first in range(0, len(keys), _TOGETHER):
            rows = range(first, min(first + _TOGETHER, len(keys)))
            samples = np.empty((len(rows), self._geometry.samples(info.frames)), np.float32)
            for row in rows:
                samples[row - first], suffix = self._heard(chunks[row], keys[row], info, epoch)
                labels[row] = self._label(int(labels[row]), suffix)
            names = [f"{info.name} {keys[row]} {epoch}" for row in rows]
            features[first : rows.stop] = self._features(samples, names)
        return features, labels

    def _heard(self, chunk: np.ndarray, key: str, info: ArchiveInfo, epoch: int) -> tuple[np.ndarray, str]:
        """A chunk's samples as drawn for it in this epoch, and what its speaker's name ends in then."""
        samples, suffix = chunk.astype(np.float32) / np.float32(32768), ""
        if self._live is not None:
            # An utterance has many chunks, and each is drawn for itself.
            chain = self._live.draw(utterance(key), epoch, key=f"{info.name} {key}")
            samples, suffix = self._live.apply(samples, chain), self._live.suffix(chain)
        length = self._geometry.samples(info.frames)
        spare = len(samples) - length
        if spare < 0:
            raise InputError(
                f"{len(samples)} samples where {info.frames} frames need {length}",
                where=self.folder / f"{info.name}.ark",
                utt=key,
                mend="run stage egs again: its archives were cut for other speeds",
            )
        # Chunks are cut for the highest speed, so at the others there is more than is needed: which part
        # of it is taken is drawn too.
        rng = generator(self._seed, f"{info.name} {key}", "crop", epoch=epoch)
        start = int(rng.integers(spare + 1)) if spare else 0
        return samples[start : start + length], suffix

    def _label(self, label: int, suffix: str) -> int:
        if not suffix:
            return label
        name = self._names[label] + suffix
        if name not in self._labels:
            raise InputError(
                f"the egs know no speaker {name}",
                where=self.folder / "speakers",
                mend="run stage egs again: the speeds have changed",
            )
        return self._labels[name]


def utterance(key: str) -> str:
    """The utterance in a chunk's key NUMBER-UTTERANCE@START."""
    return key.partition("-")[2].rpartition("@")[0]


def open_egs(run: Run) -> EgsFolder:
    """The egs of a run, whichever kind they are. InputError where they are not of the run's kind."""
    wanted = run.options["egs"]["kind"]
    found = read_plan(run.egs).kind
    if found != wanted:
        raise InputError(f"egs of {found}, this run asks for {wanted}", where=run.egs, mend="run stage egs")
    if wanted == "features":
        return EgsFolder(run.egs)
    return AudioEgs(run.egs, live_of(run), run.options["train"]["seed"], run.options["features"]["seed"])
