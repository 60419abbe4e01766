"""A row of somebody's own list: one utterance, whatever the list calls its columns."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from ..formats.errors import InputError
from .build import GENDERS

# Usual names of columns, in lower case without "_", "-" and " "; the first that is there is taken.
USUAL = {
    "path": (
        *("path", "filename", "file", "filepath", "audiofilepath", "audiopath", "audiofile", "audio"),
        *("wav", "wavpath", "wavfile", "wavfilename", "clip"),
    ),
    "speaker": ("speaker", "speakerid", "spk", "spkid", "spkr", "speakername", "clientid", "userid"),
    "utt": ("utt", "uttid", "utterance", "utteranceid", "id", "key"),
    "gender": ("gender", "sex"),
    "start": ("start", "starttime", "begin", "onset", "offset"),
    "end": ("end", "endtime", "stop"),
    "duration": ("duration", "dur"),
    "set": ("split", "set", "subset", "partition", "fold"),
    "channel": ("channel",),
    "session": ("session", "sessionid", "videoid", "video"),
    "language": ("language", "lang", "locale"),
}
LABELS = ("session", "language")
SETS = {
    "train": "train trn training",
    "dev": "dev valid validation val development",
    "eval": "eval test tst evaluation",
}
KINDS = tuple(".wav .flac .ogg .opus .mp3 .m4a .aac .mp4 .webm .sph .aiff .wma .amr".split())


@dataclass(slots=True)
class Row:
    """An utterance as a list has it. ``path``: as written there. ``start``, ``end``: seconds, None where the
    recording begins or ends. ``seconds``: its length where the list says it. ``where``, ``line``: the list's.
    """

    path: str
    speaker: str
    where: str
    line: int = 0
    utt: str = ""
    set: str = ""
    start: float | None = None
    end: float | None = None
    seconds: float | None = None
    gender: str = ""
    channel: str = ""
    labels: dict[str, str] = field(default_factory=dict)

    def error(self, what: str, mend: str) -> InputError:
        """An InputError that names the row: by its line, else by its utterance."""
        utt = None if self.line else self.utt or None
        return InputError(what, where=self.where, line=self.line or None, utt=utt, mend=mend)


class Bad:
    """What becomes of bad rows: the first one stops the import; with ``skip`` they are counted."""

    def __init__(self, skip: bool) -> None:
        self.skip, self.count, self.first = skip, 0, list[str]()

    def __call__(self, error: InputError) -> None:
        if not self.skip:
            raise InputError(f"{error}; --skip-bad leaves such rows out and counts them") from error
        self.count += 1
        if len(self.first) < 5:
            self.first.append(str(error))


def plain(name: str) -> str:
    """A column's name as USUAL has it."""
    return re.sub(r"[_\- ]", "", name.strip().lower())


def columns_of(header: Sequence[str], given: Mapping[str, str], where: object) -> dict[str, str]:
    """What each column is (USUAL's words, and the labels among ``given``): as ``given``, else by usual names.

    A column that is given as "none" is not looked for. InputError for one that is not there, and where none
    is the path or the speaker.
    """
    there = {plain(name): name for name in reversed(header)}
    found = {}
    for what in {**USUAL, **given}:
        if what in given:
            if given[what] == "none":
                continue
            if given[what] not in header:
                raise InputError(f"no column {given[what]}: there are {', '.join(header)}", where=where)
            found[what] = given[what]
        elif usual := next((name for name in USUAL[what] if name in there), ""):
            found[what] = there[usual]
    for what in ("path", "speaker"):
        if what not in found:
            said = f"which column is the {what}? There are {', '.join(header)}"
            raise InputError(said, where=where, mend=f"--{what}-column NAME")
    return found


def row_of(fields: Mapping[str, str], where: str, line: int, sets: Mapping[str, str]) -> Row:
    """A row by what USUAL calls its fields, others are labels; InputError names the line. See set_of."""
    row = Row(fields.get("path", "").strip(), fields.get("speaker", "").strip(), where, line)
    row.utt, row.channel = fields.get("utt", "").strip(), fields.get("channel", "").strip()
    for name in ("path", "speaker"):
        if not getattr(row, name):
            raise row.error(f"no {name}", "complete the row")
    if re.search(r"[\t\n\r]", row.path):
        raise row.error(f"a tab or a line's end in {row.path!r}", "rename the file")
    if re.match(r"[a-z]+://", row.path):
        raise row.error(f"{row.path} is on a network", "download it and write its path")
    said = fields.get("set", "").strip()
    row.set = set_of(said, row, sets) if said else ""
    row.gender = gender_of(fields.get("gender", ""))
    row.start, row.end = _seconds(fields, "start", row), _seconds(fields, "end", row)
    row.seconds = _seconds(fields, "duration", row)
    if row.seconds is not None and row.end is None and row.start is not None:
        row.end = row.start + row.seconds
    if row.end is not None:
        if row.end <= (row.start or 0.0):
            raise row.error(f"{row.start or 0.0} to {row.end} is no interval", "seconds, the start first")
        row.seconds = row.end - (row.start or 0.0)
    known = USUAL.keys() - LABELS
    row.labels = {
        name: "_".join(text.split()) for name, text in fields.items() if name not in known and text.strip()
    }
    return row


def _seconds(fields: Mapping[str, str], name: str, row: Row) -> float | None:
    text = fields.get(name, "").strip()
    if not text:
        return None
    try:
        value = float(text)
    except ValueError:
        value = float("nan")
    if not 0 <= value < 1e9:
        raise row.error(f"{name} {text!r} are no seconds", "a number from 0")
    return value


def gender_of(text: str) -> str:
    """m, f, or "" for everything else (unknown, other, a number)."""
    word = text.strip().lower()
    return GENDERS.get(word) or GENDERS.get(re.split(r"[_\- ]", word)[0], "")


def set_of(text: str, row: Row, sets: Mapping[str, str]) -> str:
    """train, dev or eval: what ``sets`` says of a set's name, else the usual word that it begins with
    (train-clean-100, test_other)."""
    if text in sets:
        return sets[text]
    word = re.split(r"[^a-z]", text.lower())[0]
    for name, words in SETS.items():
        if word in words.split():
            return name
    raise row.error(f"set {text!r} is none of train, dev and eval", f"--set {text}=train (dev, eval)")
