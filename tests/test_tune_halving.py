"""Successive halving: the decisions of Optuna's, and the same ones when it is asked twice."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

optuna = pytest.importorskip("optuna")


@pytest.mark.parametrize("factor", [2, 3, 4])
def test_halving_decides_as_optuna_does(factor: int) -> None:
    from pysteps.tune.halving import Halving

    rng, decisions = np.random.default_rng(factor), {}
    tables = rng.normal(size=(30, 20)) - np.arange(20) * 0.05
    for name, pruner in {
        "ours": Halving(2, factor),
        "theirs": optuna.pruners.SuccessiveHalvingPruner(min_resource=2, reduction_factor=factor),
    }.items():
        found = optuna.create_study(pruner=pruner)
        decisions[name] = [_last_epoch(found.ask(), table) for table in tables]
    assert decisions["ours"] == decisions["theirs"]
    assert len(set(decisions["ours"])) > 2


def _last_epoch(trial: Any, table: np.ndarray) -> int:
    for epoch, value in enumerate(table, 1):
        trial.report(value, epoch)
        if trial.should_prune():
            return epoch
    return len(table)


def test_halving_decides_the_same_when_asked_again() -> None:
    from pysteps.tune.halving import Halving

    found = optuna.create_study(pruner=Halving(1, 2))
    first, second = found.ask(), found.ask()
    first.report(1.0, 1)
    assert not first.should_prune()
    second.report(2.0, 1)
    assert second.should_prune() and second.should_prune()
