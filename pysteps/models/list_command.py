"""``python -m pysteps.models list``: every network of conf/models with its sizes and its paper."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from .zoo import Entry, describe_all

CONF = Path(__file__).resolve().parents[2] / "conf" / "models"
_HEAD = (
    "network",
    "encoder, pooling",
    "features",
    "parameters",
    "MACs, 2 s",
    "x-vector",
    "shortest",
    "paper",
)


def main(arguments: Sequence[str]) -> None:
    """Print a table, or JSON."""
    parser = argparse.ArgumentParser(
        prog="python -m pysteps.models list",
        description="The networks of conf/models: parameters without classifier, multiplications with an "
        "addition for two seconds, the shortest input in frames. SSL front ends in their base size.",
    )
    parser.add_argument("--json", action="store_true", help="a list of objects, counts as whole numbers")
    parser.add_argument("--conf", type=Path, default=CONF, help="another folder of conf files")
    options = parser.parse_args(arguments)
    entries = describe_all(options.conf)
    if options.json:
        print(json.dumps([asdict(entry) for entry in entries], indent=1, ensure_ascii=False))
        return
    rows = [_HEAD, *(_row(entry) for entry in entries)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(_HEAD))]
    for row in rows:
        print("  ".join(_placed(column, cell, widths) for column, cell in enumerate(row)).rstrip())


def _row(entry: Entry) -> tuple[str, ...]:
    return (
        entry.name,
        f"{entry.encoder}, {entry.pooling}",
        str(entry.feature_dim),
        "-" if entry.parameters is None else f"{entry.parameters / 1e6:.2f} M",
        "-" if entry.macs is None else f"{entry.macs / 1e9:.3g} G",
        str(entry.xvector_dim),
        str(entry.shortest_input or "-"),
        entry.reason or entry.paper or "ours",
    )


def _placed(column: int, cell: str, widths: Sequence[int]) -> str:
    numbers = 2 <= column < len(_HEAD) - 1
    return cell.rjust(widths[column]) if numbers else cell.ljust(widths[column])
