"""When a train phase ends before its last epoch, and which epoch's weights stay."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from specplan.plan.model import EarlyStopping
    from specplan.run.state import Snapshot, State


class Stopper:
    """Follows one metric from epoch to epoch.

    Attributes:
        kept_epoch: the epoch whose weights the phase would leave behind if it ended now.
    """

    def __init__(self, rule: EarlyStopping | None, state: State) -> None:
        self.kept_epoch = 0
        self._rule = rule
        self._state = state
        self._best = math.inf
        self._waited = 0
        self._snapshot: Snapshot | None = None

    def saw(self, epoch: int, values: Mapping[str, float]) -> bool:
        """Look at the values of an epoch; True if the phase ends with it."""
        rule = self._rule
        if rule is None:
            self.kept_epoch = epoch
            return False
        value = values.get(rule.monitor, math.nan)
        if rule.mode == "max":
            value = -value
        # A value that is missing or not a number compares as no improvement.
        improved = value < self._best - rule.min_delta
        if improved:
            self._best = value
            self._waited = 0
            if rule.restore_best:
                self._snapshot = self._state.capture()
        else:
            self._waited += 1
        if improved or self._snapshot is None:
            self.kept_epoch = epoch
        return self._waited >= rule.patience

    def finish(self) -> None:
        """Put back the weights and the optimizer of the best epoch. The count of steps goes on."""
        if self._snapshot is not None:
            steps = self._state.steps
            self._state.restore(self._snapshot)
            self._state.steps = steps
