"""The record of the calls that ran phases."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

import msgspec

from specplan.results.aligned import aligned
from specplan.results.html import html_table

if TYPE_CHECKING:
    from specplan.objects.group_results import PhaseGroupResults
    from specplan.objects.phase_results import PhaseResults
    from specplan.results.open import Run
    from specplan.store.run_file import PhaseTiming, Status

COLUMNS = ("run", "label", "status", "started", "took", "phases")


class ExperimentRun(msgspec.Struct, frozen=True, kw_only=True):
    """One call of `run`, `run_phase` or `run_group`.

    Attributes:
        label: label of the experiment, phase or group that ran.
        started_at: when the call began, in UTC.
        ended_at: when it ended, in UTC.
        status: completed, failed, interrupted, or stopped by a callback.
        results: what it recorded; None where it failed before it could record anything.
        execution_meta: when each phase ran and how it ended, in order.
        metadata: id of the run and of its plan, where there is a run.
        run: the run that was written; None where there is none.
        error: type and message of the exception that ended it.
    """

    label: str
    started_at: datetime
    ended_at: datetime
    status: Status
    results: PhaseResults | PhaseGroupResults | None = None
    execution_meta: tuple[PhaseTiming, ...] = ()
    metadata: dict[str, Any] = {}
    run: Run | None = None
    error: str | None = None

    @property
    def duration_seconds(self) -> float:
        """Seconds from start to end."""
        return (self.ended_at - self.started_at).total_seconds()

    @property
    def phase_durations(self) -> dict[str, float]:
        """Seconds of each phase that ended, by path."""
        return {
            timing.path: timing.seconds
            for timing in self.execution_meta
            if timing.seconds is not None
        }

    def __repr__(self) -> str:
        error = "" if self.error is None else f", error={self.error!r}"
        return (
            f"ExperimentRun(label={self.label!r}, status={self.status.value!r}, "
            f"duration={self.duration_seconds:.3f} s{error})"
        )


class History(list[ExperimentRun]):
    """Calls in the order in which they were made. A copy: changing it changes no experiment."""

    def flatten(self) -> list[ExperimentRun]:
        """One entry for each phase that began, in place of the calls, with its own times and results."""
        from specplan.objects.phase_results import results_of

        return [
            ExperimentRun(
                label=timing.path.rpartition(".")[2],
                started_at=datetime.fromisoformat(timing.started_at),
                ended_at=datetime.fromisoformat(timing.ended_at or timing.started_at),
                status=timing.status,
                results=None if call.run is None else results_of(call.run, timing.path),
                execution_meta=(timing,),
                metadata=call.metadata,
                run=call.run,
                error=call.error if timing.status != "completed" else None,
            )
            for call in self
            for timing in call.execution_meta
        ]

    def __repr__(self) -> str:
        calls = "1 run" if len(self) == 1 else f"{len(self)} runs"
        return "\n".join([f"History: {calls}", *(aligned(*self._shown()) if self else [])])

    def _repr_html_(self) -> str:
        return html_table("", *self._shown())

    def _shown(self) -> tuple[list[str], list[list[str]]]:
        """Headings and rows; what went wrong comes last, and only where something did."""
        errors = [(run.error or "").partition("\n")[0] for run in self]
        if not any(errors):
            return [*COLUMNS], self._rows()
        rows = [[*row, error] for row, error in zip(self._rows(), errors, strict=True)]
        return [*COLUMNS, "error"], rows

    def _rows(self) -> list[list[str]]:
        return [
            [
                str(number),
                run.label,
                run.status.value,
                f"{run.started_at:%Y-%m-%d %H:%M:%S}",
                f"{run.duration_seconds:.2f} s",
                ", ".join(timing.path for timing in run.execution_meta),
            ]
            for number, run in enumerate(self)
        ]
