"""How to mend lists that are close to what is read: other separators, more columns, a header line."""

from __future__ import annotations

import re
from collections.abc import Sequence

_LABELS = ("target", "nontarget")
_EXTENSION = re.compile(r"\.(wav|flac|m4a|aac|mp3|ogg|opus|sph)$")


def words_hint(words: Sequence[bytes]) -> str:
    """How to mend a line of ``words`` that are not three; empty where nothing is known."""
    line = b" ".join(words)
    for mark, name in ((b",", "commas"), (b";", "semicolons")):
        if line.count(mark) >= 2:
            return f"words are parted by blanks, not by {name}: tr '{mark.decode()}' ' ' <FILE"
    if len(words) == 4 and words[3].decode(errors="replace") in (*_LABELS, "0", "1"):
        return "keep enrol test score (WeSpeaker adds the label): cut -d' ' -f1-3 FILE"
    return "" if words else "remove the empty line"


def number_hint(word: str, line: int) -> str:
    """How to mend ``word`` where a score should stand; empty where nothing is known."""
    if word in _LABELS:
        return "this is a list of trials: name the scores of its trials"
    return "a header line has no place here: remove it" if line == 1 else ""


def plain_id(one: str) -> str:
    """An id as it would stand in Kaldi's tables: no file's ending, hyphens for slashes."""
    return _EXTENSION.sub("", one).replace("/", "-")
