"""Reading egs back: the plan of a folder, and one archive as arrays."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..formats.arks import parse_chunks
from ..formats.errors import InputError
from ..formats.records import read_json
from ..formats.tables import read_table

_WAV = 44  # bytes of the header that stage egs writes


@dataclass(frozen=True)
class ArchiveInfo:
    """An archive's name, how many chunks it holds and their length in frames."""

    name: str
    chunks: int
    frames: int


@dataclass(frozen=True)
class EgsPlan:
    """What an egs folder holds. ``kind``: features, or audio that training makes features of."""

    num_speakers: int
    feature_dim: int
    archives: list[ArchiveInfo]
    valid: list[ArchiveInfo]
    speakers: list[str]
    kind: str = "features"


def _number(name: str) -> int:
    return int(name.split(".")[1])


def read_plan(folder: Path) -> EgsPlan:
    """The content of egs.json; archives in the order of their numbers."""
    path = Path(folder) / "egs.json"
    content = read_json(path, "the plan of the egs", mend="run stage egs")

    def infos(kind: str) -> list[ArchiveInfo]:
        return [ArchiveInfo(name, **content[kind][name]) for name in sorted(content[kind], key=_number)]

    labels = read_table(Path(folder) / "speakers")
    speakers = sorted(labels, key=lambda name: int(labels[name]))
    return EgsPlan(
        content["num_speakers"],
        content["feature_dim"],
        infos("archives"),
        infos("valid"),
        speakers,
        content.get("kind", "features"),
    )


def read_archive(folder: Path, info: ArchiveInfo) -> tuple[np.ndarray, np.ndarray]:
    """Features float32 [chunks, frames, feature] and labels int64 [chunks] of one archive."""
    path = _there(folder, info)
    keys, chunks = parse_chunks(path.read_bytes(), path)
    if chunks.shape[1] != info.frames:
        raise _other_than_said(path)
    return chunks, _labels(path, keys, info)


def read_audio_archive(folder: Path, info: ArchiveInfo) -> tuple[list[str], np.ndarray, np.ndarray]:
    """Keys, audio int16 [chunks, time] and labels int64 [chunks] of one archive of audio."""
    path = _there(folder, info)
    keys, chunks = parse_audio(path.read_bytes(), path)
    return keys, chunks, _labels(path, keys, info)


def parse_audio(data: bytes, where: object) -> tuple[list[str], np.ndarray]:
    """All entries of an archive of equally long 16-bit wavs: (keys, int16 [entries, time])."""
    keys: list[str] = []
    blocks: list[np.ndarray] = []
    position = 0
    while position < len(data):
        space = data.find(b" ", position)
        keys.append(data[position : max(space, position)].decode(errors="replace"))
        head = data[space + 1 : space + 1 + _WAV]
        if space < 0 or len(head) < _WAV or (head[:4], head[8:16], head[36:40]) != (
            b"RIFF",
            b"WAVEfmt ",
            b"data",
        ):
            raise InputError("not an archive of audio", where=where, utt=keys[-1], mend="redo stage egs")
        (size,) = struct.unpack_from("<I", head, 40)
        start, position = space + 1 + _WAV, space + 1 + _WAV + size
        if position > len(data) or (blocks and size != 2 * len(blocks[0])):
            raise InputError("uneven or cut chunk", where=where, utt=keys[-1], mend="redo stage egs")
        blocks.append(np.frombuffer(data, "<i2", size // 2, start))
    if not blocks:
        raise InputError("an empty archive", where=where, mend="redo stage egs")
    return keys, np.stack(blocks)


def _there(folder: Path, info: ArchiveInfo) -> Path:
    path = Path(folder) / f"{info.name}.ark"
    if not path.is_file():
        raise InputError("missing", where=path, mend="run stage egs with --force")
    return path


def _labels(path: Path, keys: list[str], info: ArchiveInfo) -> np.ndarray:
    labels = read_table(path.with_suffix(".lab"))
    if len(keys) != info.chunks or list(labels) != keys:
        raise _other_than_said(path)
    return np.asarray([int(label) for label in labels.values()], np.int64)


def _other_than_said(path: Path) -> InputError:
    return InputError("does not hold what egs.json says", where=path, mend="run stage egs with --force")
