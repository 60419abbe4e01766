"""Nothing is silently dropped: what cannot be used is listed with its reason and counted."""

from __future__ import annotations

import sys
from pathlib import Path

from .datadir import DataSet
from .errors import InputError
from .tables import read_table


def conclude_drops(data: DataSet, stage: str, table: Path, limit: float) -> None:
    """Put a stage's ``dropped`` table into the set's, say how many, and refuse more than ``limit``."""
    dropped = read_table(table) if table.is_file() else {}
    data.drop(stage, dropped)
    if not dropped:
        return
    total = len(data.utt2spk())
    share = len(dropped) / total
    utt, reason = next(iter(dropped.items()))
    print(f"{stage} {data.name}: dropped {len(dropped)} of {total}, first {utt}: {reason}", file=sys.stderr)
    if share > limit:
        raise InputError(
            f"{len(dropped)} of {total} utterances were dropped ({share:.1%}, allowed {limit:.1%}); "
            f"first {utt}: {reason}",
            where=data.folder / "dropped",
            mend=f"mend the recordings or allow more with --{stage}.max_dropped",
        )
