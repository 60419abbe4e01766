"""A file within a file, for a library that seeks to absolute places."""

from __future__ import annotations

import os
from typing import IO


class Window:
    """The file ``handle`` from ``begin`` on, with the methods that soundfile asks of a file.

    The library calls from C, where an exception is lost: a failing disk is kept in ``failure``.
    """

    def __init__(self, handle: IO[bytes], begin: int) -> None:
        self._handle, self._begin = handle, begin
        self.failure: OSError | None = None

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """As io's seek, within the window; -1 where the disk fails."""
        place = self._begin + offset if whence == os.SEEK_SET else offset
        try:
            return self._handle.seek(place, whence) - self._begin
        except OSError as error:  # what was written before is flushed first
            self.failure = self.failure or error
            return -1

    def tell(self) -> int:
        """The place in the window."""
        return self._handle.tell() - self._begin

    def write(self, data: bytes) -> int:
        """How many bytes were written: none where the disk fails."""
        try:
            return self._handle.write(data)
        except OSError as error:
            self.failure = self.failure or error
            return 0

    def read(self, count: int = -1) -> bytes:
        """At most ``count`` bytes; all that are left for -1."""
        return self._handle.read(count)
