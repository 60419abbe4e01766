"""Experiments with labels side by side: figures of results.json, paired intervals from the answers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ..formats.errors import InputError
from ..formats.records import read_json
from ..formats.run import Run
from .answers import read_answers
from .class_figures import ClassJudged, class_differences, class_notes, judge_classes
from .class_results import class_table
from .class_stage import groups_of
from .experiments import Systems, chosen_systems
from .labels import labels

_MEND = "name exp/TAG, after stage score"


def is_classification(folder: Path) -> bool:
    """Whether ``folder`` (exp/TAG) is an experiment with labels, by its results.json."""
    path = folder / "results.json"
    return path.is_file() and "classification" in read_json(path, "the figures of stage 9", mend=_MEND)


def compare_classes(
    folders: Sequence[Path],
    *,
    against: Path | None = None,
    systems: Sequence[str] = (),
    lists: Sequence[str] = (),
    replicates: int = 1000,
    seed: int = 0,
) -> dict[str, Any]:
    """``folders`` (exp/TAG each) on the evaluation sets that they share, ready for JSON.

    "sets" {SET: {TAG/CLASSIFIER: figures}}, "against" {SET: the reference}, "differences" {SET: {...:
    class_differences}}, "notes". The reference is the first of ``systems``, or else the most accurate
    classifier of ``against`` (or of the first folder). InputError where the experiments name other labels,
    vote otherwise, or have other answers to give.
    """
    places = [folder.resolve() for folder in folders]
    first = folders[0] if against is None else against
    if first.resolve() in places:
        first, named = folders[places.index(first.resolve())], list(folders)
    else:
        named = [first, *folders]
    found = {folder: _results(folder) for folder in named}
    sets = _shared(found, first, lists)
    out: dict[str, Any] = {"labels": found[first]["labels"], "vote": found[first]["vote"]}
    out |= {"sets": {}, "against": {}, "differences": {}, "notes": []}
    for name in sets:
        chosen = chosen_systems(_systems(found, name), systems, named[-1])
        judged = _judged(chosen, Run.load(first / "run.json"), name, found, replicates, seed)
        mine = [shown for shown, (folder, _) in chosen.items() if folder == first] or list(chosen)
        rates = {shown: judged[shown].figures["accuracy"] for shown in mine}
        best = max(rates, key=rates.__getitem__)
        reference = next(iter(chosen)) if systems else best
        base = judged[reference]
        out["sets"][name] = {shown: one.figures for shown, one in judged.items()}
        out["against"][name] = reference
        out["differences"][name] = {
            shown: class_differences(one, base) for shown, one in judged.items() if shown != reference
        }
        out["notes"] += [f"{name}: {note}" for note in class_notes(base.figures)]
    return out


def _shared(found: Mapping[Path, Mapping[str, Any]], first: Path, lists: Sequence[str]) -> list[str]:
    # The evaluation sets that all experiments have, or those of them that ``lists`` names.
    for folder, one in found.items():
        for key in ("labels", "vote"):
            if one[key] != found[first][key]:
                said = f"{key} {one[key]}, where {first} has {found[first][key]}"
                raise InputError(said, where=folder, mend="compare experiments of the same answers")
    known = found[first]["classification"]
    shared = [name for name in known if all(name in one["classification"] for one in found.values())]
    if not shared:
        raise InputError("these experiments share no evaluation set", where=list(found)[-1])
    for name in lists:
        if name not in shared:
            raise InputError(f"no set {name} that all have: known are {', '.join(shared)}")
    return [name for name in shared if name in lists] if lists else shared


def _systems(found: Mapping[Path, Mapping[str, Any]], name: str) -> Systems:
    shown = zip(found, labels(list(found)), strict=True)
    return {
        f"{tag}/{key}" if len(found) > 1 else key: (folder, key)
        for folder, tag in shown
        for key in found[folder]["classification"][name]
    }


def _results(folder: Path) -> dict[str, Any]:
    if folder.is_file():
        raise InputError("is a file, where an experiment's folder should stand", where=folder, mend=_MEND)
    path = folder / "results.json"
    found = read_json(path, "the figures of stage 9", mend=_MEND)
    if "classification" not in found:
        mend = "compare like with like"
        raise InputError("verifies speakers, where others have labels", where=path, mend=mend)
    return found


def _judged(
    places: Systems, run: Run, name: str, found: Mapping[Path, Mapping[str, Any]], replicates: int, seed: int
) -> dict[str, ClassJudged]:
    # Each system's answers, read from its own files and judged by the reference's set.
    data = run.set(name)
    truth, speakers = data.labels(run.labels), data.utt2spk()
    groups = groups_of(data, run.options["score"].get("vote", "none"), truth)
    if groups:
        first = {groups[utt]: utt for utt in sorted(truth, reverse=True)}
        truth = {group: truth[utt] for group, utt in first.items()}
        speakers = {group: speakers[utt] for group, utt in first.items()}
    judged = {}
    for shown, (folder, key) in places.items():
        classes = found[folder]["classification"][name][key]["confusion"]["labels"]
        said = read_answers(folder / "scores" / name / key, sorted(truth), classes)
        judged[shown] = judge_classes(said, truth, speakers, replicates=replicates, seed=seed)
    return judged


def classes_side_by_side(found: Mapping[str, Any]) -> str:
    """What ``compare_classes`` found, as tables."""
    blocks = [class_table(found["sets"], "system")]
    for name, pairs in found["differences"].items():
        wide = max([40, *map(len, pairs)])
        title = f"{name}: against {found['against'][name]}"
        lines = [f"{title:{wide}s}  {'accuracy':>9s}  95 % interval     {'balanced':>9s}  95 % interval"]
        for shown, one in pairs.items():
            line = f"{shown:{wide}s}"
            for key in ("accuracy", "balanced_accuracy"):
                value, ends = one[f"{key}_difference"], one[f"{key}_difference_ci"]
                span = f"{ends[0]:+.2f} to {ends[1]:+.2f}" if ends else "-"
                line += f"  {'-' if value is None else f'{value:+.2f}':>9s}  {span:16s}"
            lines.append(line.rstrip())
        if pairs:
            blocks.append("\n".join(lines))
    return "\n\n".join([*blocks, *(f"note: {note}" for note in found["notes"])])


def class_page(found: Mapping[str, Any]) -> dict[str, Any]:
    """What ``compare_classes`` found, as report.render_classes takes it."""
    sets = {
        name: {
            shown: {**one, **({"against": {found["against"][name]: pairs[shown]}} if shown in pairs else {})}
            for shown, one in part.items()
        }
        for (name, part), pairs in zip(found["sets"].items(), found["differences"].values(), strict=True)
    }
    results = {"classification": sets, "labels": found["labels"], "vote": found["vote"]}
    return {"results": results, "title": "Systems side by side", "of": "system"}
