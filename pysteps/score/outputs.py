"""A command never writes over a file that it reads."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path

from ..formats.errors import InputError

_WRITTEN = ("out", "save")


def refuse_overwriting(options: argparse.Namespace) -> None:
    """InputError where a file to write (--out, --save) is one that another option names."""
    taken: dict[Path, str] = {}
    for name, value in vars(options).items():
        if name not in _WRITTEN:
            taken |= {path.resolve(): name for path in _paths(value)}
    for name in _WRITTEN:
        for path in _paths(getattr(options, name, None)):
            other = taken.setdefault(path.resolve(), name)
            if other != name:
                said = f"--{name} is the file of --{other.replace('_', '-')} too, and would be written over"
                raise InputError(said, where=path, mend="name another file")


def _paths(value: object) -> Iterator[Path]:
    # Of an option's value: a path, NAME=FILE, or a list of either.
    for one in value if isinstance(value, list) else [value]:
        if isinstance(one, Path):
            yield one
        elif isinstance(one, str) and "=" in one:
            yield Path(one.partition("=")[2])
