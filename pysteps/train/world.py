"""The processes of one training: alone, or several started by torchrun; and what makes them exact."""

from __future__ import annotations

import ctypes
import os
import platform
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta

import torch
import torch.distributed as dist
from torch import Tensor

from ..formats.errors import InputError


@dataclass(frozen=True)
class World:
    """This process's number, how many there are, and its device."""

    rank: int
    width: int
    device: torch.device

    @property
    def first(self) -> bool:
        """Whether this is the process that writes and speaks."""
        return self.rank == 0

    def sum(self, values: Tensor) -> Tensor:
        """The sum of ``values`` over all processes."""
        if self.width > 1:
            dist.all_reduce(values)
        return values

    def share(self, content: bytes) -> bytes:
        """The first process's ``content``, in every process.

        What one node has written another may see later, so only one process reads what decides.
        """
        if self.width == 1:
            return content
        size = torch.tensor([len(content)], device=self.device)
        dist.broadcast(size, 0)
        block = torch.frombuffer(bytearray(content or b"0"), dtype=torch.uint8).to(self.device)
        if not self.first:
            block = torch.empty(int(size), dtype=torch.uint8, device=self.device)
        if int(size):
            dist.broadcast(block, 0)
        return block.cpu().numpy().tobytes() if int(size) else b""

    def wait(self) -> None:
        """Until all processes are here."""
        if self.width > 1:
            dist.barrier()


def choose_device(name: str, local_rank: int = 0) -> torch.device:
    """auto, cpu or cuda to a device; InputError if it is not there."""
    if name not in ("auto", "cpu", "cuda"):
        raise InputError(f"unknown device {name!r}; known: auto, cpu, cuda")
    there = torch.cuda.is_available()
    if name == "cuda" and not there:
        raise InputError("no CUDA device here", mend="--train.device cpu")
    return torch.device("cuda", local_rank) if there and name != "cpu" else torch.device("cpu")


@contextmanager
def joined(device: str) -> Iterator[World]:
    """Join the processes that torchrun started (gloo on CPUs, NCCL on GPUs), or be the only one.

    InputError when another of them ends before its work is done.
    """
    rank, width = int(os.environ.get("RANK", "0")), int(os.environ.get("WORLD_SIZE", "1"))
    world = World(rank, width, choose_device(device, int(os.environ.get("LOCAL_RANK", "0"))))
    if world.device.type == "cuda":
        torch.cuda.set_device(world.device)
    if width == 1:
        yield world
        return
    # The others wait while the first one judges the epoch: hours are for large development sets.
    backend = "nccl" if world.device.type == "cuda" else "gloo"
    dist.init_process_group(backend, timeout=timedelta(hours=4))
    try:
        yield world
    except RuntimeError as error:
        if not isinstance(error, dist.DistError) and "gloo" not in str(error):
            raise
        said = str(error).splitlines()[0]
        raise InputError(
            f"process {rank} of {width} has lost another: {said}", mend="what that one says is the cause"
        ) from error
    finally:
        dist.destroy_process_group()


@contextmanager
def exact(threads: int) -> Iterator[None]:
    """Deterministic algorithms on a fixed number of threads; what was set before comes back after."""
    before = torch.get_num_threads(), torch.are_deterministic_algorithms_enabled()
    # cuBLAS is deterministic only with a fixed workspace, and reads this when it is first used.
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    torch.set_num_threads(threads)
    torch.use_deterministic_algorithms(True)
    try:
        yield
    finally:
        torch.set_num_threads(before[0])
        torch.use_deterministic_algorithms(before[1])


def keep_memory() -> None:
    """Let glibc keep freed memory for the next step.

    It gives large blocks back to the kernel as soon as they are freed; each step then waits for pages
    to be handed out and zeroed again: 30 to 40 % of the time of a step on a CPU.
    """
    if platform.libc_ver()[0] == "glibc":
        libc = ctypes.CDLL(None)
        trim_threshold, mmap_max = -1, -4  # M_TRIM_THRESHOLD, M_MMAP_MAX of malloc.h
        libc.mallopt(mmap_max, 0)
        libc.mallopt(trim_threshold, 2**31 - 1)
