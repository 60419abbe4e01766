"""Processes that make a training's batches (--train.workers), each on a core of its own.

A thread of the training (readers.py) is enough where chunks are only read. Where each is augmented, a core
makes some hundred to some thousand of them a second, and a fast device would wait. Whoever makes a batch, its
bytes are the same.
"""

from __future__ import annotations

import mmap
import os
import signal
import sys
import traceback
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from multiprocessing import get_context, parent_process, reduction, resource_tracker
from multiprocessing.connection import Connection, wait
from typing import Any, TypeVar, cast

import numpy as np

from ..egs.reader import ArchiveInfo, EgsPlan, Room
from ..formats.errors import InputError
from .readers import Made, Share

_SLOTS = 2  # batches that a process has in hand: one that it makes and one that it has made
_PATIENCE = 5.0  # seconds that a process gets to end

T = TypeVar("T")


@contextmanager
def crew(source: T, workers: int) -> Iterator[T]:
    """``source``, read by so many processes while the block lasts; 0: by threads of this one, as it is.

    Several trainings of one machine each have their own. The processes end with the block, and with this
    process however it ends.
    """
    if workers < 0:
        raise InputError(f"{workers} processes to read with", mend="--train.workers is 0 or more")
    if not workers:
        yield source
        return
    with Crew(source, workers) as found:
        yield cast(T, found)  # it has all that the source has, and ``deliver``


class Crew:
    """An egs source whose batches are made by ``workers`` processes; use as a context manager.

    They are spawned, so ``source`` is pickled. A batch comes back in memory that is shared, none of it in
    /dev/shm. What a process refuses is refused here, and one that dies is named with its signal.
    """

    def __init__(self, source: Any, workers: int) -> None:
        self.source, self._next = source, 0
        size = _slot_bytes(source.plan())
        self._workers = [_Worker(source, size) for _ in range(workers)]

    def __enter__(self) -> Crew:
        try:
            # Ctrl-C is for this process, which ends the others: they begin with it blocked. What is started
            # first would unblock it.
            resource_tracker.ensure_running()
            before = signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])
            try:
                for worker in self._workers:
                    worker.start()
            finally:
                signal.pthread_sigmask(signal.SIG_SETMASK, before)
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        for worker in self._workers:
            worker.end()
        for worker in self._workers:
            worker.wait()

    def __getattr__(self, name: str) -> Any:
        return getattr(self.source, name)

    def deliver(self, archives: Iterable[Sequence[Share]], room: Room) -> Iterator[Made]:
        """Features and labels of all shares in order; one reading at a time."""
        shares = (share for of_one in archives for share in of_one)
        made: dict[int, Made] = {}
        first = wanted = self._next
        more = True
        while more or wanted < self._next:
            # Bounded: who is behind is waited for.
            while more and self._next < wanted + (_SLOTS + 1) * len(self._workers):
                worker = min(self._workers, key=lambda one: len(one.asked))
                if len(worker.asked) == _SLOTS:
                    break
                share = next(shares, None)
                if share is None:
                    more = False
                    break
                worker.ask(self._next, share)
                self._next += 1
            if wanted in made:
                yield made.pop(wanted)
                wanted += 1
            elif any(worker.asked for worker in self._workers):
                for worker in self._ready():
                    number, one = worker.fetch(room)
                    if number >= first:  # else of an epoch that was left
                        made[number] = one

    def _ready(self) -> list[_Worker]:
        # The processes that have something to say, or nothing any more; waits for one.
        ends: dict[Any, _Worker] = {end: one for one in self._workers for end in (one.pipe, one.ended)}
        return list({id(ends[end]): ends[end] for end in wait(list(ends))}.values())


class _Worker:
    """A process, the batches that it was ``asked`` for, and the memory where it puts them in turn."""

    def __init__(self, source: Any, size: int) -> None:
        self._source, self._size, self._turn = source, size, 0
        self.asked: deque[tuple[int, int, Share]] = deque()  # number, place in memory

    def start(self) -> None:
        context = get_context("spawn")
        self._memory = _Memory(self._size * _SLOTS)
        self.pipe, theirs = context.Pipe()
        work = (self._source, theirs, self._memory)
        self._process = context.Process(target=_work, args=work, name="train-reader", daemon=True)
        self._process.start()
        self.ended = self._process.sentinel
        theirs.close()

    def ask(self, number: int, share: Share) -> None:
        """Have a batch made."""
        start, self._turn = self._turn * self._size, (self._turn + 1) % _SLOTS
        self.asked.append((number, start, share))
        try:
            self.pipe.send((start, share.info, share.epoch, share.rows))
        except OSError as error:
            raise self._died() from error

    def fetch(self, room: Room) -> tuple[int, Made]:
        """The first of the batches that it was asked for; InputError if it refuses it, or is dead."""
        try:
            if not self.pipe.poll():  # what it said last can be read when it is no more
                raise EOFError
            shape, refused, broken = self.pipe.recv()
        except (EOFError, OSError) as error:
            raise self._died() from error
        if refused:
            raise InputError(refused)
        if broken:
            raise RuntimeError(f"in a process that reads chunks:\n{broken}")
        number, start, share = self.asked.popleft()
        features, labels = self._memory.arrays(start, shape)
        out = room(shape, np.float32)
        out[:] = features
        return number, (share, out, labels.copy())

    def _died(self) -> InputError:
        self._process.join(_PATIENCE)
        code = self._process.exitcode
        how = f"ended with status {code}"
        if code is not None and code < 0:
            how = f"was ended by {signal.Signals(-code).name}"
        where = f"archive {self.asked[0][2].info.name}" if self.asked else None
        mend = "lower --train.workers if memory is short" if code == -signal.SIGKILL else None
        return InputError(f"a process that reads chunks {how}", where=where, mend=mend)

    def end(self) -> None:
        """Tell it to end, if it has begun."""
        if hasattr(self, "_process"):
            self._process.terminate()

    def wait(self) -> None:
        """Until it has ended."""
        if hasattr(self, "_process"):
            self._process.join(_PATIENCE)
            self._process.kill()
            self._process.join()
            self.pipe.close()


class _Memory:
    """Memory that a spawned process shares: no name, no file, gone with the last of its processes.

    Only what is written takes memory, so its size may be that of the largest batch there could be.
    """

    def __init__(self, size: int, handle: int | None = None) -> None:
        self._size = size
        self._handle = os.memfd_create("timbre-batches") if handle is None else handle
        if handle is None:
            os.ftruncate(self._handle, size)
        self._map = mmap.mmap(self._handle, size)

    def __del__(self) -> None:
        os.close(self._handle)

    def __reduce__(self) -> tuple[Any, ...]:
        return _shared, (self._size, reduction.DupFd(self._handle))

    def arrays(self, start: int, shape: tuple[int, int, int]) -> tuple[np.ndarray, np.ndarray]:
        """Features float32 ``shape`` and labels int64 [rows], from byte ``start`` on."""
        count = shape[0] * shape[1] * shape[2]
        labels = np.frombuffer(self._map, np.int64, shape[0], start)
        return np.frombuffer(self._map, np.float32, count, start + 8 * shape[0]).reshape(shape), labels


def _shared(size: int, handle: Any) -> _Memory:
    return _Memory(size, handle.detach())


def _slot_bytes(plan: EgsPlan) -> int:
    # A batch is of one archive at most.
    sizes = [info.chunks * (8 + 4 * info.frames * plan.feature_dim) for info in (*plan.archives, *plan.long)]
    return -(-max(sizes, default=1) // mmap.PAGESIZE) * mmap.PAGESIZE


def _work(source: Any, pipe: Connection, memory: _Memory) -> None:
    # What a process does until nobody asks any more.
    if "torch" in sys.modules:
        sys.modules["torch"].set_num_threads(1)
    parent = parent_process()
    assert parent is not None
    with suppress(EOFError, OSError):
        while pipe in wait([pipe, parent.sentinel]):
            start, info, epoch, rows = pipe.recv()
            pipe.send(_made(source, memory, start, info, epoch, rows))


def _made(
    source: Any, memory: _Memory, start: int, info: ArchiveInfo, epoch: int, rows: np.ndarray
) -> tuple[tuple[int, ...], str, str]:
    # The shape of what lies at ``start`` now, or what was refused, or what went wrong.
    try:
        features, labels = source.archive(info, epoch, rows)
        there = memory.arrays(start, features.shape)
        there[0][:], there[1][:] = features, labels
        return features.shape, "", ""
    except InputError as error:
        return (), str(error), ""
    except Exception:
        return (), "", traceback.format_exc()
