"""A person's own corpus made a recipe: rows get names and sets, egs/NAME gets a list that stage 0 can redo.

egs/NAME/corpus.tsv, a line an utterance: utt, speaker, set, path, and what else is known (COLUMNS, then a
column a label). Paths are relative to one folder, which the recipe names as --prepare.roots.audio, or
absolute. local/table.py makes data directories of it. egs/NAME/lists/SET/ has trial lists that came with it.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

from ..formats.errors import InputError
from ..formats.tables import write_lines
from .choose import split_speakers
from .rows import Bad, Row
from .stage import LIST

COLUMNS = ("utt", "speaker", "set", "path", "recording", "start", "end", "channel", "gender")
_EXTENSION = re.compile(r"\.[A-Za-z0-9]{1,5}$")


def whole_name(text: str) -> str:
    """``text`` as a name in tables: without white space and slashes."""
    return re.sub(r"[\s/]+", "_", text.strip())


def name_speakers(rows: Sequence[Row]) -> None:
    """Make speakers' names fit for tables; InputError where two become one."""
    raw: dict[str, str] = {}
    for row in rows:
        name = whole_name(row.speaker)
        if raw.setdefault(name, row.speaker) != row.speaker:
            said = f"speakers {raw[name]!r} and {row.speaker!r} would both be called {name}"
            raise row.error(said, "rename one of them")
        row.speaker = name


def name_utterances(rows: Sequence[Row], kept: bool, bad: Bad) -> list[Row]:
    """Give every row its name, which begins with the speaker's (``kept``: as it is in a Kaldi directory).

    SPEAKER-FILE, with the file's folders where that is not the only one, and the times in milliseconds of a
    piece of a recording. Rows that are there twice are bad.
    """
    bases = [row.utt if kept else _base(row) for row in rows]
    counts = Counter(bases)
    seen: set[str] = set()
    found = []
    for row, base in zip(rows, bases, strict=True):
        if counts[base] > 1 and not kept:
            base = _long(row)
        if base in seen:
            bad(
                row.error(
                    f"utterance {base} comes twice", "remove one of the rows, or name them: --utt-column"
                )
            )
            continue
        seen.add(base)
        row.utt = base
        found.append(row)
    return found


def _base(row: Row) -> str:
    name = whole_name(row.utt) if row.utt else _below(row)
    own = name == row.speaker or name.startswith(tuple(row.speaker + mark for mark in "-_."))
    return (name if own else f"{row.speaker}-{name}") + ("" if row.utt else _times(row))


def _below(row: Row) -> str:
    # A speaker's folder says his name already; of other folders only the file's name is taken.
    parts = _EXTENSION.sub("", row.path).split("/")
    at = len(parts) - 1 - parts[::-1].index(row.speaker) if row.speaker in parts[:-1] else -2
    return whole_name("-".join(parts[at + 1 :]))


def _long(row: Row) -> str:
    parts = [
        part for part in _EXTENSION.sub("", row.path).split("/") if part not in ("", ".", "..", row.speaker)
    ]
    return f"{row.speaker}-{whole_name('-'.join(parts))}" + _times(row)


def _times(row: Row) -> str:
    if row.start is None and row.end is None:
        return ""
    start = round(1000 * (row.start or 0.0))
    return f"-{start:08d}-" + ("end" if row.end is None else f"{round(1000 * row.end):08d}")


def recordings(rows: Iterable[Row]) -> dict[tuple[str, str], str]:
    """(path, channel) to a recording's name, of files that hold several utterances or channels."""
    names: dict[tuple[str, str], str] = {}
    taken: set[str] = set()
    for row in rows:
        key = (row.path, row.channel)
        if key in names or (row.start is None and row.end is None and not row.channel):
            continue
        stem = "-".join(
            part for part in _EXTENSION.sub("", row.path).split("/") if part not in ("", ".", "..")
        )
        name = plain = whole_name(stem) + (f"-c{row.channel}" if row.channel else "")
        number = 1
        while name in taken:
            number += 1
            name = f"{plain}-{number}"
        taken.add(name)
        names[key] = name
    return names


def assign_sets(
    rows: Sequence[Row], shares: dict[str, float], seed: int, bad: Bad, least: int = 2
) -> list[Row]:
    """Give every row its set: the list's own, completed from training speakers where dev or eval is lacking,
    else a seeded split of the speakers that keeps genders (choose.split_speakers).
    """
    named = {row.set for row in rows if row.set}
    if named and "train" not in named:
        raise InputError(f"the list has {', '.join(sorted(named))} and no train", mend="--set NAME=train")
    if named:
        good = []
        for row in rows:
            if row.set:
                good.append(row)
            else:
                bad(row.error("no set, where other rows have one", "complete the row"))
        rows = good
        _refuse_shared(rows)
    lacking = {name: share for name, share in shares.items() if name not in named}
    if lacking:
        free = {row.utt: row.speaker for row in rows if row.set in ("", "train")}
        genders = {row.speaker: row.gender for row in rows if row.gender}
        part = split_speakers(free, lacking, seed, genders, least=least)
        for row in rows:
            if row.set in ("", "train"):
                row.set = part[row.speaker]
    return list(rows)


def _refuse_shared(rows: Iterable[Row]) -> None:
    sets: dict[str, set[str]] = {}
    for row in rows:
        sets.setdefault(row.speaker, set()).add(row.set)
    shared = sorted(speaker for speaker, names in sets.items() if "train" in names and len(names) > 1)
    if shared:
        first, names = shared[0], ", ".join(sorted(sets[shared[0]]))
        raise InputError(
            f"{len(shared)} of {len(sets)} speakers are in training and in another set, {first} in {names}",
            mend="--set-column none splits the speakers anew; or take them out of one of the sets",
        )


def write_list(folder: Path, rows: Sequence[Row]) -> None:
    """``folder``/corpus.tsv, sorted by utterance; columns of which nothing is known are left out."""
    names = recordings(rows)
    labels = sorted({name for row in rows for name in row.labels})
    cells = {
        row.utt: (
            *(row.utt, row.speaker, row.set, row.path, names.get((row.path, row.channel), "")),
            *("" if value is None else f"{value:.3f}" for value in (row.start, row.end)),
            *(row.channel, row.gender, *(row.labels.get(name, "") for name in labels)),
        )
        for row in rows
    }
    used = [any(row[at] for row in cells.values()) for at in range(len(COLUMNS) + len(labels))]
    header = [name for name, one in zip((*COLUMNS, *labels), used, strict=True) if one]
    lines = ([cell for cell, one in zip(cells[utt], used, strict=True) if one] for utt in sorted(cells))
    write_lines(folder / LIST, ("\t".join(line) + "\n" for line in (header, *lines)))
