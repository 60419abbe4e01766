"""Where ./run.sh works: the checkout that holds this pysteps. What a run says relatively counts from there.

Stages are started in it. Commands over a finished run (a summary, a report) may be started anywhere.
"""

from __future__ import annotations

import os
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parents[2]


def from_here(path: str) -> str:
    """A run's own ``path`` as this process must name it: unchanged in the checkout and if it is absolute."""
    if os.path.isabs(path) or os.path.realpath(os.curdir) == str(CHECKOUT):
        return path
    return os.path.normpath(CHECKOUT / path)


def located(path: str) -> str:
    """The file that a table or a stamp names: ``path``, or where there is no such file the checkout's."""
    if os.path.isabs(path) or os.path.exists(path):
        return path
    below = CHECKOUT / path
    return str(below) if below.exists() else path


def recorded(path: str | os.PathLike[str]) -> str:
    """``path`` as stamps name it, the same from every folder: relative to the checkout if it is in there."""
    text = os.path.normpath(path)
    inside = os.path.isabs(text) and text.startswith(f"{CHECKOUT}{os.sep}")
    return os.path.relpath(text, CHECKOUT) if inside else str(path)
