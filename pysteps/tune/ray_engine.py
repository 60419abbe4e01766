"""engine: ray. Ray Tune starts and ends the trials; what is tried next, the journal, the table and the report
are those of the other engine, so a search that was begun with one goes on with either.

Halving is Ray's ASHA and median its rule of the running mean's median, which decide by themselves.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from ..formats.errors import InputError
from ..formats.run import Run
from ..train.options import TrainOptions
from ..train.phases import phases_of
from . import study
from .options import TuneOptions
from .stage import keep_best, options_of
from .trial import folder_of, lines_of, run_trial, say, trial_run, value_of
from .values import recipe_values


def library() -> Any:
    """Ray Tune; InputError where it is not installed."""
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ["RAY_CHDIR_TO_TRIAL_DIR"] = "0"  # paths of a run are relative to the checkout
    try:
        import ray
        from ray import tune
    except ImportError:
        mend = ". ./path.sh && pip install -r requirements/ray.txt, or engine: optuna in the space"
        raise InputError("ray is not installed", mend=mend) from None
    ray.init(include_dashboard=False, log_to_driver=False, configure_logging=False, ignore_reinit_error=True)
    return tune


def search(run: Run, at_once: int) -> None:
    """All trials of ``run`` that are still open, ``at_once`` of them at a time."""
    tune, folder, options = library(), folder_of(run), options_of(run)
    found = study.open_study(folder, options)
    study.reclaim(found, folder, 1, 1)
    count = study.wanted(options, run.options["tune"]["trials"])
    searcher = _searcher(tune, run, found, count)
    threads = run.options["train"]["threads"]
    gpus = 1 if os.environ.get("CUDA_VISIBLE_DEVICES", "-") not in ("", "-") else 0
    place = folder.resolve() / "ray"
    shutil.rmtree(place, ignore_errors=True)  # an earlier session's; what counts is in the journal
    tuner = tune.Tuner(
        tune.with_resources(
            tune.with_parameters(train_one, content=json.dumps(asdict(run))), {"cpu": threads, "gpu": gpus}
        ),
        tune_config=tune.TuneConfig(
            search_alg=tune.search.ConcurrencyLimiter(searcher, max_concurrent=at_once),
            scheduler=_scheduler(tune, options, _epochs(run)),
            num_samples=max(1, study.open_count(found, count)),
            metric="value",
            mode="min",
            reuse_actors=False,
        ),
        run_config=tune.RunConfig(name="ray", storage_path=str(folder.resolve()), verbose=0),
    )
    try:
        tuner.fit()
    finally:
        shutil.rmtree(place, ignore_errors=True)


def train_one(config: Mapping[str, Any], content: str) -> None:
    """What a process of Ray's does: trial ``config["number"]`` of the run ``content``, told epoch by epoch.

    The last epoch is not told: who is ended there would have no model.
    """
    from ray import tune

    def told(epoch: int, value: float, last: bool) -> bool:
        if not last:
            tune.report({"value": value, "epoch": epoch})
        return False

    run = Run(**json.loads(content))
    value = run_trial(trial_run(run, config["number"], json.loads(config["values"])), told)
    tune.report({"value": value, "epoch": _epochs(run)})


def _epochs(run: Run) -> int:
    return sum(phase.epochs for phase in phases_of(TrainOptions(**run.options["train"])))


def _scheduler(tune: Any, options: TuneOptions, epochs: int) -> Any:
    from ray.tune import schedulers

    if options.pruner == "halving":
        return schedulers.ASHAScheduler(
            time_attr="epoch",
            max_t=epochs + 1,  # the last epoch ends nobody
            grace_period=min(options.prune_epoch, epochs),
            reduction_factor=options.factor,
        )
    if options.pruner == "median":
        return schedulers.MedianStoppingRule(
            time_attr="epoch", grace_period=options.prune_epoch, min_samples_required=options.prune_trials
        )
    return schedulers.FIFOScheduler()


def _searcher(tune: Any, run: Run, found: Any, count: int) -> Any:
    # Ray asks for values and tells of results; the journal answers and hears.
    options, folder = options_of(run), folder_of(run)
    own = recipe_values(run.options, options.space())
    states = study.library().trial.TrialState

    class Journal(tune.search.Searcher):
        def __init__(self) -> None:
            super().__init__(metric="value", mode="min")
            self.trials: dict[str, Any] = {}

        def suggest(self, trial_id: str) -> Any:
            trial = study.take(found, folder, options, own, count, 1)
            if trial is None:
                return tune.search.Searcher.FINISHED
            self.trials[trial_id] = trial
            return {"number": trial.number, "values": json.dumps(trial.params)}

        def on_trial_result(self, trial_id: str, result: Mapping[str, Any]) -> None:
            _hear(self.trials[trial_id], folder)

        def on_trial_complete(self, trial_id: str, result: Any = None, error: bool = False) -> None:
            trial = self.trials.pop(trial_id)
            _hear(trial, folder)
            _end(found, trial, folder / "trials" / str(trial.number), states, error)
            keep_best(run, found, options)

        def save(self, checkpoint_path: str) -> None:
            """Nothing: the journal has it."""

        def restore(self, checkpoint_path: str) -> None:
            """Nothing: the journal has it."""

    return Journal()


def _hear(trial: Any, folder: Path) -> None:
    # The epochs that the trial's own file tells of and the journal does not.
    known = trial.storage.get_trial(trial._trial_id).intermediate_values
    for line in lines_of(folder / "trials" / str(trial.number)):
        if int(line["epoch"]) not in known:
            value = value_of([line])
            trial.report(value, int(line["epoch"]))


def _end(found: Any, trial: Any, folder: Path, states: Any, error: bool) -> None:
    if error:
        trial.set_user_attr(study.WHY, f"see {folder.parent.parent / 'log'}")
        found.tell(trial, state=states.FAIL)
        say(trial.number, "failed")
    elif (folder / "model" / "model.safetensors").is_file():
        found.tell(trial, value_of(lines_of(folder)))
        say(trial.number, f"finished: {value_of(lines_of(folder)):.4g}")
    else:
        found.tell(trial, state=states.PRUNED)
        say(trial.number, "ended early: it is behind the others")
