"""The command line that every local/NAME.py has: stage 0 calls it so."""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable, Collection, Mapping
from pathlib import Path

from ..formats.errors import InputError, guarded
from .corpus import Corpus, warn


def main(
    prepare: Callable[[Corpus, Path, int], None], description: str | None, choices: Collection[str] = ()
) -> None:
    """``python local/NAME.py --corpus FOLDER --data FOLDER [--root NAME=FOLDER ...] [--choice NAME=VALUE ...]
    [--seed N]``.

    Calls ``prepare(corpus, data, seed)``. Folders come as absolute paths: wav.scp must mean the same from any
    folder. ``choices``: names of what the script lets one choose; others are refused.
    """
    parser = argparse.ArgumentParser(description=(description or "").split("\n")[0])
    parser.add_argument("--corpus", type=Path, required=True)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--root", action="append", default=[], metavar="NAME=FOLDER")
    parser.add_argument("--choice", action="append", default=[], metavar="NAME=VALUE")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    roots = (root.partition("=") for root in options.root)
    chosen = {name: value for name, _, value in (choice.partition("=") for choice in options.choice)}
    folders = {name: _absolute(folder) for name, _, folder in roots}
    corpus = Corpus(_absolute(options.corpus), folders, chosen)

    def checked() -> None:
        _refuse_unknown(chosen, choices)
        try:
            prepare(corpus, options.data, options.seed)
        except UnicodeDecodeError as error:
            near = error.object[max(error.start - 30, 0) : error.start + 10].decode(errors="replace")
            said = f"a table of the corpus is not UTF-8: {near!r}"
            raise InputError(said, where=corpus.root, mend="iconv -t utf-8 makes it so") from error
        for name in sorted(folders.keys() - corpus.asked):
            warn(f"--prepare.roots.{name} was not looked for; these were: {', '.join(sorted(corpus.asked))}")

    guarded(checked)


def _refuse_unknown(chosen: Mapping[str, str], known: Collection[str]) -> None:
    for name in chosen:
        if name not in known:
            mend = f"it offers {', '.join(known)}" if known else "it offers nothing to choose"
            raise InputError(
                "the corpus's script does not know this", where=f"--prepare.choices.{name}", mend=mend
            )


def _absolute(path: Path | str) -> Path:
    return Path(os.path.abspath(path))
