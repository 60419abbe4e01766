"""Bytes that many files take on a disk, in the blocks that a file system gives them."""

from __future__ import annotations

import math
from collections.abc import Iterable

BLOCK = 4096
STAMP = BLOCK


class Files:
    """Bytes that files and folders take on a disk."""

    def __init__(self) -> None:
        self.bytes = 0.0

    def add(self, size: float, count: int = 1) -> Files:
        """``count`` files of ``size`` bytes each."""
        self.bytes += count * math.ceil(size / BLOCK) * BLOCK
        return self

    def sharded(self, items: int, size: int, archives: Iterable[float], lines: Iterable[float]) -> Files:
        """A unit of ``items`` in shards of ``size``.

        ``archives``: bytes of all entries of each kind of archive; ``lines``: bytes a line of each table.
        Tables lie in the shards and gathered beside them.
        """
        shards = -(-items // size)
        for whole in archives:
            self.add(whole / max(1, shards), shards)
        for line in lines:
            self.add(line * min(size, items), shards).add(line * items)
        # The folders: the unit's, shards, the plan's and each shard's; plan and stamp.
        return self.add(BLOCK, 3 + shards).add(25 * items).add(STAMP)
