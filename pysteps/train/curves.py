"""What each epoch came to: curves.jsonl, and TensorBoard events for those who watch."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from ..formats.atomic import replacing, write_text


def write_curves(lines: Sequence[Mapping[str, Any]], path: Path) -> None:
    """One JSON object a line, an epoch each; the whole file is written anew."""
    write_text(path, "".join(json.dumps(line) + "\n" for line in lines))


def numbers(line: Mapping[str, Any]) -> Iterator[tuple[str, float]]:
    """What there is to draw of an epoch: its numbers, without its own."""
    for key, value in line.items():
        if key != "epoch" and isinstance(value, int | float):
            yield key, value


def write_events(line: Mapping[str, Any], folder: Path) -> None:
    """An epoch's numbers as TensorBoard scalars; an epoch that is done again replaces itself."""
    from torch.utils.tensorboard import SummaryWriter

    epoch = int(line["epoch"])
    # Its thread writes piece by piece and throws where nobody hears it when a disk refuses: elsewhere, then.
    with tempfile.TemporaryDirectory() as made:
        with SummaryWriter(made, purge_step=epoch) as writer:
            for key, value in numbers(line):
                writer.add_scalar(f"train/{key}", value, epoch)
        for path in Path(made).iterdir():
            with replacing(folder / path.name, "wb") as handle:
                handle.write(path.read_bytes())
