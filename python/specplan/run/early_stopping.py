"""When a train phase ends before its last epoch, and which epoch's weights stay."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import msgspec

from specplan.store.run_file import BestEpoch

if TYPE_CHECKING:
    from collections.abc import Mapping

    from specplan.plan.model import EarlyStopping
    from specplan.run.state import Snapshot, State


class Ending(msgspec.Struct, frozen=True, kw_only=True):
    """What early stopping did to a train phase, in the words of `str`.

    Attributes:
        epochs: how many were run.
        early: whether the phase was to have more of them.
        rule: what decided.
        restored: the epoch whose weights were put back, where a later one was run.
        best: the best value of the metric that was watched; infinite where there was none.
    """

    epochs: int
    early: bool
    rule: EarlyStopping
    restored: int | None
    best: float

    def __str__(self) -> str:
        stopped = f"stopped early after {self.epochs} epochs" if self.early else ""
        if self.restored is None:
            rule = self.rule
            return f"{stopped}, the last {rule.patience} without a better {rule.monitor}"
        value = f"{self.rule.monitor} {self.best:.4g}"
        restored = f"best epoch {self.restored} restored ({value})"
        return f"{stopped}, {restored}" if stopped else restored


class Stopper:
    """Follows one metric from epoch to epoch.

    Attributes:
        epochs: how many epochs it has seen.
        kept_epoch: the epoch whose weights the phase would leave behind if it ended now.
        snapshot: the state at that epoch, where it is to be put back.
    """

    def __init__(self, rule: EarlyStopping | None, state: State) -> None:
        self.kept_epoch = 0
        self.epochs = 0
        self._rule = rule
        self._state = state
        self._best = math.inf
        self._waited = 0
        self.snapshot: Snapshot | None = None

    def saw(self, epoch: int, values: Mapping[str, float]) -> bool:
        """Look at the values of an epoch; True if the phase ends with it."""
        rule = self._rule
        self.epochs = epoch + 1
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
                self.snapshot = self._state.capture()
        else:
            self._waited += 1
        if improved or self.snapshot is None:
            self.kept_epoch = epoch
        return self._waited >= rule.patience

    @property
    def best(self) -> BestEpoch | None:
        """Where the metric was best so far; None without a rule."""
        if self._rule is None:
            return None
        if math.isinf(self._best) and self._best > 0:
            return BestEpoch()
        value = -self._best if self._rule.mode == "max" else self._best
        return BestEpoch(
            epoch=self.epochs - 1 - self._waited, value=value if math.isfinite(value) else None
        )

    def values(self) -> dict[str, Any]:
        """All of it but the snapshot, for a checkpoint."""
        return {
            "kept_epoch": self.kept_epoch,
            "epochs": self.epochs,
            "best": self._best,
            "waited": self._waited,
        }

    def restore(self, values: Mapping[str, Any], snapshot: Snapshot | None) -> None:
        """Be as `values` was asked for."""
        self.kept_epoch = values["kept_epoch"]
        self.epochs = values["epochs"]
        self._best = values["best"]
        self._waited = values["waited"]
        self.snapshot = snapshot

    def finish(self, *, planned_epochs: int) -> Ending | None:
        """Put back the weights and the optimizer of the best epoch. The count of steps goes on.

        Returns what that changed; None where every epoch was run and the last one's weights stay.
        """
        if self.snapshot is not None:
            self._state.go_back(self.snapshot)
        early = self.epochs < planned_epochs
        restored = self.kept_epoch if self.kept_epoch + 1 < self.epochs else None
        if self._rule is None or not (early or restored is not None):
            return None
        best = -self._best if self._rule.mode == "max" else self._best
        return Ending(
            epochs=self.epochs, early=early, rule=self._rule, restored=restored, best=best
        )
