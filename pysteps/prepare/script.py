"""The command line that every local/NAME.py has: stage 0 calls it so."""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable
from pathlib import Path

from ..formats.errors import guarded


def main(prepare: Callable[[Path, Path, int], None], description: str | None) -> None:
    """``python local/NAME.py --corpus FOLDER --data FOLDER [--seed N]`` over ``prepare(corpus, data, seed)``.

    The corpus comes as an absolute path: wav.scp must mean the same from any folder.
    """
    parser = argparse.ArgumentParser(description=(description or "").split("\n")[0])
    parser.add_argument("--corpus", type=Path, required=True)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    guarded(lambda: prepare(Path(os.path.abspath(options.corpus)), options.data, options.seed))
