"""What is written of a run that ends before its plan does."""

from __future__ import annotations

from typing import TYPE_CHECKING

from specplan.errors import SpecplanError, StoreError
from specplan.run.phases import export
from specplan.store.error_log import error_record, write_error_log
from specplan.store.run_file import Status

if TYPE_CHECKING:
    from specplan.run.context import Context


def end_early(context: Context, status: Status, exception: BaseException) -> None:
    """Close the records, write the tables of what is recorded, and say in run.json what ended the run."""
    statistics: dict[str, int] = {}
    try:
        try:
            context.recorder.close()
        finally:
            statistics = context.recorder.statistics() | context.checkpoints.statistics()
        context.recorder.export_metrics()
        for phase in context.plan.phases:
            if context.journal.is_open(phase.path):
                export(phase, context)
    except (StoreError, OSError) as second:
        # The first exception is the one to report; a store that is broken may be its very reason.
        exception.add_note(f"the records could not be closed: {second}")
    error = None
    if not isinstance(exception, KeyboardInterrupt | SystemExit):
        error = error_record(exception)
    if status is Status.FAILED:
        write_error_log(context.journal, exception)
    context.journal.ended(status, error=error, statistics=statistics)
    context.display.run_ended(status, told(context, exception))


def told(context: Context, exception: BaseException) -> str:
    """What ended a run, and in which phase."""
    phases = context.journal.run_file.phases
    where = f"phase `{phases[-1].path}`: " if phases else ""
    if isinstance(exception, KeyboardInterrupt | SystemExit):
        return f"{where}interrupted"
    if isinstance(exception, SpecplanError):
        return str(exception)
    return f"{where}{type(exception).__name__}: {exception}"
