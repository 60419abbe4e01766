"""What an epoch's steps took: time, waiting, memory; nothing of it decides anything."""

from __future__ import annotations

import resource
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import Any

import torch

from .compiled import translations


@dataclass
class Meter:
    """Of the epoch so far, also where it was interrupted: seconds of steps, of which those that waited for
    data, and those of steps in which the network was translated; how many those are; steps left out."""

    seconds: float = 0.0
    waiting: float = 0.0
    warmup: float = 0.0
    warm_steps: int = 0
    skipped: int = 0

    def state(self) -> dict[str, Any]:
        """For a checkpoint: ``Meter(**state)`` goes on."""
        return asdict(self)

    def timed(self, batches: Iterator[Any]) -> Iterator[Any]:
        """The ``batches``, with the time from asking for one until the next is asked for."""
        while True:
            asked = time.monotonic()
            try:
                batch = next(batches)
            except StopIteration:
                return
            had = time.monotonic()
            yield batch
            self.waiting += had - asked
            self.seconds += time.monotonic() - asked

    @contextmanager
    def warming(self, compiles: bool) -> Iterator[None]:
        """Around a step: where the network ``compiles`` in it, its time is the warm-up's."""
        if not compiles:
            yield
            return
        made, began = translations(), time.monotonic()
        yield
        if translations() > made:
            self.warmup += time.monotonic() - began
            self.warm_steps += 1

    def line(self, chunks: int, steps: int, device: torch.device, compiles: bool) -> dict[str, Any]:
        """The part of an epoch's line that is measured, for all processes' ``chunks`` in ``steps``."""
        within = max(self.seconds - self.warmup, 1e-9)
        line: dict[str, Any] = {
            "seconds": round(self.seconds, 3),
            "chunks_per_second": round(chunks * (1 - self.warm_steps / steps) / within, 1),
            "waiting": round(self.waiting / max(self.seconds, 1e-9), 4),
            "memory_mb": round(peak_memory(device), 1),
        }
        return line | ({"warmup_seconds": round(self.warmup, 3)} if compiles else {})


# What differs between two trainings that came to the same.
MEASURED = ("seconds", "chunks_per_second", "waiting", "memory_mb", "warmup_seconds")


def peak_memory(device: torch.device) -> float:
    """Most MiB in use: of the device since this was asked last, or of the process so far on CPUs."""
    if device.type == "cuda":
        most = torch.cuda.max_memory_allocated(device)
        torch.cuda.reset_peak_memory_stats(device)
        return most / 2**20
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most / (2**20 if sys.platform == "darwin" else 2**10)
