"""What stages' products take on a disk now, and what is free there."""

from __future__ import annotations

import os
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from ..formats.run import Run
from ..train import owner
from ..train import stage as train

MARGIN = 1.02  # logs, temporary files, what the formulas do not know
SPARE = 1 << 20


def places(run: Run, stage: str) -> list[Path]:
    """The folders and files of a stage's products (stage prepare's are the sets themselves: none here)."""
    exp = run.exp
    fixed = {
        "egs": [run.egs],
        "extract": [exp / "xvectors"],
        "backend": [exp / "backend"],
        "score": [exp / part for part in ("scores", "results.json", "report.html", "det.png")],
        "diarize": [exp / "diarize"],
        "tune": [exp / "tune" / run.names.get("tune", "")],
        "augment": [
            path
            for name in run.copies
            for path in (run.of("vad", name), *sorted((run.data / name).glob("*")))
            if path.name not in ("feats", "vad")
        ],
    }
    if stage == "train":
        others = (exp / part for part in ("model", "curves.jsonl", "tensorboard", "wandb", "clearml"))
        return [*(owner.written(unit) for unit in train.units(run)), *others]
    if stage in fixed:
        return fixed[stage]
    if stage == "prepare":
        return []
    names = [*run.base_sets, *(run.copies if stage == "features" else [])]
    return [run.of(stage, name) for name in names]


def used(paths: Iterable[Path]) -> int:
    """Bytes that files and folders take, as du counts them; not what a run removes meanwhile."""
    total = 0
    for top in paths:
        found = [str(top)]
        for folder, inner, names in os.walk(top):
            found += [os.path.join(folder, name) for name in (*inner, *names)]
        for path in found:
            with suppress(FileNotFoundError):
                total += os.lstat(path).st_blocks * 512
    return total


def free(folder: Path) -> int:
    """Bytes that may be written where ``folder`` is or will be."""
    there = folder.absolute()
    while not there.exists():
        there = there.parent
    disk = os.statvfs(there)
    return disk.f_bavail * disk.f_frsize


def short(need: float, folder: Path) -> str | None:
    """A sentence if ``need`` bytes and a margin are more than is free for ``folder``; None if they fit."""
    there = free(folder)
    if need * MARGIN + SPARE <= there:
        return None
    return f"{folder} needs {size_text(need * MARGIN + SPARE)} more, and {size_text(there)} are free"


def size_text(count: float) -> str:
    """Bytes for people: 3.2 GB."""
    for unit in ("B", "kB", "MB", "GB"):
        if count < 1000:
            return f"{count:.{0 if unit == 'B' else 1}f} {unit}"
        count /= 1000
    return f"{count:.1f} TB"
