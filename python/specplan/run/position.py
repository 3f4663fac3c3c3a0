"""Where a train phase stands between two steps."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray


class Position:
    """All that a train phase knows between two steps, besides the state and what its callbacks keep.

    Attributes:
        epoch: the epoch that is open.
        begun: whether all that comes before its first step is done.
        steps: of it that are done.
        sums: of the values of these steps, one for each series.
        measured: the last values by name, up to the epoch before.
        kept: those at the epoch whose weights the phase would leave behind.
        group: steps whose gradients are added up before the weights change.
    """

    def __init__(self, series: int, group: int = 1) -> None:
        self.group = group
        self.epoch = 0
        self.begun = False
        self.steps = 0
        self.sums: NDArray[np.float64] = np.zeros(series)
        self.measured: dict[str, float] = {}
        self.kept: dict[str, float] = {}

    @property
    def in_group(self) -> bool:
        """Whether there are gradients by which the weights have not changed yet."""
        return self.steps % self.group != 0

    def values(self) -> dict[str, Any]:
        """All of it, for a checkpoint."""
        return {
            "epoch": self.epoch,
            "begun": self.begun,
            "steps": self.steps,
            "sums": self.sums,
            "measured": self.measured,
            "kept": self.kept,
        }

    def restore(self, values: dict[str, Any]) -> None:
        """Be where `values` was asked for."""
        self.epoch = values["epoch"]
        self.steps = values["steps"]
        # Checkpoints of early versions do not say it.
        self.begun = values.get("begun", self.steps > 0)
        self.sums[:] = values["sums"]
        self.measured = dict(values["measured"])
        self.kept = dict(values["kept"])

    def next_epoch(self) -> None:
        """The open epoch is over, with all that comes after its last step."""
        self.epoch += 1
        self.begun = False
        self.steps = 0
        self.sums.fill(0.0)
