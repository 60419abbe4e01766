"""A data directory put right, as Kaldi's utils/fix_data_dir.sh does: sorted, nothing that lacks the rest."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

from ..formats.datadir import LATEST, DataSet
from ..formats.errors import InputError
from ..formats.tables import is_sorted, opened, read_table, write_lines, write_table
from .sets import copy, tables_of, validate


def fix(data: DataSet) -> list[str]:
    """Put ``data`` right and return a sentence for each change; none where nothing was wrong.

    Tables are sorted; empty lines, keys without a value, lines that are there twice, intervals that are none
    and duplicate trials go. Then every utterance goes that lacks a speaker or a recording, with all that is
    said of it. The tables as they were are kept in ``data``/.backup (.backup.2 ...). InputError for a key
    with two different values: which one is right nobody here knows.
    """
    try:
        validate(data)
        return []
    except InputError:
        pass
    for name in ("wav.scp", "utt2spk"):
        if not data.has(name):
            raise InputError(f"no {name} here: this is no data directory", where=data.folder)
    names = tables_of(data)
    loose = {name: _read(data.folder / name) for name in (*names, *(["enrol"] if data.has("enrol") else []))}
    backup = _back_up(data)
    said = [f"the tables as they were are in {backup}"]
    said += [f"{data.folder / name}: sorted" for name, (table, _) in loose.items() if not is_sorted(table)]
    for name, (table, sentences) in loose.items():
        if name == "segments":
            table, more = _intervals(data.folder / name, table)
            sentences += more
        write_table(data.folder / name, table)
        said += sentences
    for path in data.trial_lists().values():
        said += _once(path)
    counts = copy(data, data.folder, _whole(data))
    said += [
        f"{data.folder / name}: {total - kept:,} of {total:,} entries belong to nothing and went"
        for name, (kept, total) in counts.items()
        if kept < total
    ]
    return said


def _read(path: Path) -> tuple[dict[str, str], list[str]]:
    # The table as far as it can be read, and what was left out of it.
    table: dict[str, str] = {}
    empty = twice = bare = 0
    with opened(path) as handle:
        for number, raw in enumerate(handle, 1):
            try:
                words = raw.decode().split(None, 1)
            except UnicodeDecodeError:
                mend = "convert the file to UTF-8, e.g. with iconv"
                raise InputError("not UTF-8", where=path, line=number, mend=mend) from None
            if not words:
                empty += 1
            elif len(words) == 1:
                bare += 1
            elif words[0] not in table:
                table[words[0]] = words[1].strip()
            elif table[words[0]] == words[1].strip():
                twice += 1
            else:
                said = f"{words[0]} is {table[words[0]]!r} and {words[1].strip()!r}"
                raise InputError(said, where=path, line=number, mend="keep the right one")
    kinds = {"empty lines": empty, "keys without a value": bare, "lines that were there twice": twice}
    said_ = [f"{path}: {count:,} {kind} went" for kind, count in kinds.items() if count]
    return table, said_


def _intervals(path: Path, table: dict[str, str]) -> tuple[dict[str, str], list[str]]:
    good = {utt: value for utt, value in table.items() if _interval(value)}
    bad = len(table) - len(good)
    return good, [f"{path}: {bad:,} segments that are no `recording start end` went"] if bad else []


def _interval(value: str) -> bool:
    words = value.split()
    try:
        start, end = float(words[1]), float(words[2])
    except (IndexError, ValueError):
        return False
    return len(words) == 3 and 0 <= start <= LATEST and (start < end <= LATEST or end == -1)


def _once(path: Path) -> list[str]:
    with opened(path) as handle:
        lines = [line for line in handle if line.split()]
    unique = list(dict.fromkeys(b" ".join(line.split()) for line in lines))
    if len(unique) == len(lines):
        return []
    write_lines(path, (line.decode() + "\n" for line in unique))
    return [f"{path}: {len(lines) - len(unique):,} trials that were there twice went"]


def _whole(data: DataSet) -> set[str]:
    # Utterances that have all they need.
    utt2spk, wav = read_table(data.folder / "utt2spk"), read_table(data.folder / "wav.scp")
    if not data.has("segments"):
        return utt2spk.keys() & wav.keys()
    segments = read_table(data.folder / "segments")
    return {utt for utt, value in segments.items() if utt in utt2spk and value.split()[0] in wav}


def _back_up(data: DataSet) -> Path:
    folder = next(path for path in _names(data.folder) if not path.exists())
    folder.mkdir()
    for path in data.folder.iterdir():
        if path.is_file():
            shutil.copy2(path, folder / path.name)
    return folder


def _names(folder: Path) -> Iterator[Path]:
    yield folder / ".backup"
    number = 2
    while True:
        yield folder / f".backup.{number}"
        number += 1
