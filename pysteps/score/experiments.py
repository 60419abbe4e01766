"""Experiments side by side: figures of results.json, and paired intervals from the score files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from ..formats.errors import InputError
from ..formats.records import read_json
from ..formats.run import Run
from .evaluate import Judged, Speakers, check_bootstrap, judged
from .few import speaker_notes
from .judge import speaker_codes
from .labels import labels
from .paired import differences, with_ratios
from .trials import Trials, read_scores, read_trials

Systems = dict[str, tuple[Path, str]]  # shown name -> (experiment, back end)


class Compared(NamedTuple):
    """``found`` for JSON, and where each system of each list of trials lies."""

    found: dict[str, Any]
    places: dict[str, Systems]


def row_of(folder: Path) -> dict[str, Any]:
    """One experiment's name and figures {list: {back end: figures}}."""
    if folder.is_file():
        mend = "score files are compared with --trials LIST --scores FILE FILE"
        raise InputError("is a file, where the folder of an experiment should stand", where=folder, mend=mend)
    path = folder / "results.json"
    found = read_json(path, "the figures of stage 9", mend="name exp/TAG, after stage score")
    return {"name": folder.resolve().name, "folder": folder, "trials": found["trials"]}


def compare_experiments(
    folders: Sequence[Path],
    *,
    against: Path | None = None,
    systems: Sequence[str] = (),
    lists: Sequence[str] = (),
    replicates: int = 1000,
    seed: int = 0,
) -> Compared:
    """``folders`` (exp/TAG each, called by TAG, or more of the path) on the lists of trials that they share.

    Per list: every back end's figures, and the differences of its figures to the reference's with 95 %
    intervals, the same speakers drawn for both (paired.differences). The reference of a list is the first of
    ``systems``, or else the back end with the lowest EER, but for the baseline, of ``against`` (or of the
    first folder). ``systems``: the back ends to compare, by name or as TAG/NAME; ``lists``: the lists.
    """
    check_bootstrap(replicates, seed)
    rows, first = _rows(folders, against)
    found: dict[str, Any] = {"systems": [], "trials": {}, "against": {}, "differences": {}, "notes": []}
    places: dict[str, Systems] = {}
    found["systems"] = [{key: row[key] for key in ("name", "trials")} for row in rows]
    for name in _shared(rows, first, lists):
        chosen = places[name] = chosen_systems(_systems(rows, name), systems, rows[-1]["folder"])
        figures = {row["folder"]: row["trials"][name] for row in rows}
        found["trials"][name] = {shown: figures[folder][back] for shown, (folder, back) in chosen.items()}
        best = _best(found["trials"][name], chosen, first["folder"])
        reference = next(iter(chosen)) if systems else best
        found["against"][name] = reference
        trials, speakers = _trials_of(chosen[reference][0], name)
        base = _judged(chosen[reference], figures, trials, speakers, name, replicates, seed)
        found["differences"][name] = {
            shown: differences(
                _judged(chosen[shown], figures, trials, speakers, name, replicates, seed), base
            )
            for shown in chosen
            if shown != reference
        }
        found["notes"] += [f"{name}: {note}" for note in speaker_notes(base.figures)]
    return Compared(found, places)


def _rows(folders: Sequence[Path], against: Path | None) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    # One row a folder, the reference's among them (in front if it was not named), and that row.
    known = [folder.resolve() for folder in folders]
    first, named = folders[0], list(folders)
    if against is not None:
        if against.resolve() in known:
            first = folders[known.index(against.resolve())]
        else:
            first, named = against, [against, *folders]
    rows = [{**row_of(folder), "name": name} for folder, name in zip(named, labels(named), strict=True)]
    return rows, next(row for row in rows if row["folder"] == first)


def _shared(rows: Sequence[dict[str, Any]], first: dict[str, Any], lists: Sequence[str]) -> list[str]:
    shared = [name for name in first["trials"] if all(name in row["trials"] for row in rows)]
    if not shared:
        raise InputError("these experiments share no list of trials", where=rows[-1]["folder"])
    for name in lists:
        if name not in shared:
            raise InputError(f"no list of trials {name} that all have: known are {', '.join(shared)}")
    return [name for name in shared if name in lists] if lists else shared


def chosen_systems(systems: Systems, wanted: Sequence[str], where: Path) -> Systems:
    """Those of ``systems`` that are ``wanted`` (all of none), in the order in which they are named.

    A bare name means that back end of every experiment; one system alone is an InputError.
    """
    if not wanted:
        return systems
    out: Systems = {}
    for name in wanted:
        some = {shown: place for shown, place in systems.items() if name in (shown, place[1])}
        if not some:
            raise InputError(f"no system {name}: known are {', '.join(systems)}", where=where)
        out |= some
    if len(out) < 2:
        raise InputError(f"--systems names {next(iter(out))} alone: a difference needs two", where=where)
    return out


def _systems(rows: Sequence[dict[str, Any]], name: str) -> Systems:
    several = len(rows) > 1
    return {
        f"{row['name']}/{back}" if several else back: (row["folder"], back)
        for row in rows
        for back in row["trials"][name]
    }


def _best(figures: dict[str, Any], systems: Systems, folder: Path) -> str:
    mine = [shown for shown, (where, _) in systems.items() if where == folder]
    ours = [shown for shown in mine if systems[shown][1] != "baseline"] or mine
    return min(ours, key=lambda shown: figures[shown]["eer"])


def _trials_of(folder: Path, name: str) -> tuple[Trials, Speakers]:
    # The list as the experiment's run knows it, and the speakers of both sides, enrolled models too.
    run = Run.load(folder / "run.json")
    for set_name, label, path in run.trial_lists():
        if label == name:
            trials, data = read_trials(path), run.set(set_name)
            speaker_of = data.utt2spk()
            if data.has("enrol"):
                models = data.table("enrol")
                speaker_of |= {model: speaker_of[utts.split()[0]] for model, utts in models.items()}
            return trials, speaker_codes(trials, speaker_of)
    raise InputError(f"its run has no list of trials {name}", where=folder, mend="redo stage score")


def _judged(
    system: tuple[Path, str],
    figures: Mapping[Path, Mapping[str, Any]],
    trials: Trials,
    speakers: Speakers,
    name: str,
    replicates: int,
    seed: int,
) -> Judged:
    # As stage 9 does it: likelihood ratios are the calibrated scores', where there are such.
    folder, back = system
    known = figures[folder][back]
    files = folder / "scores" / name

    def of(file: Path, ratios: bool) -> Judged:
        return judged(
            read_scores(file, trials),
            trials.is_target,
            speakers=speakers,
            likelihood_ratios=ratios,
            replicates=replicates,
            seed=seed,
        )

    if known.get("calibrated"):
        return with_ratios(of(files / back, False), of(files / f"{back}.calibrated", True))
    return of(files / back, bool(known.get("act_dcf")))
