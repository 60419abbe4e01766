"""Nothing is silently dropped: what cannot be used is listed with its reason and counted.

Each stage keeps a table ``dropped`` (utterance, reason) beside its products; data/SET/dropped is the view of
the run that was last at work, for people.
"""

from __future__ import annotations

import math
import sys
from pathlib import Path

from .errors import InputError
from .run import Run
from .tables import read_table

STAGES = ("audio", "vad", "features", "extract")


def dropped_tables(run: Run, name: str) -> dict[str, Path]:
    """Stage to the table of what it gave up of the set ``name`` in this run's configuration."""
    folders = {stage: run.of(stage, name) for stage in STAGES[:-1]}
    folders["extract"] = run.exp / "xvectors" / name
    return {stage: folder / "dropped" for stage, folder in folders.items() if (folder / "dropped").is_file()}


def dropped_of(run: Run, name: str) -> dict[str, str]:
    """Utterance to "stage reason" for everything given up of a set in this run's configuration."""
    return {
        utt: f"{stage} {reason}"
        for stage, path in dropped_tables(run, name).items()
        for utt, reason in read_table(path).items()
    }


def conclude_drops(run: Run, stage: str, name: str, table: Path) -> None:
    """Bring data/SET/dropped up to date, say how many a stage dropped, and refuse more than it may."""
    data, dropped = run.set(name), read_table(table)
    data.show_dropped(dropped_of(run, name))
    if not dropped:
        return
    total, limit = len(data.utt2spk()), run.options[stage]["max_dropped"]
    share = len(dropped) / total
    utt, reason = next(iter(dropped.items()))
    print(f"{stage} {name}: dropped {len(dropped)} of {total}, first {utt}: {reason}", file=sys.stderr)
    if share > limit:
        enough = math.ceil(share * 1000) / 1000
        raise InputError(
            f"{len(dropped)} of {total} utterances were dropped ({share:.1%}, allowed {limit:.1%}); "
            f"first {utt}: {reason}",
            where=table,
            mend=f"mend the recordings, or allow it with --{stage}.max_dropped {enough:g}",
        )
