"""Optuna: the storage that workers share, what is tried next, and what becomes of it.

The storage is a journal, a file that is only appended to, under a lock that works on network file systems. A
worker proposes and takes a trial within another such lock, so that no two workers take the same and there are
never too many. What is proposed depends on the seed, the trial's number and the trials before it, on nothing
that a process remembers: a search that was killed goes on as if it had not been.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import zip_longest
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..formats.errors import InputError
from ..formats.rng import generator
from .options import Parameter, TuneOptions

if TYPE_CHECKING:
    from optuna import Study, Trial
    from optuna.distributions import BaseDistribution
    from optuna.pruners import BasePruner
    from optuna.trial import FrozenTrial

JOURNAL = "journal.log"
OWNER, WHY = "job", "why"  # of a trial: the worker that has it; what it failed of


def library() -> Any:
    """Optuna, quiet; InputError where it is not installed."""
    try:
        import optuna
    except ImportError:
        mend = ". ./path.sh && pip install -r requirements/tune.txt"
        raise InputError("optuna is not installed", mend=mend) from None
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    warnings.filterwarnings("ignore", category=optuna.exceptions.ExperimentalWarning)
    return optuna


def open_study(folder: Path, options: TuneOptions) -> Study:
    """The study whose journal lies in ``folder``; a new one where there is none. Less is better."""
    optuna = library()
    from optuna.storages.journal import JournalFileBackend, JournalFileOpenLock, JournalStorage

    folder.mkdir(parents=True, exist_ok=True)
    path = str(folder / JOURNAL)
    storage = JournalStorage(JournalFileBackend(path, JournalFileOpenLock(path)))
    return optuna.create_study(
        storage=storage,
        sampler=optuna.samplers.RandomSampler(0),  # ``propose`` draws
        pruner=pruner(options),
        study_name="tune",
        direction="minimize",
        load_if_exists=True,
    )


def mend_journal(folder: Path) -> None:
    """Cut off a last line that a full disk or a power cut left half-written; nobody may be at work."""
    path = folder / JOURNAL
    if path.is_file():
        with open(path, "rb+") as handle:
            content = handle.read()
            if content and not content.endswith(b"\n"):
                handle.truncate(content.rfind(b"\n") + 1)


def pruner(options: TuneOptions) -> BasePruner:
    """What decides after an epoch (counted from 1) whether a trial goes on."""
    pruners = library().pruners
    if options.pruner == "median":
        return pruners.MedianPruner(options.prune_trials, options.prune_epoch)
    if options.pruner == "halving":
        from .halving import Halving

        return Halving(options.prune_epoch, options.factor)
    return pruners.NopPruner()


def distributions(space: Sequence[Parameter]) -> dict[str, BaseDistribution]:
    """The parameters as Optuna has them."""
    of = library().distributions
    found: dict[str, BaseDistribution] = {}
    for one in space:
        if one.kind == "choice":
            found[one.name] = of.CategoricalDistribution(one.values)
        elif one.kind == "int":
            found[one.name] = of.IntDistribution(int(one.low), int(one.high), one.log, int(one.step) or 1)
        else:
            found[one.name] = of.FloatDistribution(one.low, one.high, one.log, one.step or None)
    return found


def propose(trials: Sequence[FrozenTrial], options: TuneOptions, own: dict[str, Any]) -> dict[str, Any]:
    """The values of the trial behind ``trials``; ``own`` are those of the recipe."""
    optuna, space, number = library(), options.space(), len(trials)
    if options.sampler == "grid":
        return options.grid()[number]
    if number == 0 and options.first == "recipe" and all(one.holds(own[one.name]) for one in space):
        return {one.name: own[one.name] for one in space}
    seed = int(generator(options.seed, str(number), "tune").integers(2**31))
    samplers = optuna.samplers
    sampler = samplers.RandomSampler(seed)
    if options.sampler == "tpe":
        sampler = samplers.TPESampler(n_startup_trials=options.startup, seed=seed)
    states = optuna.trial.TrialState
    memory = optuna.create_study(sampler=sampler, direction="minimize")
    memory.add_trials(
        [one for one in trials if one.state in (states.COMPLETE, states.PRUNED, states.RUNNING)]
    )
    return dict(memory.ask(distributions(space)).params)


def wanted(options: TuneOptions, trials: int) -> int:
    """How many trials there are to be: ``trials``, of a grid no more than it has points."""
    return min(trials, len(options.grid())) if options.sampler == "grid" else trials


@contextmanager
def alone(folder: Path) -> Iterator[None]:
    """No two workers are in here at once, on whichever host."""
    from optuna.storages.journal import JournalFileOpenLock

    lock = JournalFileOpenLock(str(folder / "take"))
    lock.acquire()
    try:
        yield
    finally:
        lock.release()


def take(
    study: Study, folder: Path, options: TuneOptions, own: dict[str, Any], count: int, job: int
) -> Trial | None:
    """The next trial for worker ``job``: an interrupted one, else a new one; None if there are ``count``."""
    optuna = library()
    states = optuna.trial.TrialState
    with alone(folder):
        trials = study.get_trials(deepcopy=False)
        if not any(one.state == states.WAITING for one in trials):
            if len(trials) >= count:
                return None
            values = propose(trials, options, own)
            kinds = distributions(options.space())
            study.add_trial(  # one line of the journal: it is there with all its values or not at all
                optuna.trial.create_trial(
                    state=states.WAITING, params=values, distributions=kinds, user_attrs={OWNER: job}
                )
            )
        trial = study.ask()
        trial.set_user_attr(OWNER, job)
        return trial


def reclaim(study: Study, folder: Path, job: int, jobs: int) -> None:
    """Let go of the running trials that an earlier worker ``job`` had, so that they are taken again.

    Of ``jobs`` workers each one looks after those that it had itself, or, where there were more workers then,
    after those that fall to it.
    """
    running = library().trial.TrialState.RUNNING
    with alone(folder):
        for one in study.get_trials(deepcopy=False, states=(running,)):
            if (one.user_attrs.get(OWNER, 1) - 1) % jobs + 1 == job:
                study._storage.set_trial_state_values(one._trial_id, library().trial.TrialState.WAITING)


def refuse_no_grid(study: Study, folder: Path, options: TuneOptions) -> None:
    """InputError where a grid is to go on behind trials that are not its first points: it would leave out
    as many."""
    if options.sampler != "grid":
        return
    for one, point in zip_longest(study.get_trials(deepcopy=False), options.grid()):
        if one is not None and one.params != point:
            mend = "--force begins anew; a space file of another name searches beside it"
            raise InputError(f"trial {one.number} there is not of this grid", where=folder, mend=mend)


def open_count(study: Study, count: int) -> int:
    """Trials that are still to be made or to be finished."""
    return count - sum(one.state.is_finished() for one in study.get_trials(deepcopy=False))
