"""Batches of P speakers by K chunks, from an archive whose chunks lie as they were shuffled.

Losses that compare chunks need them. What makes a batch is decided when the archive's labels are known, as
augmentation may have changed them, by the seed, the archive and the epoch alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..egs.reader import ArchiveInfo
from ..formats.errors import InputError
from ..formats.rng import generator
from .options import TrainOptions


def balanced_rows(
    info: ArchiveInfo, labels: np.ndarray, count: int, epoch: int, options: TrainOptions, width: int = 1
) -> list[np.ndarray]:
    """The rows of an archive's ``count`` batches in ``epoch``; see ``deal``."""
    speakers, each = batch_speakers(options, width), options.utterances_per_speaker
    found = int((np.unique(labels, return_counts=True)[1] >= each).sum())
    if found < speakers:
        raise too_few(info.name, found, each, speakers)
    return deal(labels, count, speakers, each, generator(options.seed, info.name, "balance", epoch=epoch))


def deal(
    labels: np.ndarray, count: int, speakers: int, each: int, rng: np.random.Generator
) -> list[np.ndarray]:
    """Rows of ``count`` batches: different speakers, ``each`` rows of one side by side.

    ``speakers`` of the ``labels`` [chunks] or more must have ``each`` chunks. A speaker's chunks are shuffled
    and cut into groups of ``each``; those left over stay out this time. Every batch takes groups of the
    speakers that have most of them left, so that as many batches as can be are made before groups come again
    in a new shuffle. The batches are shuffled in the end.
    """
    batches: list[np.ndarray] = []
    groups: list[np.ndarray] = []
    while len(batches) < count:
        left = np.asarray([len(of_one) for of_one in groups])
        if (left > 0).sum() < speakers:
            groups = _groups(labels, each, rng)
            continue
        # Most groups left first; who comes first among equals is drawn.
        chosen = np.lexsort((rng.random(len(groups)), -left))[:speakers]
        batches.append(np.concatenate([groups[place][left[place] - 1] for place in chosen]))
        for place in chosen:
            groups[place] = groups[place][:-1]
    return [batches[place] for place in rng.permutation(count)]


def _groups(labels: np.ndarray, each: int, rng: np.random.Generator) -> list[np.ndarray]:
    # Rows [groups, each] of every speaker that has any.
    order = rng.permutation(len(labels))
    order = order[np.argsort(labels[order], kind="stable")]
    rows = np.split(order, np.flatnonzero(np.diff(labels[order])) + 1)
    whole = [of_one[: len(of_one) // each * each].reshape(-1, each) for of_one in rows]
    return [of_one for of_one in whole if len(of_one)]


def batch_speakers(options: TrainOptions, width: int) -> int:
    """Speakers of a batch; InputError if a process would get fewer than two."""
    speakers = options.batch_size // options.utterances_per_speaker
    if speakers < 2 * width:
        raise InputError(
            f"batch_size {options.batch_size} is {speakers} speakers for {width} processes: each needs two",
            mend=f"--train.batch_size {2 * width * options.utterances_per_speaker} or more",
        )
    return speakers


def refuse_unbalanced(
    source: Any, archives: Sequence[ArchiveInfo], options: TrainOptions, width: int = 1
) -> None:
    """InputError if a batch of speakers cannot be made of every archive, named before training begins.

    ``source`` is asked for its ``labels(archive)``, where it has that; else it is seen when an archive is
    read.
    """
    if not options.utterances_per_speaker or not hasattr(source, "labels"):
        return
    each, wanted = options.utterances_per_speaker, batch_speakers(options, width)
    found = {}
    for info in archives:
        counts = np.unique(source.labels(info.name), return_counts=True)[1]
        found[info.name] = int((counts >= each).sum())
    short = [name for name in found if found[name] < wanted]
    if short:
        name = min(short, key=lambda name: found[name])
        raise too_few(name, found[name], each, wanted, f"{len(short)} of {len(found)} archives: ")


def too_few(archive: str, found: int, each: int, wanted: int, lead: str = "") -> InputError:
    """The archive has too few speakers for a batch."""
    return InputError(
        f"{lead}{found} speakers have {each} chunks, a batch needs {wanted} such speakers",
        where=f"archive {archive}",
        mend="lower --train.batch_size or --train.utterances_per_speaker, or make larger archives with "
        "--egs.archive_chunks",
    )
