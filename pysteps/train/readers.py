"""Reading ahead: threads between an egs folder and the steps, so that a step finds its batch made."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from ..egs.reader import ArchiveInfo, Room
from ..formats.errors import InputError

if TYPE_CHECKING:
    import torch
    from torch import Tensor

AHEAD = 4  # batches that are ready before they are wanted

T = TypeVar("T")
Made = tuple["Share", "np.ndarray | Tensor", np.ndarray]  # with features and labels


@dataclass(frozen=True)
class Share:
    """What a process has to read for a step: ``rows`` of an archive in an epoch."""

    info: ArchiveInfo
    epoch: int
    number: int  # of the batch in the epoch
    rows: np.ndarray
    mine: np.ndarray  # their places in the batch of all processes
    of: int  # chunks of that batch


def ahead(made: Iterator[T], count: int = AHEAD) -> Iterator[T]:
    """The same, made by a thread, at most ``count`` before they are taken."""
    with ThreadPoolExecutor(1, "next-batch") as thread:
        coming = deque(thread.submit(next, made, None) for _ in range(count))
        try:
            while (one := coming.popleft().result()) is not None:
                yield one
                # Only now: whoever took it has used it.
                coming.append(thread.submit(next, made, None))
        finally:
            thread.shutdown(cancel_futures=True)
            made.close()  # type: ignore[attr-defined]


def read_here(source: Any, archives: Iterable[Sequence[Share]], room: Room) -> Iterator[Made]:
    """Features and labels of all shares in order: while one archive's are taken, a thread reads the next
    one. No more than two are in memory."""
    left = iter(archives)
    hold = getattr(source, "hold", None) or (lambda *which: _Whole(source, *which))

    def begin() -> tuple[Sequence[Share], Any] | None:
        shares = next(left, None)
        if shares is None:
            return None
        rows = np.concatenate([share.rows for share in shares])
        return shares, hold(shares[0].info, shares[0].epoch, rows)

    with ThreadPoolExecutor(1, "next-archive") as thread:
        coming = thread.submit(begin)
        while (found := coming.result()) is not None:
            shares, held = found
            coming = thread.submit(begin)
            for share in shares:
                yield share, *held.take(share.rows, room)


class _Whole:
    # Rows of an archive of a source that knows nothing but ``archive``.
    def __init__(self, source: Any, info: ArchiveInfo, epoch: int, rows: np.ndarray) -> None:
        self._features, self._labels = source.archive(info, epoch, rows)
        if len(self._features) != len(rows):
            raise InputError(f"archive {info.name} gave {len(self._features)} chunks, not {len(rows)}")
        self._place = np.empty(info.chunks, np.int64)
        self._place[rows] = np.arange(len(rows))

    def take(self, rows: np.ndarray, room: Room) -> tuple[np.ndarray, np.ndarray]:
        places = self._place[rows]
        out = room((len(rows), *self._features.shape[1:]), np.float32)
        out[:] = self._features[places]
        return out, self._labels[places]


def host_room(device: str) -> Room:
    """What makes arrays that batches are read into: for a GPU in pinned memory, from which it copies
    by itself (``to_device``)."""
    if device == "cpu":
        return np.empty
    import torch

    if not torch.cuda.is_available():
        return np.empty
    return lambda shape, _: torch.empty(shape, dtype=torch.float32, pin_memory=True).numpy()


def to_device(array: np.ndarray | Tensor, device: torch.device) -> Tensor:
    """The array as a tensor there. From pinned memory a GPU copies it while this process goes on; of a part
    of such an array torch would not know when the memory is free again, so that is waited for."""
    import torch

    if isinstance(array, torch.Tensor):
        return array.to(device)
    whole = isinstance(array.base, torch.Tensor)
    return torch.from_numpy(array).to(device, non_blocking=whole)
