"""Reading ahead: bounded, in order, and at an end when nobody reads on."""

from __future__ import annotations

import time
import weakref
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

from pysteps.egs.reader import ArchiveInfo
from pysteps.egs.source import EgsFolder
from pysteps.formats.errors import InputError
from pysteps.train.data import batches
from pysteps.train.options import TrainOptions
from pysteps.train.readers import ahead, to_device
from tests.small_egs import OPTIONS, egs, seen


def test_as_many_are_made_ahead_as_are_asked_for_and_no_more() -> None:
    made: list[int] = []

    def numbers() -> Iterator[int]:
        for number in range(1, 9):
            made.append(number)
            yield number

    taken = []
    for number in ahead(numbers(), 3):
        time.sleep(0.02)
        taken.append(number)
        assert len(made) <= number + 2
    assert taken == made == list(range(1, 9))


def test_what_reading_raises_arrives_and_a_reader_that_is_left_ends() -> None:
    ended = []

    def numbers() -> Iterator[int]:
        try:
            yield 1
            raise InputError("no more")
        finally:
            ended.append(True)

    with pytest.raises(InputError, match="no more"):
        list(ahead(numbers()))
    left = ahead(iter_of_many(ended))
    assert next(left) == 0
    left.close()  # type: ignore[attr-defined]
    assert ended == [True, True]


def iter_of_many(ended: list[bool]) -> Iterator[int]:
    try:
        yield from range(100)
    finally:
        ended.append(True)


def test_no_more_than_two_archives_are_in_memory(tmp_path: Path) -> None:
    class Counted(EgsFolder):
        def hold(self, info: ArchiveInfo, epoch: int, rows: np.ndarray):
            held = super().hold(info, epoch, rows)
            there.append(weakref.ref(held))
            most.append(sum(one() is not None for one in there))
            return held

    there: list[weakref.ref] = []
    most: list[int] = []
    source = Counted(egs(tmp_path))
    for _ in batches(source, source.plan().archives * 3, 0, OPTIONS):
        time.sleep(0.002)
    assert len(there) == 9 and max(most) == 2


def test_balanced_batches_read_no_more_than_their_rows(tmp_path: Path) -> None:
    class Noted(EgsFolder):
        def hold(self, info: ArchiveInfo, epoch: int, rows: np.ndarray):
            held.append(len(rows))
            return super().hold(info, epoch, rows)

    held: list[int] = []
    options = TrainOptions(loss="ge2e", batch_size=8, utterances_per_speaker=2)
    assert len(seen(Noted(egs(tmp_path)), options=options, rank=1, width=2)) == 3
    assert held == [4, 4, 4]


def test_only_whole_arrays_are_copied_behind_the_back() -> None:
    # What torch makes of an array and of a part of it, as on a GPU's pinned memory.
    whole = torch.empty((3, 2)).numpy()
    assert isinstance(whole.base, torch.Tensor) and not isinstance(whole[1:].base, torch.Tensor)
    assert to_device(np.arange(3), torch.device("cpu")).tolist() == [0, 1, 2]
