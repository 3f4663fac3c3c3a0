"""Entries of a history as plain values, and back."""

from __future__ import annotations

from datetime import datetime  # noqa: TC003 -- msgspec reads annotations
from typing import TYPE_CHECKING, Any, Literal

import msgspec

from specplan.objects.group_results import PhaseGroupResults, group_results_of
from specplan.objects.history import ExperimentRun
from specplan.objects.phase_results import PhaseResults, results_of
from specplan.store.run_file import PhaseTiming, Status  # noqa: TC001 -- msgspec reads annotations

if TYPE_CHECKING:
    from collections.abc import Callable

    from specplan.results.open import Run


class StoredResults(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a call returned: the results of a phase of that path, or of the phases below it."""

    of: Literal["phase", "group"]
    path: str


class StoredRun(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An `ExperimentRun`; `run` is `<experiment>/<run id>`, None where there is none."""

    label: str
    started_at: datetime
    ended_at: datetime
    status: Status
    error: str | None
    phases: tuple[PhaseTiming, ...]
    metadata: dict[str, Any]
    run: str | None
    results: StoredResults | None


def stored_run(entry: ExperimentRun) -> StoredRun:
    """An entry as plain values."""
    return StoredRun(
        label=entry.label,
        started_at=entry.started_at,
        ended_at=entry.ended_at,
        status=entry.status,
        error=entry.error,
        phases=entry.execution_meta,
        metadata=entry.metadata,
        run=None if entry.run is None else f"{entry.run.experiment}/{entry.run.id}",
        results=_stored_results(entry),
    )


def run_from(stored: StoredRun, opened: Callable[[str], Run]) -> ExperimentRun:
    """The entry that was stored; `opened` finds its run."""
    run = None if stored.run is None else opened(stored.run)
    return ExperimentRun(
        label=stored.label,
        started_at=stored.started_at,
        ended_at=stored.ended_at,
        status=stored.status,
        results=None if run is None else _results(stored, run),
        execution_meta=stored.phases,
        metadata=stored.metadata,
        run=run,
        error=stored.error,
    )


def _stored_results(entry: ExperimentRun) -> StoredResults | None:
    match entry.results:
        case PhaseResults(path=path):
            return StoredResults("phase", path)
        case PhaseGroupResults() as results:
            assert entry.run is not None
            # The execution plan has no place of its own in the paths of its phases, a group has.
            whole = group_results_of(entry.run, entry.label)
            is_whole = [name for name, _ in whole.items()] == [name for name, _ in results.items()]
            return StoredResults("group", "" if is_whole else f"{entry.label}.")
    return None


def _results(stored: StoredRun, run: Run) -> PhaseResults | PhaseGroupResults | None:
    if stored.results is None:
        return None
    if stored.results.of == "phase":
        return results_of(run, stored.results.path)
    return group_results_of(run, stored.label, stored.results.path)
