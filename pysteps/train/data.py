"""From an egs folder to batches, in an order that the seed and the epoch alone decide."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import numpy as np

from ..egs.reader import ArchiveInfo, EgsPlan
from ..formats.errors import InputError
from ..formats.rng import generator
from ..formats.scratch import near
from .options import TrainOptions

if TYPE_CHECKING:
    from ..egs.source import EgsFolder


class EgsSource(Protocol):
    """What training reads: ``egs.source.EgsFolder`` or ``AudioEgs``, or a few arrays in a test.

    A source may also have ``keys(archive: str) -> list[str]``, the chunks' names, for error messages.
    """

    def plan(self) -> EgsPlan:
        """Speakers, feature size, and the archives with their sizes."""

    def archive(self, info: ArchiveInfo, epoch: int = 0) -> tuple[np.ndarray, np.ndarray]:
        """Features float32 [chunks, frames, feature], mean-normalised, and labels int64 [chunks].

        Where training augments they are those of this ``epoch``, whoever asks and whenever.
        """


@contextmanager
def on_scratch(source: EgsFolder, scratch: Path | None) -> Iterator[EgsFolder]:
    """``source`` with its archives read from a copy below ``scratch``, or as it is where that is None.

    Archives are read in another order every epoch: a node's own disk serves that better than a shared one.
    """
    plan, home = source.plan(), source.folder
    names = [f"{info.name}.{kind}" for info in (*plan.archives, *plan.valid) for kind in ("ark", "lab")]
    with near(home, [*names, "egs.json", "speakers"], scratch) as source.folder:
        yield source
    source.folder = home


@dataclass(frozen=True)
class Batch:
    """This process's share of one step: rows of one archive, so all chunks have one length."""

    archive: str
    number: int  # in the epoch, from 0
    rows: np.ndarray  # the chunks' places in the archive
    features: np.ndarray  # [chunks, frames, feature]
    labels: np.ndarray  # [chunks]
    share: float  # this process's chunks, divided by the mean over the processes


def batch_count(info: ArchiveInfo, size: int, width: int = 1) -> int:
    """Batches of an archive: the fewest of at most ``size`` chunks, which then differ by one at most.

    0 if a process would get fewer than two chunks: batch normalisation cannot do with one.
    """
    count = -(-info.chunks // size)
    return count if info.chunks // count >= 2 * width else 0


def steps_per_epoch(archives: Sequence[ArchiveInfo], size: int, width: int = 1) -> int:
    """Batches of all archives; the same in every epoch."""
    return sum(batch_count(info, size, width) for info in archives)


def epoch_plan(
    archives: Sequence[ArchiveInfo], epoch: int, options: TrainOptions, width: int = 1
) -> list[tuple[ArchiveInfo, list[np.ndarray]]]:
    """The archives in this epoch's order, each with the rows of its batches (of all processes)."""
    order = generator(options.seed, "archives", "train", epoch=epoch).permutation(len(archives))
    plan = []
    for info in (archives[index] for index in order):
        count = batch_count(info, options.batch_size, width)
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
    """The batches of an epoch from number ``first`` on; process ``rank`` of ``width`` gets its stripe.

    While one archive is used, a thread reads the next (and augments it, where the source does); no more
    than two are in memory.
    """
    plan, number = [], 0
    for info, parts in epoch_plan(archives, epoch, options, width):
        if number + len(parts) > first:
            plan.append((info, parts, number))
        number += len(parts)
    with ThreadPoolExecutor(1, "next-archive") as reader:
        waiting = [reader.submit(source.archive, info, epoch) for info, _, _ in plan[:1]]
        for place, (info, parts, number) in enumerate(plan):
            features, labels = waiting.pop().result()
            if len(features) != info.chunks:
                raise InputError(f"archive {info.name} holds {len(features)} chunks, not {info.chunks}")
            later = [info for info, _, _ in plan[place + 1 : place + 2]]
            waiting = [reader.submit(source.archive, info, epoch) for info in later]
            for number, part in enumerate(parts, number):  # noqa: B020
                if number >= first:
                    mine = slice(rank, None, width)
                    rows = part[mine]
                    chunks = features[rows]
                    _masked(chunks, options, f"{info.name}:{number}", epoch, mine, len(part))
                    share = len(rows) * width / len(part)
                    yield Batch(info.name, number, rows, chunks, labels[rows], share)


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
    features: np.ndarray, options: TrainOptions, batch: str, epoch: int, mine: slice, of: int
) -> None:
    # Drawn for the whole step, so that the width of the training changes nothing. 0 is the mean.
    if options.time_masks or options.frequency_masks:
        rng = generator(options.seed, batch, "specaugment", epoch=epoch)
        _, length, size = features.shape
        frames, bins = draw_masks(of, length, size, options, rng)
        features[frames[mine]] = 0
        features.transpose(0, 2, 1)[bins[mine]] = 0
