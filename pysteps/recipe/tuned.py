"""A run of stage tune: the recipe's run with a search space beside its options; and its table."""

from __future__ import annotations

import json
import shlex
import sys
from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from ..formats.errors import InputError
from ..formats.records import read_json
from ..formats.run import Run
from ..tune.options import STAGES, read_space
from ..tune.results import table
from ..tune.trial import folder_of, trial_run
from ..tune.values import check, text
from .options import Chosen, parse
from .resume import different

TRIALS = 20  # --trials where none are said
SAYS = ("space", "trials")


def refuse_idle(chosen: Chosen) -> None:
    """InputError for options of a search where none is asked for."""
    for name in SAYS:
        if name in chosen.values:
            raise InputError(f"--{name} is of stage tune", mend=f"add --stage tune, or leave out --{name}")
    if chosen.values.get("stop-stage") == "tune":
        mend = "first --stop-stage egs, then --stage tune"
        raise InputError("stage tune does not run behind others", mend=mend)


def searched(run: Run, chosen: Chosen) -> Run:
    """The run of ``--stage tune``; InputError for a space that cannot be searched."""
    if chosen.values.get("stop-stage", "tune") != "tune":
        raise InputError("--stage tune runs alone", mend="leave out --stop-stage")
    if not chosen.values.get("space"):
        raise InputError("--stage tune needs a search space", mend="--space conf/tune/NAME.yaml")
    trials = chosen.values.get("trials", str(TRIALS))
    if not trials.isdigit() or int(trials) < 1:
        raise InputError(f"--trials {trials} is no whole number from 1")
    path = Path(chosen.values["space"])
    options = read_space(path)
    try:
        check(run.options, options)
    except InputError as error:
        raise InputError(str(error), where=path) from None
    # What was said of other stages; of models and train the best trial's files say all.
    confs = {stage: conf for stage, conf in chosen.confs.items() if stage not in STAGES}
    tune = {"name": path.stem, "trials": int(trials), "confs": confs, "options": asdict(options)}
    return replace(run, options={**run.options, "tune": tune}, names={**run.names, "tune": path.stem})


def best_words(root: Path, run: Run, found: Mapping[str, Any]) -> list[str]:
    """The words of ./run.sh that train the best trial's options: with them the weights are the trial's.

    What the recipe itself sets otherwise, and what earlier runs did, is said in them too.
    """
    from .resolve import resolve

    row = next(row for row in found["trials"] if row["number"] == found["best"])
    wanted, folder = trial_run(run, row["number"], row["values"]), folder_of(run) / "best"
    words = ["--recipe", run.recipe, "--work", run.work, "--tag", f"{run.tag}_{found['space']}"]
    words += ["--stage", "train"]
    for stage in STAGES:
        words += [f"--{stage}", str(folder / f"{stage}.yaml")]
    plain = resolve(root, parse(words))
    confs = {stage: name for stage, name in run.names.items() if plain.names.get(stage, name) != name}
    confs = {stage: name for stage, name in confs.items() if stage not in STAGES}
    for stage, name in {**confs, **run.options["tune"]["confs"]}.items():
        words += [f"--{stage}", name]
    if run.corpus != plain.corpus:
        words += ["--corpus", run.corpus]
    plain = resolve(root, parse(words))
    # A run that was read from its file has lists where a fresh one has tuples.
    now, meant = (json.loads(json.dumps(one.options)) for one in (plain, wanted))
    for stage, values in now.items():
        for option, value in different(stage, meant.get(stage, {}), values):
            words += [f"--{option}", value if isinstance(value, str) else text(value)]
    return [*words, *(["--allow-pipes"] if run.allow_pipes else [])]


def main() -> None:
    """``python -m pysteps.recipe.tuned RUN``: the table of a search, and how its best trial is trained."""
    run = Run.load(sys.argv[1])
    folder = folder_of(run)
    found = read_json(folder / "results.json", "what the search found", mend="run stage tune again")
    print(table(found))
    print(f"report: {folder / 'report.html'}")
    print(f"train the best: ./run.sh {shlex.join(best_words(Path.cwd(), run, found))}")


if __name__ == "__main__":
    from ..formats.errors import guarded

    guarded(main)
