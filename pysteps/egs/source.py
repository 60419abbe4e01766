"""An egs folder as training sees it: archives of features, or of audio that is augmented on the way."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, Self

import numpy as np

from ..features import contract as contracts
from ..formats.errors import InputError
from ..formats.run import Run
from .live import live_of
from .reader import (
    ArchiveInfo,
    EgsPlan,
    Features,
    Room,
    read_archive,
    read_audio_archive,
    read_labels,
    read_plan,
)

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from ..augment.draw import Chain
    from ..augment.live import Live

_TOGETHER = 64  # chunks whose samples are held as float32 at a time


class Held(Protocol):
    """Rows of an archive that are in memory."""

    def take(self, rows: np.ndarray, room: Room = np.empty) -> tuple[np.ndarray | Tensor, np.ndarray]:
        """Features float32 [rows, frames, feature] and labels int64 [rows].

        The features are in an array from ``room``, or a tensor if they were made on a device.
        """


class EgsFolder:
    """The plan of a folder and its archives."""

    def __init__(self, folder: Path) -> None:
        self.folder = Path(folder)

    def plan(self) -> EgsPlan:
        """What the folder holds."""
        return read_plan(self.folder)

    def archive(
        self, info: ArchiveInfo, epoch: int = 0, rows: np.ndarray | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        """Features [rows, frames, feature] and labels [rows] of one archive, the same every epoch.

        Of those ``rows`` alone, in their order, of which nothing else is read; None: of all.
        """
        return read_archive(self.folder, info, rows)

    def hold(self, info: ArchiveInfo, epoch: int, rows: np.ndarray) -> Held:
        """Read ``rows`` of an archive, to be taken batch by batch."""
        return Features(self.folder, info, rows)

    def keys(self, archive: str) -> list[str]:
        """The chunks' keys (NUMBER-UTTERANCE@START) in order, for messages."""
        return read_labels(self.folder, archive)[0]

    def labels(self, archive: str, epoch: int | None = None) -> np.ndarray:
        """The chunks' speakers int64 [chunks] in the same order: those of ``epoch``, where augmentation
        changes them; None: as they are without it."""
        return read_labels(self.folder, archive)[1]


class AudioEgs(EgsFolder):
    """Archives of audio: features are computed when an archive is read, after ``live`` augmented it.

    What an archive gives depends on its chunks, on the epoch, on ``seed``, on ``features_seed`` (of the
    dither) and on the augmentation's seed, and on nothing else. The held-out archives hold features, clean
    ones. With a ``device`` the features are made there, and tensors.
    """

    def __init__(
        self,
        folder: Path,
        live: Live | None = None,
        seed: int = 0,
        features_seed: int = 0,
        device: torch.device | None = None,
    ) -> None:
        super().__init__(folder)
        self._given = folder, live, seed, features_seed
        self.device = device
        from .batch import HeardChunks  # and torch

        where = "cpu" if device is None else device
        self._heard = HeardChunks(contracts.read(self.folder), live, seed, features_seed, where)
        self._live = live
        plan = read_plan(self.folder)
        self._names, self.feature_dim = plan.speakers, plan.feature_dim
        self._labels = {name: label for label, name in enumerate(self._names)}

    def __reduce__(self) -> tuple[Any, ...]:
        # For another process: made anew there, reading from where this one does.
        return AudioEgs, self._given, {"folder": self.folder}

    def on(self, device: torch.device) -> Self:
        """The same, with features that are made on ``device``."""
        made = type(self)(*self._given, device)
        made.folder = self.folder
        return made

    def archive(  # type: ignore[override]  # tensors, where a device was asked for
        self, info: ArchiveInfo, epoch: int = 0, rows: np.ndarray | None = None
    ) -> tuple[np.ndarray | Tensor, np.ndarray]:
        """Features [rows, frames, feature] and labels [rows] of one archive in epoch ``epoch``."""
        rows = np.arange(info.chunks) if rows is None else rows
        return self.hold(info, epoch, rows).take(rows)

    def hold(self, info: ArchiveInfo, epoch: int, rows: np.ndarray) -> Held:
        """Read ``rows`` of an archive; they are augmented when they are taken."""
        if info.name.startswith("valid."):
            return Features(self.folder, info, rows)
        return _HeldAudio(self, info, epoch, rows)

    def labels(self, archive: str, epoch: int | None = None) -> np.ndarray:
        """As of EgsFolder: at another speed a chunk may be another speaker's."""
        keys, labels = read_labels(self.folder, archive)
        if epoch is None or self._live is None or archive.startswith("valid."):
            return labels
        chains = [draw_chain(self._live, archive, key, epoch) for key in keys]
        return self._relabelled(labels, chains)

    def heard(
        self, chunks: np.ndarray, labels: np.ndarray, keys: Sequence[str], info: ArchiveInfo, epoch: int
    ) -> tuple[Tensor, np.ndarray]:
        """Features float32 [chunks, frames, feature] of ``chunks`` int16 [chunks, time] as they are heard in
        ``epoch``, and whose ``labels`` [chunks] they have then."""
        live = self._live
        chains = [draw_chain(live, info.name, key, epoch) if live else [] for key in keys]
        names = [f"{info.name} {key}" for key in keys]
        features = self._heard.hear(chunks, chains, names, info.frames, epoch)
        return features, self._relabelled(labels, chains)

    def _relabelled(self, labels: np.ndarray, chains: Sequence[Chain]) -> np.ndarray:
        # The chunks' speakers after their chains; InputError if the egs lack one.
        ends = [self._live.suffix(chain) if self._live else "" for chain in chains]
        if not any(ends):
            return labels
        names = [self._names[label] + end for label, end in zip(labels.tolist(), ends, strict=True)]
        for name in names:
            if name not in self._labels:
                raise InputError(
                    f"the egs know no speaker {name}",
                    where=self.folder / "speakers",
                    mend="run stage egs again: the speeds have changed",
                )
        return np.asarray([self._labels[name] for name in names], np.int64)


class _HeldAudio:
    """Audio of some rows of an archive, of which ``take`` makes features."""

    def __init__(self, egs: AudioEgs, info: ArchiveInfo, epoch: int, rows: np.ndarray) -> None:
        self._egs, self._info, self._epoch = egs, info, epoch
        self._keys, self._chunks, self._labels = read_audio_archive(egs.folder, info, rows)
        self._place = {row: place for place, row in enumerate(np.asarray(rows).tolist())}

    def take(self, rows: np.ndarray, room: Room = np.empty) -> tuple[np.ndarray | Tensor, np.ndarray]:
        """As Held says. On a CPU a chunk's bits are its own, whichever others it is taken with."""
        places = np.asarray([self._place[row] for row in rows.tolist()])
        labels, whole = self._labels[places], (len(rows), self._info.frames, self._egs.feature_dim)
        import torch

        out = room(whole, np.float32) if self._egs.device is None else None
        made = torch.empty(whole, device=self._egs.device) if out is None else torch.from_numpy(out)
        self._into(made, places, labels)
        return made if out is None else out, labels

    def _into(self, out: Tensor, places: np.ndarray, labels: np.ndarray) -> None:
        for first in range(0, len(places), _TOGETHER):
            here = slice(first, first + _TOGETHER)
            keys = [self._keys[place] for place in places[here]]
            chunks = self._chunks[places[here]]
            out[here], labels[here] = self._egs.heard(chunks, labels[here], keys, self._info, self._epoch)


def draw_chain(live: Live, archive: str, key: str, epoch: int) -> Chain:
    """What is done in ``epoch`` to a chunk: an utterance has many, and each is drawn for itself.

    Long chunks (archives long.N) stay at their own speed.
    """
    own = archive.startswith("long.")
    return live.draw(utterance(key), epoch, key=f"{archive} {key}", own_speed=own)


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
