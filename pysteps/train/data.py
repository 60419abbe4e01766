"""From an egs folder to batches, in an order that the seed and the epoch alone decide."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from ..egs.reader import ArchiveInfo, EgsPlan
from ..formats.rng import generator
from ..formats.scratch import near
from .balance import balanced_rows
from .options import TrainOptions
from .readers import Made, Share, ahead, host_room, read_here

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from ..egs.source import EgsFolder


class EgsSource(Protocol):
    """What training reads: ``egs.source.EgsFolder`` or ``AudioEgs``, or a few arrays in a test.

    A source may also have ``keys(archive) -> list[str]``, the chunks' names, for error messages;
    ``labels(archive, epoch=None) -> np.ndarray``, the archive's labels in an epoch, or without augmentation,
    so that batches of speakers are made before anything is read, and refused before training; ``hold(info,
    epoch, rows)``, which reads rows that are then taken batch by batch; or ``deliver``, as a ``Crew`` has.
    """

    def plan(self) -> EgsPlan:
        """Speakers, feature size, and the archives with their sizes."""

    def archive(
        self, info: ArchiveInfo, epoch: int = 0, rows: np.ndarray | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        """Features float32 [rows, frames, feature] (an array, or a tensor on the device that made them),
        mean-normalised, and labels int64 [rows].

        Of these ``rows``, in their order; None: of all. Where training augments they are those of this
        ``epoch``, whoever asks, whenever, and for whichever rows.
        """


@contextmanager
def on_scratch(source: EgsFolder, scratch: Path | None) -> Iterator[EgsFolder]:
    """``source`` with its archives read from a copy below ``scratch``, or as it is where that is None.

    Archives are read in another order every epoch: a node's own disk serves that better than a shared one.
    """
    plan, home = source.plan(), source.folder
    infos = (*plan.archives, *plan.valid, *plan.long)
    names = [f"{info.name}.{kind}" for info in infos for kind in ("ark", "lab")]
    with near(home, [*names, "egs.json", "speakers"], scratch) as source.folder:
        yield source
    source.folder = home


def heard_on(source: Any, options: TrainOptions, device: torch.device) -> Any:
    """``source``, or where its audio becomes features on the ``device`` that trains, one that does that."""
    return source.on(device) if options.features_on == "device" and hasattr(source, "on") else source


@dataclass(frozen=True)
class Batch:
    """This process's share of one step: rows of one archive, so all chunks have one length."""

    archive: str
    number: int  # in the epoch, from 0
    rows: np.ndarray  # the chunks' places in the archive
    features: np.ndarray | Tensor  # [chunks, frames, feature]; a tensor if it was made on a device
    labels: np.ndarray  # [chunks]
    share: float  # this process's chunks, divided by the mean over the processes


def batch_count(info: ArchiveInfo, size: int, width: int = 1, each: int = 0) -> int:
    """Batches of an archive: the fewest of at most ``size`` chunks, which then differ by one at most.

    0 if a process would get fewer than two chunks: batch normalisation cannot do with one. With ``each``
    chunks of every speaker a batch has as many as fit into ``size``, and there are as many batches as the
    chunks fill, or one.
    """
    if each:
        return max(1, info.chunks // (size // each * each))
    count = -(-info.chunks // size)
    return count if info.chunks // count >= 2 * width else 0


def steps_per_epoch(archives: Sequence[ArchiveInfo], size: int, width: int = 1, each: int = 0) -> int:
    """Batches of all archives; the same in every epoch."""
    return sum(batch_count(info, size, width, each) for info in archives)


def epoch_plan(
    archives: Sequence[ArchiveInfo], epoch: int, options: TrainOptions, width: int = 1
) -> list[tuple[ArchiveInfo, list[np.ndarray]]]:
    """The archives in this epoch's order, each with the rows of its batches (of all processes).

    With ``utterances_per_speaker`` only the number of batches holds: their rows follow from the labels.
    """
    order = generator(options.seed, "archives", "train", epoch=epoch).permutation(len(archives))
    plan = []
    for info in (archives[index] for index in order):
        count = batch_count(info, options.batch_size, width, options.utterances_per_speaker)
        if count:
            rows = generator(options.seed, info.name, "shuffle", epoch=epoch).permutation(info.chunks)
            plan.append((info, np.array_split(rows, count)))
    return plan


def batches(
    source: EgsSource,
    archives: Sequence[ArchiveInfo],
    epoch: int,
    options: TrainOptions,
    *,
    first: int = 0,
    rank: int = 0,
    width: int = 1,
) -> Iterator[Batch]:
    """The batches of an epoch from number ``first`` on; process ``rank`` of ``width`` gets its stripe: every
    so-manieth chunk, or with ``utterances_per_speaker`` all chunks of every so-manieth speaker.

    It reads and augments its own chunks and no others, and none of batches before ``first``. A few batches
    are made ahead by a thread, or by the processes of a ``crew``; no more than two archives are in memory.
    """
    shares = _shares(source, archives, epoch, options, first, rank, width)
    room = host_room(options.device)
    made = source.deliver(shares, room) if hasattr(source, "deliver") else read_here(source, shares, room)
    yield from ahead(_finished(made, options, width))


def _shares(
    source: EgsSource,
    archives: Sequence[ArchiveInfo],
    epoch: int,
    options: TrainOptions,
    first: int,
    rank: int,
    width: int,
) -> Iterator[list[Share]]:
    # What this process reads of each archive, as soon as that is known: labels are asked for one by one.
    number, together = 0, max(1, options.utterances_per_speaker)
    for info, parts in epoch_plan(archives, epoch, options, width):
        begin, number = number, number + len(parts)
        if number <= first:
            continue
        if options.utterances_per_speaker:
            labels = _labels(source, info, epoch)
            parts = balanced_rows(info, labels, len(parts), epoch, options, width)
        shares = []
        for place, part in enumerate(parts, begin):
            if place >= first:
                mine = np.arange(len(part)).reshape(-1, together)[rank::width].ravel()
                shares.append(Share(info, epoch, place, part[mine], mine, len(part)))
        yield shares


def _labels(source: EgsSource, info: ArchiveInfo, epoch: int) -> np.ndarray:
    if hasattr(source, "labels"):
        return source.labels(info.name, epoch)
    return source.archive(info, epoch)[1]


def _finished(made: Iterator[Made], options: TrainOptions, width: int) -> Iterator[Batch]:
    for share, features, labels in made:
        name = share.info.name
        _masked(features, options, f"{name}:{share.number}", share.epoch, share.mine, share.of)
        weight = len(share.rows) * width / share.of
        yield Batch(name, share.number, share.rows, features, labels, weight)


def draw_masks(
    chunks: int, frames: int, bins: int, options: TrainOptions, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """SpecAugment (Park et al., 2019): which frames [chunks, frames] and bins [chunks, bins] to hide.

    Widths are drawn from 0 to the longest, then positions, evenly.
    """
    hidden = []
    for size, masks, widest in (
        (frames, options.time_masks, options.time_width),
        (bins, options.frequency_masks, options.frequency_width),
    ):
        found = np.zeros((chunks, size), bool)
        for _ in range(masks):
            widths = rng.integers(0, min(widest, size) + 1, chunks)
            starts = (rng.random(chunks) * (size - widths + 1)).astype(np.int64)
            places = np.arange(size) - starts[:, None]
            found |= (places >= 0) & (places < widths[:, None])
        hidden.append(found)
    return hidden[0], hidden[1]


def _masked(
    features: np.ndarray | Tensor, options: TrainOptions, batch: str, epoch: int, mine: np.ndarray, of: int
) -> None:
    # Drawn for the whole step, so that the width of the training changes nothing. 0 is the mean.
    if options.time_masks or options.frequency_masks:
        rng = generator(options.seed, batch, "specaugment", epoch=epoch)
        _, length, size = features.shape
        frames, bins = draw_masks(of, length, size, options, rng)
        if not isinstance(features, np.ndarray):
            from ..egs.batch import masked

            masked(features, frames[mine], bins[mine])
            return
        features[frames[mine]] = 0
        features.transpose(0, 2, 1)[bins[mine]] = 0
