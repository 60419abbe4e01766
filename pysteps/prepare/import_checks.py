"""What import refuses while whoever imports still has the list at hand: stage 0 would come to it later."""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

from ..formats.errors import InputError
from .rows import USUAL, Row
from .stage import LIST
from .trials import by_rule

_HIGH = "SOURCE/SPEAKER/FILE is what is read: is SOURCE one folder too high?"


def refuse_columns(kind: str, columns: Mapping[str, str], folder: Path) -> None:
    """InputError for ``columns`` that were named of a source (``kind``) that has none."""
    if kind != "folder" or not columns:
        return
    said = ", ".join(
        f"--{what}-column {name}" if what in USUAL else f"--label {name}" for what, name in columns.items()
    )
    mend = f"leave it out, import, and add the column to {folder / LIST}; or import a table"
    raise InputError(f"{said}: folders have no columns", mend=mend)


def refuse_shares(rows: Sequence[Row], shares: Mapping[str, float], least: int, kind: str) -> None:
    """InputError where the sets that are lacking (``shares``: of the speakers; ``least`` speakers or more)
    would leave training fewer than two speakers."""
    named = {row.set for row in rows if row.set}
    lacking = {name: share for name, share in shares.items() if name not in named}
    for name, share in lacking.items():
        if not 0 <= share < 1:
            raise InputError(f"--{name}-share {share:g} is no share", mend="from 0 to less than 1")
    speakers = {row.speaker for row in rows if row.set in ("", "train")}
    if not lacking or (named and "train" not in named):
        return
    count = len(speakers)
    if count - sum(max(least, round(share * count)) for share in lacking.values()) >= 2:
        return
    if count - least * len(lacking) >= 2:
        said = " and ".join(f"--{name}-share {share:g}" for name, share in lacking.items())
        raise InputError(
            f"{said} of {count} speakers leave fewer than 2 for training", mend="take smaller shares"
        )
    why = ", two of each gender," if least > 2 else ""
    said = f"{' and '.join(lacking)} want {least} speakers{why} each and training 2"
    mend = _HIGH if kind == "folder" else "get more speakers, or say the sets in the list"
    few = f"{count} speaker{'s are' if count > 1 else ' is'} too few"
    raise InputError(f"{few}: {said}", mend=mend)


def refuse_lone(rows: Sequence[Row], kind: str) -> None:
    """InputError where training has fewer than two speakers."""
    speakers = {row.speaker for row in rows if row.set == "train"}
    if len(speakers) < 2:
        said = f"all utterances of train are {' '.join(speakers)}'s" if speakers else "train has no speakers"
        mend = _HIGH if kind == "folder" else "two speakers are the least: is that the speaker's column?"
        raise InputError(f"{said}: nothing can be told apart", mend=mend)


def check_trials(sets: Mapping[str, Sequence[Row]], options: argparse.Namespace, kind: str) -> None:
    """InputError where no trials can be made of dev or eval by ``--trials``."""
    said: dict[str, str] | None = None
    if options.trials in ("gender", "session"):
        said = {row.utt: _label(row, options.trials) for rows in sets.values() for row in rows}
        lacking = {name: [row for row in rows if not said[row.utt]] for name, rows in sets.items()}
        if first := next((row for rows in lacking.values() for row in rows), None):
            counts = " and ".join(
                f"{len(rows)} of {len(sets[name])} utterances of {name}"
                for name, rows in lacking.items()
                if rows
            )
            raise first.error(f"{counts} have no {options.trials}", _say_label(options, kind))
    for name, rows in sets.items():
        utt2spk = {row.utt: row.speaker for row in rows}
        try:
            by_rule(utt2spk, options.trials, said, options.each, options.most)
        except InputError as error:
            mend = f"a larger --{name}-share, or --trials all"
            raise InputError(f"{name}{_genders(rows, options.trials)}: {error}", mend=mend) from error


def _label(row: Row, rule: str) -> str:
    return row.gender if rule == "gender" else row.labels.get("session", "")


def _say_label(options: argparse.Namespace, kind: str) -> str:
    rule = options.trials
    if kind == "kaldi":
        return f"--trials all, or write {'spk2gender' if rule == 'gender' else 'utt2session'} beside utt2spk"
    if kind != "folder":
        return f"--trials all, or say it: --{rule}-column"
    path = options.egs / options.name / LIST
    return f"import with --trials all, add a column {rule} to {path}, then --prepare.choices.trials {rule}"


def _genders(rows: Sequence[Row], rule: str) -> str:
    # Pairs within a gender want two speakers of one: the set's whole number says nothing.
    if rule != "gender":
        return ""
    counts = Counter(gender for gender in {row.speaker: row.gender for row in rows}.values())
    return f" ({', '.join(f'{count} {gender}' for gender, count in sorted(counts.items()))})"
