"""The record of one call that ran phases."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from specplan.experiment.group_results import PhaseGroupResults
    from specplan.experiment.phase_results import PhaseResults
    from specplan.results.open import Run
    from specplan.store.run_file import Status


class ExperimentRun(msgspec.Struct, frozen=True, kw_only=True):
    """One call of `run`, `run_phase` or `run_group`.

    Attributes:
        label: label of the experiment, phase or group that ran.
        status: completed, failed or interrupted.
        started_at: when the call began, in UTC.
        ended_at: when it ended, in UTC.
        results: what it recorded; None where it failed before it could record anything.
        run: the run that was written; None where there is none.
        error: type and message of the exception that ended it.
    """

    label: str
    status: Status
    started_at: datetime
    ended_at: datetime
    results: PhaseResults | PhaseGroupResults | None = None
    run: Run | None = None
    error: str | None = None

    @property
    def duration_seconds(self) -> float:
        """Seconds from start to end."""
        return (self.ended_at - self.started_at).total_seconds()

    @property
    def phase_durations(self) -> dict[str, float]:
        """Seconds of each phase that ended, by path."""
        phases = () if self.run is None else self.run.phases
        return {
            phase.path: _seconds(phase.started_at, phase.ended_at)
            for phase in phases
            if phase.ended_at is not None
        }

    def __repr__(self) -> str:
        return (
            f"ExperimentRun(label={self.label!r}, status={str(self.status)!r}, "
            f"duration={self.duration_seconds:.3f} s)"
        )


def _seconds(start: str, end: str) -> float:
    return (datetime.fromisoformat(end) - datetime.fromisoformat(start)).total_seconds()
