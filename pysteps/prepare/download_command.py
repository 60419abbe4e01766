"""``python -m pysteps.prepare download NAME --to FOLDER``, and what ``./run.sh --download`` calls."""

from __future__ import annotations

import argparse
import difflib
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ..formats.errors import InputError
from .download import TABLE, Source, choose, download, read_sources


def command(words: Sequence[str]) -> None:
    """Do what the command line ``words`` (of which the first is "download") say."""
    parser = argparse.ArgumentParser(prog="python -m pysteps.prepare download", description=__doc__)
    parser.add_argument("name", nargs="?", help="the corpus; without it all are listed")
    parser.add_argument("--to", type=Path, metavar="FOLDER", help="where it goes, archives and all")
    parser.add_argument("--only", default="", metavar="A,B", help="archives whose names begin so")
    parser.add_argument("--jobs", type=int, default=3, help="files at once (default 3)")
    parser.add_argument("--keep", action="store_true", help="leave archives that are unpacked")
    parser.add_argument(
        "--ignore-disk", action="store_true", help="begin even where the disk looks too small"
    )
    options = parser.parse_args(words[1:])
    sources = read_sources(TABLE)
    if options.name is None:
        print(listing(sources))
        return
    source = find(sources, options.name)
    if options.to is None and not source.by_hand:
        raise InputError("where to?", where=f"download {source.name}", mend="say --to FOLDER")
    folder = Path(os.path.abspath(options.to or "."))
    only = [part for part in options.only.split(",") if part]
    _get(source, folder, only=only, jobs=options.jobs, keep=options.keep, ignore_disk=options.ignore_disk)
    print(afterwards(source, folder), file=sys.stderr)


def for_recipe(recipe: str, folder: Path, dry: bool = False) -> None:
    """Download what ``recipe`` needs into ``folder``, or, ``dry``, say what that would be.

    InputError where nothing of it can be downloaded.
    """
    sources = read_sources(TABLE)
    found = [source for source in sources.values() if recipe in source.recipes]
    if not found:
        known = sorted({one for source in sources.values() for one in source.recipes})
        mend = f"its README says how to get it; --download is for {', '.join(known)}"
        raise InputError("its corpus cannot be downloaded by a program", where=f"recipe {recipe}", mend=mend)
    for source in found:
        only = source.needs.get(recipe, ())
        if dry:
            print(contents(source, folder, only))
        else:
            _get(source, folder, only=only)
    if not dry:
        print(afterwards(found[0], folder, recipe), file=sys.stderr)


def _get(source: Source, folder: Path, **how: Any) -> None:
    try:
        download(source, folder, **how)
    except KeyboardInterrupt:
        mend = "what is here stays, and the same command goes on with it"
        raise InputError("stopped", where=f"download {source.name}", mend=mend) from None


def find(sources: Mapping[str, Source], name: str) -> Source:
    """The source of corpus ``name``, or of the recipe of that name."""
    for source in (sources.get(name), *(one for one in sources.values() if name in one.recipes)):
        if source is not None:
            return source
    near = difflib.get_close_matches(name, sources, 1, 0.5)
    mend = (
        f"did you mean {near[0]}?"
        if near
        else f"there are {', '.join(sources)}; others: see egs/NAME/README.md"
    )
    raise InputError(f"no corpus {name} in {TABLE}", mend=mend)


def contents(source: Source, folder: Path, only: Sequence[str] = ()) -> str:
    """What a download would bring to ``folder``: a line a file, with its size and addresses. See choose."""
    if source.by_hand:
        return f"{source.name}: {source.by_hand}"
    lines = [f"{source.name} to {folder} ({source.licence}; {source.page})"]
    for archive in choose(source, only):
        for file in archive.parts:
            size = f"{file.size / 1e6:,.0f} MB" if file.size else "size unknown"
            lines.append(f"  {file.name}  {size}  {' or '.join(file.urls)}")
    return "\n".join(lines)


def afterwards(source: Source, folder: Path, recipe: str = "") -> str:
    """What to do with what is now there."""
    corpus = folder if source.corpus == "." else folder / source.corpus
    if source.root:
        return f"{source.name} is in {corpus}: ./run.sh ... --prepare.roots.{source.root} {corpus}"
    return f"{source.name} is there: ./run.sh --recipe {recipe or source.recipes[0]} --corpus {corpus}"


def listing(sources: Mapping[str, Source]) -> str:
    """A line a corpus: name, size, licence, page."""
    wide = max(map(len, sources))
    rows = []
    for name, source in sources.items():
        parts = [file for archive in source.archives for file in archive.parts]
        open_ended = "+" if any(not file.size for file in parts) else ""
        size = (
            "by hand" if source.by_hand else f"{source.size / 1e9:.1f}{open_ended} GB" if source.size else "?"
        )
        rows.append(f"{name:{wide}}  {size:>9}  {source.licence}; {source.page}")
    return "\n".join(rows)
