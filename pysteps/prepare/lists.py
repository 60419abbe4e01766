"""Trial lists and enrolment lists in other formats, and which utterances of a set their words mean.

Formats as their owners or Kaldi's scripts have them: VoxCeleb's veri_test.txt; SITW's lists/enroll-core.lst
and keys/core-core.lst (egs/sitw/v1/local/make_sitw.sh); NIST's sre16_eval_enrollment.tsv and
sre16_eval_trial_key.tsv (egs/sre16/v1/local/make_sre16_eval.pl), coreext-coreext.trialkey.csv
(egs/sre10/v1/local/make_sre_2010_test.pl).
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from ..formats.datadir import DataSet
from ..formats.errors import InputError
from ..formats.tables import opened

FORMATS = ("kaldi", "voxceleb", "sitw", "nist", "csv")
LABELS = {
    **dict.fromkeys(("1", "target", "tgt", "true", "yes", "same", "y", "genuine"), True),
    **dict.fromkeys(
        ("0", "nontarget", "imp", "impostor", "false", "no", "different", "n", "non-target"), False
    ),
}
# Names of columns that are usual, in lower case without "_", "-" and " ".
ENROL = (
    "enrol",
    "enroll",
    "enrolment",
    "enrollment",
    "model",
    "modelid",
    "reference",
    "utt1",
    "file1",
    "path1",
)
TEST = ("test", "segment", "segmentid", "probe", "verification", "utt2", "file2", "path2")
LABEL = ("label", "target", "key", "targettype", "trialtype", "same", "istarget", "issame")
SIDE = ("side", "channel")


Recorded = tuple[str, str, tuple[float, float] | None]  # a word of a list, its side, its span in seconds


class Listed(NamedTuple):
    """A trial as a list has it; ``target`` is None where only a key knows."""

    enrol: str
    test: str
    target: bool | None
    line: int


class Names:
    """Which utterance of a set a word means: its name, or how the path of its recording ends.

    Paths are compared from the end, as many parts as the word has, without the ending: a set whose wav.scp
    names .../voxceleb1/wav/id10270/5r0dWxy17C8/00001.wav has what a list calls id10270/5r0dWxy17C8/00001.wav,
    audio/unoym.flac is unoym. NIST's sides look for NAME_A, NAME-a and so on first.
    """

    def __init__(self, data: DataSet) -> None:
        self._utts = data.utt2spk()
        self._spans = data.segments()
        of: dict[str, list[str]] = {}
        for utt in self._utts:
            of.setdefault(self._spans[utt][0] if utt in self._spans else utt, []).append(utt)
        self._of = of
        self._wav = data.table("wav.scp")
        self._ends: dict[int, dict[str, str | None]] = {}  # by number of parts

    def __contains__(self, utt: str) -> bool:
        return utt in self._utts

    def find(self, word: str, side: str = "", span: tuple[float, float] | None = None) -> str | None:
        """The utterance, or None: there is none, or there are several."""
        if word in self._utts and not side:
            return word
        stem = _stem(word)
        for name in (word, stem, stem.rpartition("/")[2]):
            for mark in (f"_{side.upper()}", f"_{side.lower()}", f"-{side.upper()}", f"-{side.lower()}"):
                if side and name + mark in self._utts:
                    return name + mark
        if word in self._utts:
            return word
        recording = self._recording(stem)
        return None if recording is None else self._of_recording(recording, span)

    def _recording(self, stem: str) -> str | None:
        count = stem.count("/") + 1
        ends = self._ends.get(count)
        if ends is None:
            ends = self._ends[count] = {}
            for name, entry in self._wav.items():
                end = "/".join(_stem(_file_of(entry)).rsplit("/", count)[-count:])
                ends[end] = None if end in ends else name
        return ends.get(stem)

    def _of_recording(self, recording: str, span: tuple[float, float] | None) -> str | None:
        utts = self._of.get(recording, [])
        if span is not None and len(utts) > 1:
            near = 0.02  # seconds; lists round
            near_by = (utt for utt in utts if abs(self._spans[utt][1] - span[0]) < near)
            utts = [utt for utt in near_by if abs(self._spans[utt][2] - span[1]) < near]
        return utts[0] if len(utts) == 1 else None


def _file_of(entry: str) -> str:
    # Of a command the last word that looks like a file.
    if not entry.endswith("|"):
        return entry
    words = [word for word in entry.rstrip("|").split() if "." in word or "/" in word]
    return words[-1] if words else ""


def _stem(path: str) -> str:
    return re.sub(r"\.[A-Za-z0-9]{1,5}$", "", path).strip("/")


def read_list(kind: str, path: Path, columns: Mapping[str, str] | None = None) -> Iterator[Listed]:
    """The trials of a list of the format ``kind``.

    ``columns``: names of a CSV's columns by enrol, test, label, where they are not usual ones.
    """
    if kind == "csv":
        yield from _headed(path, columns or {})
    elif kind == "nist":
        yield from _nist(path)
    else:
        for line, words in _words(path, kind):
            if len(words) != 3:
                raise InputError(f"{len(words)} words where 3 should stand", where=path, line=line)
            enrol, test, label = [*words[1:], words[0]] if kind == "voxceleb" else words
            yield Listed(enrol, test, _label(label, path, line), line)


def read_models(kind: str, path: Path) -> dict[str, list[Recorded]]:
    """Model to its recordings, by an enrolment list; a model may have many lines.

    kaldi: ``model utt utt ...``; nist: ``model segment side``, perhaps under a header; others:
    ``model file [start end]``.
    """
    models: dict[str, list[Recorded]] = {}
    for line, words in _words(path, kind):
        if line == 1 and _plain(words[0]) in ENROL:
            continue  # a header
        if len(words) < 2:
            raise InputError("a model without a recording", where=path, line=line)
        own = models.setdefault(words[0], [])
        if kind == "kaldi":
            own += [(word, "", None) for word in words[1:]]
        elif kind == "nist":
            word, side = _sided(words[1])
            own.append((word, side or (words[2] if len(words) > 2 else ""), None))
        else:
            own.append((words[1], "", _span(words[2:], path, line)))
    return models


def _span(words: Sequence[str], path: Path, line: int) -> tuple[float, float] | None:
    if not words:
        return None
    try:
        start, end = float(words[0]), float(words[1])
    except (IndexError, ValueError):
        raise InputError("not `model file [start end]`", where=path, line=line) from None
    return start, end


def _nist(path: Path) -> Iterator[Listed]:
    header: list[str] = []
    for line, words in _words(path, "nist"):
        if line == 1 and _plain(words[0]) in ENROL:
            header = [_plain(word) for word in words]
            continue
        if len(words) < 2:
            raise InputError("not `model segment [side [target|nontarget]]`", where=path, line=line)
        at = _places(header) if header else {"enrol": 0, "test": 1, "side": 2, "label": 3}
        found = {name: words[place] if place < len(words) else "" for name, place in at.items()}
        if not header and len(words) > 4 and words[4].upper() == "N":
            continue  # SRE10: not scored
        word, side = _sided(found["test"])
        label = found.get("label", "")
        target = _label(label, path, line) if label else None
        yield Listed(found["enrol"], f"{word}\t{side or found.get('side', '')}", target, line)


def _places(header: Sequence[str]) -> dict[str, int]:
    wanted = {"enrol": ENROL, "test": TEST, "side": SIDE, "label": LABEL}
    found = {
        name: next((at for at, one in enumerate(header) if one in known), -1)
        for name, known in wanted.items()
    }
    return {name: at for name, at in found.items() if at >= 0}


def _sided(word: str) -> tuple[str, str]:
    # SRE10's name.sph:A
    name, _, side = word.rpartition(":")
    return (name, side) if name and side.lower() in ("a", "b") else (word, "")


def _headed(path: Path, columns: Mapping[str, str]) -> Iterator[Listed]:
    with opened(path) as raw, io.TextIOWrapper(raw, "utf-8", "replace", newline="") as text:
        start = text.readline()
        mark = max(",;\t", key=start.count)
        header = next(csv.reader([start], delimiter=mark))
        at = _places([_plain(word) for word in header])
        for name, column in columns.items():
            if column not in header:
                raise InputError(f"no column {column}: there are {', '.join(header)}", where=path, line=1)
            at[name] = header.index(column)
        missing = [name for name in ("enrol", "test", "label") if name not in at]
        if missing:
            options = " ".join(f"--{name}-column NAME" for name in missing)
            raise InputError(
                f"which columns are what? There are {', '.join(header)}", where=path, mend=options
            )
        rows = csv.reader(text, delimiter=mark)
        for row in rows:
            line = rows.line_num + 1
            if len(row) != len(header):
                raise InputError(f"{len(row)} fields, the header has {len(header)}", where=path, line=line)
            yield Listed(row[at["enrol"]], row[at["test"]], _label(row[at["label"]], path, line), line)


def _words(path: Path, kind: str) -> Iterator[tuple[int, list[str]]]:
    # Words between tabs or blanks; some of NIST's lists have commas.
    with opened(path) as handle:
        for line, raw in enumerate(handle, 1):
            text = raw.decode("utf-8", "replace").strip()
            if text:
                words = re.split(
                    "\t" if "\t" in text else "," if kind == "nist" and "," in text else r"\s+", text
                )
                yield line, [word.strip() for word in words]


def _label(word: str, path: Path, line: int) -> bool:
    target = LABELS.get(word.strip().lower())
    if target is None:
        mend = "the format may be another one: see --from"
        raise InputError(f"{word!r} is neither target nor nontarget", where=path, line=line, mend=mend)
    return target


def _plain(word: str) -> str:
    return re.sub(r"[_\- ]", "", word.strip().lower())
