"""Names for files and folders that stand side by side."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ..formats.errors import InputError


def labels(paths: Sequence[Path]) -> list[str]:
    """The shortest end of each path that no other one has; one that stands there twice is an InputError.

    ``exp/a`` and ``exp/b`` are ``a`` and ``b``; ``one/exp/a`` and ``two/exp/a`` stay what they are.
    """
    whole = [path.resolve() for path in paths]
    for place, path in enumerate(whole):
        if path in whole[:place]:
            raise InputError("named twice: there is nothing to compare", where=paths[place])
    return [_label(path, whole) for path in whole]


def _label(path: Path, others: Sequence[Path]) -> str:
    depth = 1
    while sum(other.parts[-depth:] == path.parts[-depth:] for other in others) > 1:
        depth += 1
    return "/".join(path.parts[-depth:])


def named(names: Sequence[str] | None, files: Sequence[str]) -> list[str]:
    """``names``, one a file and each another; ``files``' own where there are none."""
    if names is None:
        return list(files)
    if len(names) != len(files) or len(set(names)) < len(names):
        raise InputError(f"--names {' '.join(names)}: {len(files)} different names are needed, one a file")
    return list(names)
