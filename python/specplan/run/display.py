"""What a run tells the person who watches it. The interpreter calls; a front end shows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from specplan.plan.model import Phase, Plan
    from specplan.run.early_stopping import Ending
    from specplan.spec.diagnostics import Diagnostic
    from specplan.store.run_file import Status


class Display(Protocol):
    """Called from the thread that runs the plan; must return quickly and must not raise."""

    def run_started(self, plan: Plan, run_id: str, folder: Path) -> None:
        """The run folder exists and is being written."""

    def resumed(self, place: str) -> None:
        """The run is not new; `place` says where it goes on. Called after `run_started`."""

    def warned(self, warning: Diagnostic) -> None:
        """Something is odd that the compiler has not told."""

    def phase_started(self, phase: Phase) -> None:
        """A phase begins."""

    def progressed(self, phase: Phase, epoch: int, step: int) -> None:
        """`step` steps of `epoch` are done. Called a few times a second, not at every step."""

    def epoch_ended(self, phase: Phase, epoch: int, values: Mapping[str, float]) -> None:
        """An epoch is over; `values` are its metrics by name."""

    def training_stopped(self, phase: Phase, ending: Ending) -> None:
        """Early stopping ended a train phase before its last epoch, or put back earlier weights."""

    def phase_skipped(self, phase: Phase, reason: str) -> None:
        """A phase is not run, because of a condition on what was measured before."""

    def phase_ended(self, phase: Phase, seconds: float, values: Mapping[str, float]) -> None:
        """A phase is over; `values` are its last metrics by name."""

    def run_ended(self, status: Status, message: str | None) -> None:
        """The run is over and everything is on disk; `message` says why it did not complete."""


def values_text(values: Mapping[str, float]) -> list[str]:
    """Each metric with four significant digits."""
    return [f"{name} {value:.4g}" for name, value in values.items()]


class Silent:
    """Shows nothing."""

    def run_started(self, plan: Plan, run_id: str, folder: Path) -> None: ...
    def resumed(self, place: str) -> None: ...
    def warned(self, warning: Diagnostic) -> None: ...
    def phase_started(self, phase: Phase) -> None: ...
    def progressed(self, phase: Phase, epoch: int, step: int) -> None: ...
    def epoch_ended(self, phase: Phase, epoch: int, values: Mapping[str, float]) -> None: ...
    def training_stopped(self, phase: Phase, ending: Ending) -> None: ...
    def phase_skipped(self, phase: Phase, reason: str) -> None: ...
    def phase_ended(self, phase: Phase, seconds: float, values: Mapping[str, float]) -> None: ...
    def run_ended(self, status: Status, message: str | None) -> None: ...
