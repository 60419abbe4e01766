"""child.py [--bound] PARENT COMMAND ...: become COMMAND as a shell's child that hears signals.

What a script puts into the background ignores Ctrl-C; here that is undone, unless the script ignores it, too.
--bound: the kernel kills COMMAND when PARENT, the shell that starts it, is gone (Linux). Standard library.
"""

from __future__ import annotations

import os
import signal
import sys


def ignored(pid: int) -> int:
    """The signals that a process ignores, a bit each; none where that is not told."""
    try:
        with open(f"/proc/{pid}/status", encoding="utf-8", errors="replace") as handle:
            return next((int(line.split()[1], 16) for line in handle if line.startswith("SigIgn:")), 0)
    except OSError:
        return 0


def main(words: list[str]) -> int:
    bound = words[0] == "--bound"
    parent, command = int(words[bound]), words[bound + 1 :]
    there = ignored(parent)
    for number in (signal.SIGINT, signal.SIGQUIT):
        if not there >> (number - 1) & 1:
            signal.signal(number, signal.SIG_DFL)
    if bound and sys.platform.startswith("linux"):
        import ctypes

        ctypes.CDLL(None).prctl(1, signal.SIGKILL, 0, 0, 0)  # PR_SET_PDEATHSIG
        if os.getppid() != parent:  # it died before the line above
            return 137
    try:
        os.execvp(command[0], command)
    except OSError as error:
        print(f"error: {command[0]}: {error.strerror}", file=sys.stderr)
        return 127 if isinstance(error, FileNotFoundError) else 126


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
