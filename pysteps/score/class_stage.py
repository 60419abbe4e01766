"""Stage 9 of a recipe with ``labels``: every classifier's answers to the evaluation sets, and figures."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..backend.class_stage import classifiers, label_tables, vectors_of
from ..backend.classline import parse_class_line
from ..backend.stage import folder_of
from ..formats.atomic import write_text
from ..formats.drops import dropped_of, dropped_tables
from ..formats.errors import InputError
from ..formats.run import Run
from ..formats.stamps import Unit
from ..formats.tables import invert
from .class_results import class_report_unit
from .pictures import PLANE, shown_sets, sources

if TYPE_CHECKING:
    from ..formats.datadir import DataSet
    from .answers import Answers

VERSION = 1
RESULT = "result.json"


def units(run: Run, stage: str) -> list[Unit]:
    """One unit an evaluation set, and the report over all."""
    sets = [_set_unit(run, stage, name) for name in dict.fromkeys(run.eval_sets)]
    return [*sets, class_report_unit(run, sets, stage, VERSION)]


def _set_unit(run: Run, stage: str, name: str) -> Unit:
    folder, first = run.exp / "scores" / name, name == run.eval_sets[0]
    lines = classifiers(run)
    read = [vectors_of(run, parse_class_line(line), name) for line in lines.values()]
    tables = [*label_tables(run, name), *dropped_tables(run, name).values()]
    vote = run.options[stage].get("vote", "none")
    tables += [run.data / name / vote] if vote.startswith("utt2") else []
    if first:
        tables += sources(run, shown_sets(run))
        tables += [path for one in shown_sets(run) for path in label_tables(run, one)]
    return Unit(
        name=name,
        stage=stage,
        folder=folder,
        version=VERSION,
        options={"classifiers": list(lines), "labels": run.labels, "vote": "none", **run.options[stage]},
        inputs=tuple(dict.fromkeys([*read, *tables])),
        upstream=(
            run.exp / "xvectors" / name / ".extract.done.json",
            *(folder_of(run, one) / ".backend.done.json" for one in lines),
        ),
        outputs=tuple(folder / one for one in (*lines, RESULT, *([PLANE] if first else []))),
    )


def do(run: Run, unit: Unit) -> None:
    """Answer and judge one set."""
    from .answers import write_answers
    from .class_figures import class_differences, judge_classes

    options, data = unit.options, run.set(unit.name)
    truth, speakers = data.labels(run.labels), data.utt2spk()
    groups = groups_of(data, options["vote"], truth)
    dropped = dropped_of(run, unit.name)
    draws = {key: options[key] for key in ("replicates", "seed")}
    judged, figures = {}, {}
    for name in options["classifiers"]:
        alone = _answers(run, data, name, dropped, options["max_dropped"])
        _refuse_unknown(data, run.labels, truth, alone.classes)
        found, labels, people = _together(alone, groups, truth, speakers)
        write_answers(unit.folder / name, found)
        judged[name] = judge_classes(found, labels, people, **draws)
        figures[name] = dict(judged[name].figures)
        if groups:
            figures[name]["unvoted"] = _unvoted(alone, truth)
    first = options["classifiers"][0]
    for name in options["classifiers"][1:]:
        figures[name]["against"] = {first: class_differences(judged[name], judged[first])}
    _remove_old(unit)
    if unit.folder / PLANE in unit.outputs:
        from .pictures import plane

        write_text(unit.folder / PLANE, json.dumps(plane(run, options["seed"])) + "\n")
    write_text(unit.folder / RESULT, json.dumps(figures, indent=1) + "\n")


def groups_of(data: DataSet, vote: str, labels: dict[str, str]) -> dict[str, str]:
    """Utterance to what it is answered with: its speaker, or its group in the table ``vote``; {} for none.

    InputError for an utterance without a group, and for a group of two labels.
    """
    if vote == "none":
        return {}
    table = data.utt2spk() if vote == "speaker" else data.table(vote)
    where, known = data.folder / ("utt2spk" if vote == "speaker" else vote), dict[str, str]()
    for utt, label in labels.items():
        if utt not in table:
            raise InputError("is in no group", where=where, utt=utt, mend="add it, or say --score.vote none")
        if known.setdefault(table[utt], label) != label:
            said = f"{table[utt]} is {known[table[utt]]} and {label}: what is voted on has one label"
            raise InputError(said, where=where, utt=utt, mend="say --score.vote none, or mend the labels")
    return table


def _answers(run: Run, data: DataSet, name: str, dropped: dict[str, str], most: float) -> Answers:
    # Of all utterances of the set; the dropped ones have none.
    from ..backend.class_stage import posteriors_of
    from ..backend.classifier import Classifier
    from .answers import answers

    classifier = Classifier.load(folder_of(run, name))
    keys, rows = posteriors_of(run, data.name, classifier)
    place = {utt: row for row, utt in enumerate(keys)}
    utts = sorted(data.utt2spk())
    lost = [utt for utt in utts if utt not in place]
    where = vectors_of(run, classifier.line, data.name)
    for utt in lost:
        if utt not in dropped:
            raise InputError("neither answered nor dropped", where=where, utt=utt, mend="redo stage extract")
    if len(lost) > most * len(utts):
        raise InputError(
            f"{len(lost)} of {len(utts)} utterances were dropped, above {most:.2%}",
            where=where,
            mend="see the set's dropped file, or raise --score.max_dropped",
        )
    return answers(utts, place, rows, classifier.classes)


def _refuse_unknown(data: DataSet, table: str, truth: dict[str, str], classes: list[str]) -> None:
    for utt, label in truth.items():
        if label not in classes:
            said = f"{label!r} is none of the classes that were learned: {', '.join(classes[:12])}"
            mend = "mend the label, leave the utterance out of the set, or train with this class"
            raise InputError(said, where=data.folder / table, utt=utt, mend=mend)


def _together(
    alone: Answers, groups: dict[str, str], truth: dict[str, str], speakers: dict[str, str]
) -> tuple[Answers, dict[str, str], dict[str, str]]:
    # Answers, labels and speakers of groups; a group's speaker is its first utterance's.
    from .answers import voted

    if not groups:
        return alone, truth, speakers
    members = invert({utt: groups[utt] for utt in alone.utterances})
    first = {group: utts.split()[0] for group, utts in members.items()}
    labels = {group: truth[utt] for group, utt in first.items()}
    return voted(alone, groups), labels, {group: speakers[utt] for group, utt in first.items()}


def _unvoted(alone: Answers, truth: dict[str, str]) -> dict[str, Any]:
    from .class_figures import judge_classes

    found = judge_classes(alone, truth).figures
    return {key: found[key] for key in ("utterances", "accuracy", "balanced_accuracy", "macro_f1")}


def _remove_old(unit: Unit) -> None:
    # Answers of classifiers that are no more: nobody shall read them.
    from ..formats.records import read_json

    result = unit.folder / RESULT
    try:
        known = read_json(result, "the set's figures", mend="redo stage score") if result.is_file() else {}
    except InputError:
        known = {}
    for name in known if isinstance(known, dict) else ():
        path: Path = unit.folder / name
        if path not in unit.outputs and Path(name).name == name:
            path.unlink(missing_ok=True)
