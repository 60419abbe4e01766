"""Progress for whoever waits: a bar on a terminal, plain lines in a log."""

from __future__ import annotations

import sys
import time


class Progress:
    """Counts ``total`` things of a kind (``unit``) under a ``label``.

    On a terminal a tqdm bar; elsewhere a line at most every ``every`` seconds with the count, the rate
    and the time left. ``quiet`` says nothing (a process that is not the first).
    """

    def __init__(self, total: int, unit: str, label: str, every: float = 10.0, quiet: bool = False) -> None:
        self._total, self._unit, self._label, self._every = total, unit, label, every
        self._done, self._start = 0, time.monotonic()
        self._said = self._start
        self._bar = None
        self._quiet = quiet
        if sys.stderr.isatty() and not quiet:
            from tqdm import tqdm

            self._bar = tqdm(total=total, unit=f" {unit}", desc=label, leave=False)

    def update(self, count: int = 1) -> None:
        """``count`` more are done."""
        self._done += count
        if self._bar is not None:
            self._bar.update(count)
        elif time.monotonic() - self._said >= self._every:
            self._say()

    def _say(self) -> None:
        if self._quiet:
            return
        self._said = time.monotonic()
        rate = self._done / max(self._said - self._start, 1e-9)
        left = (self._total - self._done) / rate if rate > 0 else float("nan")
        print(
            f"{self._label}: {self._done}/{self._total} {self._unit}, {rate:.3g}/s, {left:.0f} s left",
            file=sys.stderr,
            flush=True,
        )

    def close(self) -> None:
        """The last line."""
        if self._bar is not None:
            self._bar.close()
        elif self._total:
            self._say()
