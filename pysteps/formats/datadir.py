"""Data directories: reading, checking and mending them as Kaldi's validate and fix scripts do."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path

from . import tables
from .errors import InputError

NO_LABEL = "-"  # among answers: none was given
LATEST = 1e9  # seconds (31 years) in which no recording ends
_LABELS = re.compile(r"(spk2(?!utt$)|utt2(?!spk$))[A-Za-z0-9_-]+")  # tables of labels


class DataSet:
    """A Kaldi data directory.

    ``folder`` holds wav.scp and utt2spk (sorted), perhaps segments, spk2gender (spk2LABEL), utt2LABEL,
    trials, trials.NAME and enrol (a model's utterances, averaged).
    """

    def __init__(self, folder: Path) -> None:
        self.folder = Path(folder)
        self.name = self.folder.name

    def table(self, name: str) -> dict[str, str]:
        """One table, by file name."""
        return tables.read_table(self.folder / name)

    def has(self, name: str) -> bool:
        """Whether the set has this table."""
        return (self.folder / name).is_file()

    def utt2spk(self) -> dict[str, str]:
        """Utterance to speaker."""
        return self.table("utt2spk")

    def speakers(self) -> set[str]:
        """Who speaks."""
        path, found = self.folder / "utt2spk", set[str]()
        for block in tables.read_blocks(path):
            words = tables.columns(block, 2)
            if words is None:
                return set(self.utt2spk().values())
            found.update(words[1])
        return found

    def labels(self, name: str) -> dict[str, str]:
        """Utterance to its label in the table ``name``: spk2X, by speaker, or utt2X.

        InputError where the table is not there, for the first utterance without a label, and for one of
        several words or ``-``.
        """
        check_labels_name(name)
        path, utt2spk = self.folder / name, self.utt2spk()
        if not self.has(name):
            there = sorted(other.name for other in self.folder.glob("*2*") if _LABELS.fullmatch(other.name))
            mend = f"write it (KEY LABEL a line); there are {', '.join(there)}" if there else "write it"
            raise InputError("the set has no such labels", where=path, mend=mend)
        table, by_speaker, found = self.table(name), name.startswith("spk2"), {}
        for utt, speaker in utt2spk.items():
            key = speaker if by_speaker else utt
            if key not in table:
                who = f"no label of speaker {speaker}" if by_speaker else "no label of this utterance"
                raise InputError(who, where=path, utt=utt, mend=f"add {key}, or leave it out of the set")
            found[utt] = table[key]
        for key, label in table.items():
            if len(label.split()) != 1:
                mend = f"one word: {'_'.join(label.split())}"
                raise InputError(f"{label!r} is no label", where=path, line=_line_of(path, key), mend=mend)
            if label == NO_LABEL:
                mend = f"name what {label} stands for, or leave {key} out of the set"
                raise InputError(f"{label!r} says nothing", where=path, line=_line_of(path, key), mend=mend)
        return found

    def segments(self) -> dict[str, tuple[str, float, float]]:
        """Utterance to (recording, start, end) in seconds; empty when the set has no segments.

        The end -1 is that of the recording (Kaldi's extract-segments).
        """
        if not self.has("segments"):
            return {}
        path, parsed = self.folder / "segments", {}
        for line, utt, value in tables.read_lines(path):
            fields = value.split()
            try:
                start, end = float(fields[1]), float(fields[2])
            except (IndexError, ValueError):
                raise InputError("not `utt recording start end`", where=path, line=line) from None
            if not (0 <= start < end <= LATEST or (0 <= start <= LATEST and end == -1)):
                raise InputError(
                    f"start {start} and end {end} are no interval",
                    where=path,
                    line=line,
                    utt=utt,
                    mend="seconds, the start first; the end -1 is that of the recording",
                )
            parsed[utt] = (fields[0], start, end)
        return parsed

    def trial_lists(self) -> dict[str, Path]:
        """Name of a list (SET or SET.NAME) to its file."""
        lists = {self.name: self.folder / "trials"} if self.has("trials") else {}
        for path in sorted(self.folder.glob("trials.*")):
            lists[f"{self.name}.{path.name.removeprefix('trials.')}"] = path
        return lists

    def dropped(self) -> dict[str, str]:
        """Utterance to "stage reason" for what was given up so far."""
        return self.table("dropped") if self.has("dropped") else {}

    def show_dropped(self, dropped: Mapping[str, str]) -> None:
        """Write ``dropped``: utterance to "stage reason"."""
        tables.write_table(self.folder / "dropped", dropped)


def ordered(data: DataSet) -> list[Path]:
    """Those of a set's tables that must stand in C-locale order."""
    names = ("wav.scp", "segments", "enrol", "text", "reco2dur")
    present = [data.folder / name for name in names if data.has(name)]
    return sorted([*present, *data.folder.glob("utt2*"), *data.folder.glob("spk2*")])


def mend(data: DataSet) -> list[str]:
    """Put right what is safe to put right (order, spk2utt) and return a sentence for each change."""
    said = []
    for path in ordered(data):
        if not tables.keys_rise(path):
            # A key that comes twice is an error, never mended.
            tables.write_table(path, tables.read_table(path, values=False))
            said.append(f"{path}: was not sorted in the C locale; sorted it")
    if data.has("utt2spk"):
        inverse = tables.invert(data.utt2spk())
        if not data.has("spk2utt") or tables.read_table(data.folder / "spk2utt") != inverse:
            tables.write_table(data.folder / "spk2utt", inverse)
            said.append(f"{data.folder / 'spk2utt'}: made from utt2spk")
    return said


def check(data: DataSet) -> None:
    """Refuse a set whose tables do not belong together; the message names file, line and remedy.

    Audio files are not opened here (stage audio does, and drops what it cannot read).
    """
    wav, utt2spk, segments = data.table("wav.scp"), data.utt2spk(), data.segments()
    if not utt2spk:
        raise InputError("no utterances", where=data.folder / "utt2spk", mend="prepare the corpus again")
    known = segments or wav
    table = "segments" if segments else "wav.scp"
    _same(data, "utt2spk", utt2spk, table, known)
    for utt, (recording, _, _) in segments.items():
        if recording not in wav:
            raise InputError(
                f"recording {recording} is not in wav.scp",
                where=data.folder / "segments",
                utt=utt,
                mend="add it",
            )
    speakers = set(utt2spk.values())
    for name in sorted(path.name for path in data.folder.glob("utt2*") if path.name != "utt2spk"):
        _subset(data, name, data.table(name), utt2spk, "utt2spk")
    for name in sorted(path.name for path in data.folder.glob("spk2*") if path.name != "spk2utt"):
        _subset(data, name, data.table(name), dict.fromkeys(speakers, ""), "spk2utt")
    models = data.table("enrol") if data.has("enrol") else {}
    for model, members in models.items():
        for utt in members.split():
            if utt not in utt2spk:
                raise InputError(f"utterance {utt} of model {model} is unknown", where=data.folder / "enrol")
    for path in data.trial_lists().values():
        _check_trials(path, utt2spk, models)


def _line_of(path: Path, key: str) -> int:
    return next(number for number, found, _ in tables.read_lines(path) if found == key)


def _subset(data: DataSet, name: str, table: Iterable[str], known: Mapping[str, object], other: str) -> None:
    for key in table:
        if key not in known:
            path = data.folder / name
            raise InputError(
                f"{key} is not in {other}",
                where=path,
                line=_line_of(path, key),
                mend="add it there or remove it",
            )


def _same(
    data: DataSet, one: str, first: Mapping[str, object], two: str, second: Mapping[str, object]
) -> None:
    _subset(data, one, first, second, two)
    _subset(data, two, second, first, one)


def _check_trials(path: Path, utt2spk: Mapping[str, str], models: Mapping[str, str]) -> None:
    kinds = _known_kinds(path, utt2spk, models)
    for number, fields in () if kinds else tables.read_words(path, 3):
        if fields[2] in ("target", "nontarget"):
            enrol, test = fields[:2]
            kinds.add(fields[2] == "target")
        elif fields[0] in ("0", "1"):
            enrol, test = fields[1:]
            kinds.add(fields[0] == "1")
        else:
            raise InputError("neither target nor nontarget", where=path, line=number)
        for utt, ok in ((enrol, enrol in utt2spk or enrol in models), (test, test in utt2spk)):
            if not ok:
                raise InputError(
                    f"the trial names {utt}, which the set does not have",
                    where=path,
                    line=number,
                    mend="remove the trial or add the utterance",
                )
    if len(kinds) < 2:
        raise InputError(
            f"only {'target' if True in kinds else 'nontarget' if kinds else 'no'} trials",
            where=path,
            mend="error rates need trials of both kinds: two speakers, one of them with two utterances",
        )


def _known_kinds(path: Path, utt2spk: Mapping[str, str], models: Mapping[str, str]) -> set[bool]:
    # Millions of lines at once: the kinds of a list in which all is well, empty where a second look is due.
    kinds: set[str] = set()
    for block in tables.read_blocks(path):
        words = tables.columns(block, 3)
        if words is None:
            return set()
        first, last = set(words[0]), set(words[2])
        one, two, label = words if first - {"0", "1"} else [words[1], words[2], words[0]]
        kinds |= last if label is words[2] else first
        if not all(utt in utt2spk or utt in models for utt in set(one)) or not utt2spk.keys() >= set(two):
            return set()
    if not (kinds <= {"target", "nontarget"} or kinds <= {"0", "1"}):
        return set()
    return {kind in ("target", "1") for kind in kinds}


def refuse_overlap(train: DataSet, others: Iterable[DataSet]) -> None:
    """Refuse to let a speaker of a development or evaluation set into training."""
    speakers = train.speakers()
    for other in others:
        shared = sorted(speakers & other.speakers())
        if shared:
            raise InputError(
                f"{len(shared)} speakers are in {train.name} and in {other.name}: {' '.join(shared[:5])} ...",
                where=train.folder / "utt2spk",
                mend="take them out of one of the two",
            )


def check_labels_name(name: str) -> None:
    """InputError unless ``name`` is that of a table of labels."""
    if not _LABELS.fullmatch(name):
        mend = "spk2LABEL or utt2LABEL, as in spk2gender and utt2topic; without labels speakers are learned"
        raise InputError(f"{name!r} names no labels", mend=mend)


def check_classes(train: DataSet, others: Iterable[DataSet], name: str) -> None:
    """Refuse sets that no classifier of the labels ``name`` can be trained and judged on.

    InputError for what ``DataSet.labels`` refuses, where training has one class only, and for a class of
    ``others`` that it has not.
    """
    known = set(train.labels(name).values())
    if len(known) < 2:
        mend = "choose other labels, or other training utterances"
        raise InputError(
            f"all utterances are {' '.join(known) or 'gone'}", where=train.folder / name, mend=mend
        )
    for other in others:
        for utt, label in other.labels(name).items():
            if label not in known:
                raise InputError(
                    f"{label} is no class of {train.name}, which has {', '.join(sorted(known)[:8])}",
                    where=other.folder / name,
                    utt=utt,
                    mend=f"give {train.name} some of it, or leave it out of {other.name}",
                )
