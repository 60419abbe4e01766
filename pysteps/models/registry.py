"""A table of names for one kind of thing; an unknown name is refused with the known ones."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from typing import Generic, TypeVar

from ..formats.errors import InputError

T = TypeVar("T")


class Registry(Generic[T]):
    """What may be named for ``kind``: ``Registry("encoder", {"ecapa": EcapaEncoder})["ecapa"]``."""

    def __init__(self, kind: str, entries: Mapping[str, T]) -> None:
        self.kind = kind
        self._entries = dict(entries)

    def __getitem__(self, name: str) -> T:
        """The entry called ``name``; InputError lists the known names."""
        if name in self._entries:
            return self._entries[name]
        near = difflib.get_close_matches(name, self._entries, n=1)
        mend = f"did you mean {near[0]}?" if near else None
        raise InputError(f"unknown {self.kind} {name!r}; known: {', '.join(self.names())}", mend=mend)

    def names(self) -> list[str]:
        """The known names, sorted."""
        return sorted(self._entries)
