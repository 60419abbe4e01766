"""Asynchronous successive halving (ASHA; Li et al., "A system for massively parallel hyperparameter tuning",
MLSys 2020, algorithm 2), without promotions of what was ended.

As Optuna's SuccessiveHalvingPruner decides, but from the epochs that trials have told alone: that one leaves
a mark of its decision, and a worker that is killed between mark and end would decide otherwise when asked
again.
"""

from __future__ import annotations

import math

from optuna import Study
from optuna.pruners import BasePruner
from optuna.trial import FrozenTrial


class Halving(BasePruner):
    """One of ``factor`` trials goes on at ``first`` epochs, at ``factor`` times as many, and so on."""

    def __init__(self, first: int, factor: int) -> None:
        self.first, self.factor = first, factor

    def prune(self, study: Study, trial: FrozenTrial) -> bool:
        """Whether ``trial`` ends at the last epoch it told."""
        epoch = trial.last_step
        if epoch is None or not self.rung(epoch):
            return False
        value = trial.intermediate_values[epoch]
        others = (one for one in study.get_trials(deepcopy=False) if one.number != trial.number)
        there = [one.intermediate_values[epoch] for one in others if epoch in one.intermediate_values]
        ranked = sorted([*there, value])
        # The first ones to come here have nobody to be compared with: the best so far goes on.
        return math.isnan(value) or value > ranked[max(1, len(ranked) // self.factor) - 1]

    def rung(self, epoch: int) -> bool:
        """Whether trials are compared after so many epochs."""
        while epoch > self.first and epoch % self.factor == 0:
            epoch //= self.factor
        return epoch == self.first
