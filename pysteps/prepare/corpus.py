"""Where a raw corpus lies, what is found there, and how it compares with what is published.

What every local/NAME.py needs and none should write again. Paths in tables are what these functions return:
absolute ones, or relative to the checkout for what is shipped with it.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ..formats.errors import InputError


@dataclass(frozen=True)
class Corpus:
    """The folder that --corpus names, those that --prepare.roots names: ``{"musan": /disk2/musan}``, and what
    --prepare.choices chooses of what the script offers: ``{"languages": "cy,de"}``. ``asked``: the names of
    roots that the script has looked for."""

    root: Path
    roots: Mapping[str, Path] = field(default_factory=dict)
    choices: Mapping[str, str] = field(default_factory=dict)
    asked: set[str] = field(default_factory=set, compare=False)

    def choice(self, name: str, default: str, *known: str) -> str:
        """What was chosen of ``name``, else ``default``; InputError unless it is one of ``known``."""
        chosen = self.choices.get(name, default)
        if known and chosen not in known:
            raise InputError(f"{chosen!r} is none of {', '.join(known)}", where=f"--prepare.choices.{name}")
        return chosen

    def whole(self, name: str, default: int, least: int = 0) -> int:
        """As ``choice``, of a whole number from ``least``."""
        text = self.choices.get(name, str(default))
        if not text.isdecimal() or int(text) < least:
            where = f"--prepare.choices.{name}"
            raise InputError(f"{text!r} is no whole number from {least}", where=where)
        return int(text)

    def part(self, name: str, *folders: str) -> Path:
        """The folder of one corpus of several: what --prepare.roots says of ``name``, else the first of
        ``folders`` (or ``name``) below the root that is there. InputError says where it was looked for."""
        found = self.optional(name, *folders)
        if found is None:
            looked = ", ".join(f"{folder}/" for folder in (folders or (name,)))
            raise InputError(
                f"no {name} here: looked for {looked}; {inside(self.root)}",
                where=self.root,
                mend=f"--prepare.roots.{name} FOLDER, or put it (or a link to it) there",
            )
        return found

    def optional(self, name: str, *folders: str) -> Path | None:
        """As ``part``, None where it is nowhere. A folder that was named but is not there is an error."""
        self.asked.add(name)
        if name in self.roots:
            if not self.roots[name].is_dir():
                raise InputError("no such folder", where=self.roots[name], mend=f"--prepare.roots.{name}")
            return self.roots[name]
        there = (self.root / folder for folder in (folders or (name,)))
        return next((folder for folder in there if folder.is_dir()), None)


def inside(folder: Path, most: int = 8) -> str:
    """What a folder holds, in words for a message: "found a, b, c and 5 more"."""
    if not folder.is_dir():
        return "there is no such folder"
    names = sorted(entry.name + "/" * entry.is_dir() for entry in os.scandir(folder))
    if not names:
        return "the folder is empty"
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return f"found {', '.join(names[:most])}{more}"


def need(folder: Path, *names: str, mend: str) -> list[Path]:
    """``folder``/NAME for each name, which may be files or folders; InputError lists what is missing."""
    missing = [name for name in names if not (folder / name).exists()]
    if missing:
        raise InputError(f"no {' and no '.join(missing)} here; {inside(folder)}", where=folder, mend=mend)
    return [folder / name for name in names]


def files(root: Path, suffixes: Sequence[str], depth: int | None = None) -> list[Path]:
    """Files below ``root`` whose names end in one of ``suffixes`` (any case), sorted by path.

    ``depth``: folders between root and file, exactly (2: root/A/B/file); None: any. A million files take
    seconds: folders are listed, no file is looked at. Passed over are hidden files and folders, links
    back to a folder that is being walked, and names that are not UTF-8 (said: no table can hold them).
    """
    return [Path(path) for path in texts_of_files(root, suffixes, depth)]


def texts_of_files(root: Path, suffixes: Sequence[str], depth: int | None = None) -> list[str]:
    """As ``files``, paths as text: for a million of them, whose Path objects would cost seconds."""
    odd: list[str] = []
    found = sorted(_walk(str(root), tuple(one.lower() for one in suffixes), depth, odd))
    if odd:
        first = os.fsencode(min(odd)).decode(errors="replace")
        warn(f"{root}: {len(odd):,} names are not UTF-8 and passed over (the first: {first})")
    return found


def _walk(folder: str, suffixes: tuple[str, ...], depth: int | None, odd: list[str]) -> Iterator[str]:
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.name.startswith("."):
                continue
            if not entry.name.isascii() and not _is_text(entry.name):
                odd.append(entry.path)
            elif entry.is_dir():
                if (depth is None or depth) and not (entry.is_symlink() and _leads_back(entry.path)):
                    yield from _walk(entry.path, suffixes, None if depth is None else depth - 1, odd)
            elif not depth and entry.name.lower().endswith(suffixes):
                yield entry.path


def _is_text(name: str) -> bool:
    try:
        name.encode()
    except UnicodeEncodeError:  # bytes of another encoding, as os.scandir hands them over
        return False
    return True


def _leads_back(link: str) -> bool:
    target, folder = Path(link).resolve(), Path(link).parent.resolve()
    return folder == target or folder.is_relative_to(target)


def compare(name: str, found: Mapping[str, float], published: Mapping[str, float], source: str) -> None:
    """A warning on standard error for every count that is not the published one, with both numbers.

    ``name``: of what is counted ("VoxCeleb2 dev"); ``source``: who published them.
    """
    for what, number in published.items():
        if found.get(what) != number:
            warn(f"{name}: {found.get(what, 0):,} {what}, {source} has {number:,}")


def warn(text: str) -> None:
    """A line on standard error."""
    print(f"warning: {text}", file=sys.stderr, flush=True)
