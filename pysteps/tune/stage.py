"""Stage tune: a search of models.* and train.* in exp/TAG/tune/SPACE, one training a trial.

It runs when it is named (./run.sh --stage tune --space FILE), on the egs and features that are there. Workers
(jobs through $cmd) ask the study for trials until there are enough; see study.py.
"""

from __future__ import annotations

import json
import shutil
from typing import Any

from ..formats.atomic import write_text
from ..formats.errors import InputError
from ..formats.run import Run
from ..formats.stamps import Unit
from ..train import stage as train
from . import study
from .options import TuneOptions
from .trial import Pruned, folder_of, run_trial, say, tidy, trial_run
from .values import recipe_values

NAME = "tune"
VERSION = 1
GIVE_UP = 3  # trials that fail before the first is finished: what fails them all, most likely
WAYS = (
    "engine",
    "keep",
    "prune_epoch",
    "prune_trials",
    "factor",
    "pruner",
    "sampler",
    "startup",
    "first",
    "seed",
)


def options_of(run: Run) -> TuneOptions:
    """The search space of a run of stage tune."""
    return TuneOptions(**run.options[NAME]["options"])


def _unit(run: Run, **more: Any) -> Unit:
    (trained,) = train.units(run)
    options, folder = options_of(run), folder_of(run)
    return Unit(
        name=run.options[NAME]["name"],
        stage=NAME,
        folder=folder,
        version=VERSION,
        options={**trained.options, "space": options.parameters, **more},
        inputs=trained.inputs,
        upstream=trained.upstream,
        outputs=tuple(
            folder / name for name in ("results.json", "report.html", "best/models.yaml", "best/train.yaml")
        ),
    )


def units(run: Run) -> list[Unit]:
    """One unit: the search, with so many trials."""
    options = options_of(run)
    how = {key: getattr(options, key) for key in WAYS}
    return [_unit(run, trials=run.options[NAME]["trials"], **how)]


def forget(run: Run) -> None:
    """--force: the whole search, its trials too."""
    shutil.rmtree(folder_of(run), ignore_errors=True)


def plan(run: Run) -> int:
    """How many trials are still to be finished; InputError where the search there is another one."""
    unit, folder, options = _unit(run), folder_of(run), options_of(run)
    for path in unit.inputs:
        if not path.is_file():
            raise InputError("is missing", where=path, mend="run the stage that writes it: --stop-stage egs")
    _refuse_unbuildable(run)
    path = folder / "study.json"
    if path.is_file():
        why = unit.differs(json.loads(path.read_text("utf-8")))
        if why:
            mend = "--force begins anew; a space file of another name searches beside it"
            raise InputError(f"the trials there are of another search: {why}", where=folder, mend=mend)
    else:
        write_text(path, json.dumps(unit.content(), sort_keys=True, indent=1) + "\n")
    study.mend_journal(folder)
    count, found = study.wanted(options, run.options[NAME]["trials"]), study.open_study(folder, options)
    study.refuse_no_grid(found, folder, options)
    return max(0, study.open_count(found, count))


def _refuse_unbuildable(run: Run) -> None:
    from ..train.options import TrainOptions
    from ..train.plan import check

    check(TrainOptions(**run.options["train"]))


def job(run: Run, number: int, jobs: int) -> None:
    """Worker ``number`` of ``jobs`` (from 1): trial after trial, until there are enough."""
    options, folder = options_of(run), folder_of(run)
    if options.engine == "ray":
        from .ray_engine import search

        if number == 1:  # Ray is one program with all the jobs' processes
            search(run, jobs)
        return
    found = study.open_study(folder, options)
    own = recipe_values(run.options, options.space())
    count = study.wanted(options, run.options[NAME]["trials"])
    study.reclaim(found, folder, number, jobs)
    while trial := study.take(found, folder, options, own, count, number):
        _try(run, found, trial)
        _refuse_hopeless(found)


def _try(run: Run, found: Any, trial: Any) -> None:
    # One trial from its beginning, or from where it was interrupted, to what it came to.
    states, options = _states(), options_of(run)
    say(trial.number, ", ".join(f"{name} {_short(value)}" for name, value in trial.params.items()))
    known = set(found.trials[trial.number].intermediate_values)

    def told(epoch: int, value: float, last: bool) -> bool:
        if epoch not in known:
            trial.report(value, epoch)
            known.add(epoch)
        return not last and epoch == max(known) and trial.should_prune()

    try:
        value = run_trial(trial_run(run, trial.number, trial.params), told)
    except Pruned:
        found.tell(trial, state=states.PRUNED)
        say(trial.number, f"ended after epoch {max(known)}: it is behind the others")
    except InputError as error:
        trial.set_user_attr(study.WHY, str(error))
        found.tell(trial, state=states.FAIL)
        say(trial.number, f"failed: {error}")
    else:
        found.tell(trial, value)
        say(trial.number, f"finished: {value:.4g}")
    keep_best(run, found, options)


def keep_best(run: Run, found: Any, options: TuneOptions) -> None:
    """Remove the checkpoints of finished trials, and the models of all but the best one (keep: best)."""
    finished = [one for one in found.get_trials(deepcopy=False) if one.state.is_finished()]
    complete = [one for one in finished if one.state == _states().COMPLETE]
    best = min(complete, key=lambda one: (one.value, one.number), default=None)
    for one in finished:
        folder = folder_of(run) / "trials" / str(one.number)
        tidy(folder, model=one is best or (options.keep == "all" and one in complete))


def _refuse_hopeless(found: Any) -> None:
    # Rather than fail all night: what fails the first ones will fail the rest.
    finished = [one for one in found.get_trials(deepcopy=False) if one.state.is_finished()]
    failed = [one for one in finished if one.state == _states().FAIL]
    if len(failed) == len(finished) >= GIVE_UP:
        said = (
            f"the first {len(failed)} trials have failed, the last of: {failed[-1].user_attrs.get(study.WHY)}"
        )
        raise InputError(said, mend="mend that, or the space, and begin anew with --force")


def gather(run: Run) -> None:
    """results.json, the best options as conf files, report.html, and the stamp."""
    from .page import render
    from .results import results, write_best

    (unit,) = units(run)
    keep_best(run, study.open_study(unit.folder, options_of(run)), options_of(run))
    found = results(run)
    write_best(run, found)
    write_text(unit.folder / "results.json", json.dumps(found, indent=1) + "\n")
    render(run, found, unit.folder / "report.html")
    unit.done()


def _states() -> Any:
    from .study import library

    return library().trial.TrialState


def _short(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
