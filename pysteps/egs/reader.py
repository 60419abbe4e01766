"""Reading egs back: the plan of a folder, and one archive as arrays."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..formats.arks import parse_chunks
from ..formats.errors import InputError
from ..formats.tables import read_table


@dataclass(frozen=True)
class ArchiveInfo:
    """An archive's name, how many chunks it holds and their length in frames."""

    name: str
    chunks: int
    frames: int


@dataclass(frozen=True)
class EgsPlan:
    """What an egs folder holds."""

    num_speakers: int
    feature_dim: int
    archives: list[ArchiveInfo]
    valid: list[ArchiveInfo]
    speakers: list[str]


def _number(name: str) -> int:
    return int(name.split(".")[1])


def read_plan(folder: Path) -> EgsPlan:
    """The content of egs.json; archives in the order of their numbers."""
    path = Path(folder) / "egs.json"
    if not path.is_file():
        raise InputError("no egs here", where=path, mend="run stage egs")
    content = json.loads(path.read_text("utf-8"))

    def infos(kind: str) -> list[ArchiveInfo]:
        return [ArchiveInfo(name, **content[kind][name]) for name in sorted(content[kind], key=_number)]

    labels = read_table(Path(folder) / "speakers")
    speakers = sorted(labels, key=lambda name: int(labels[name]))
    return EgsPlan(
        content["num_speakers"], content["feature_dim"], infos("archives"), infos("valid"), speakers
    )


def read_archive(folder: Path, info: ArchiveInfo) -> tuple[np.ndarray, np.ndarray]:
    """Features float32 [chunks, frames, feature] and labels int64 [chunks] of one archive."""
    path = Path(folder) / f"{info.name}.ark"
    if not path.is_file():
        raise InputError("missing", where=path, mend="run stage egs with --force")
    keys, chunks = parse_chunks(path.read_bytes(), path)
    labels = read_table(path.with_suffix(".lab"))
    if len(keys) != info.chunks or chunks.shape[1] != info.frames or list(labels) != keys:
        raise InputError("does not hold what egs.json says", where=path, mend="run stage egs with --force")
    return chunks, np.asarray([int(label) for label in labels.values()], np.int64)
