"""``score classes``: anybody's answers, judged as stage 9 judges its own."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np

from ..formats.errors import InputError
from ..formats.tables import read_table
from .answers import NONE, Answers, read_answers, voted
from .class_figures import class_notes, judge_classes


def judged_file(options: argparse.Namespace, draws: dict[str, int]) -> dict[str, Any]:
    """The figures of --answers against --labels, with "notes"."""
    truth = read_table(options.labels)
    if not truth:
        raise InputError("no labels: the file is empty", where=options.labels)
    table = read_table(options.answers)
    classes = sorted(options.classes or set(truth.values()))
    if len(classes) < 2 or len(set(classes)) < len(classes):
        raise InputError(f"classes {' '.join(classes)}: two different ones at least", where=options.labels)
    if NONE in classes:
        mend = "name what it stands for, or leave those utterances out"
        raise InputError(f"a class {NONE!r}: among answers it is none", where=options.labels, mend=mend)
    lost = next((utt for utt in table if utt not in truth), None)
    if lost is not None:
        raise InputError("has an answer, but no label", where=options.labels, utt=lost, mend="add it")
    for utt, label in truth.items():
        if label not in classes:
            said = f"{label!r} is none of the classes {', '.join(classes)}"
            raise InputError(said, where=options.labels, utt=utt, mend="name all of them with --classes")
    speakers, notes = _of(options.utt2spk, truth, "has no speaker"), list[str]()
    found = read_answers(options.answers, sorted(truth), classes)
    notes += _contrary(found)
    vote = _vote(options)
    groups = _of(vote, truth, "is in no group")
    if vote is not None and groups is not None:
        found = _grouped(vote, found, groups, truth)
        first = {groups[utt]: utt for utt in sorted(truth, reverse=True)}
        truth = {group: truth[utt] for group, utt in first.items()}
        speakers = None if speakers is None else {group: speakers[utt] for group, utt in first.items()}
    figures = judge_classes(found, truth, speakers, **draws).figures
    return {**figures, "notes": [*notes, *class_notes(figures)]}


def _vote(options: argparse.Namespace) -> Path | None:
    # As --score.vote: the word speaker stands for the table of speakers.
    if options.vote is None or options.vote != Path("speaker"):
        return options.vote
    if options.utt2spk is None:
        raise InputError("--vote speaker needs the speakers", mend="--utt2spk FILE; ./speaker is a file")
    return options.utt2spk


def _contrary(found: Answers) -> list[str]:
    # Whoever wrote the posteriors in another order of the classes is to hear of it.
    if found.posteriors is None:
        return []
    rows = np.flatnonzero(found.said >= 0)
    if not len(rows):
        return []
    given = found.posteriors[rows]
    count = int((given[np.arange(len(rows)), found.said[rows]] < given.max(axis=1)).sum())
    said = f"{count} of {len(rows)} answers are not the class of the highest posterior"
    order = f"are posteriors in the order {' '.join(found.classes)}?"
    return [f"{said}: {order}"] if count else []


def _of(path: Path | None, utts: dict[str, str], lack: str) -> dict[str, str] | None:
    if path is None:
        return None
    table = read_table(path)
    for utt in utts:
        if utt not in table:
            raise InputError(lack, where=path, utt=utt, mend="add a line for it")
    return table


def _grouped(path: Path, found: Any, groups: dict[str, str], truth: dict[str, str]) -> Any:
    known: dict[str, str] = {}
    for utt, label in truth.items():
        if known.setdefault(groups[utt], label) != label:
            said = f"{groups[utt]} is {known[groups[utt]]} and {label}: what is voted on has one label"
            raise InputError(said, where=path, utt=utt)
    return voted(found, groups)


def class_evaluation(found: dict[str, Any]) -> str:
    """What ``judged_file`` found, as a table."""
    people = "" if found["speakers"] is None else f", {found['speakers']} speakers"
    lines = [f"{found['utterances']} answers{people}"]
    for key, name, digits in (
        ("accuracy", "accuracy %", 2),
        ("balanced_accuracy", "balanced accuracy %", 2),
        ("macro_f1", "macro-F1 %", 2),
        ("roc_auc", "ROC-AUC", 4),
        ("log_loss", "log loss", 4),
    ):
        if found[key] is not None:
            ends = found[f"{key}_ci"]
            span = f"  {ends[0]:.{digits}f} - {ends[1]:.{digits}f}" if ends else ""
            lines.append(f"{name:22s} {found[key]:9.{digits}f}{span}")
    wide = max(5, *map(len, found["classes"]))
    head = f"{'class':{wide}s} {'precision %':>11s} {'recall %':>9s} {'F1 %':>7s} {'count':>6s}  taken for"
    lines += ["", head]
    for name, row, lost in zip(
        found["classes"], found["confusion"]["counts"], found["confusion"]["unanswered"], strict=True
    ):
        one = found["classes"][name]
        rates = (("precision", 11), ("recall", 9), ("f1", 7))
        words = [f"{'-' if one[key] is None else f'{one[key]:.2f}':>{width}s}" for key, width in rates]
        said = [f"{label} {count}" for label, count in zip(found["classes"], row, strict=True) if count]
        said += [f"no answer {lost}"] if lost else []
        lines.append(f"{name:{wide}s} {' '.join(words)} {one['count']:6d}  {', '.join(said)}".rstrip())
    return "\n".join([*lines, *(f"note: {note}" for note in found["notes"])])
