"""What is written of a run that ends before its plan does."""

from __future__ import annotations

import traceback
from typing import TYPE_CHECKING

from specplan.errors import SpecplanError, StoreError
from specplan.run.phases import export
from specplan.spec.redaction import redacted_lines
from specplan.store.run_file import ErrorRecord, Status

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
    if status is not Status.INTERRUPTED:
        error = ErrorRecord(
            type=type(exception).__qualname__, message=redacted_lines(str(exception))
        )
    if status is Status.FAILED:
        _write_log(context, exception)
    context.journal.ended(status, error=error, statistics=statistics)
    context.display.run_ended(status, told(context, exception))


def _write_log(context: Context, exception: BaseException) -> None:
    context.journal.make_room()
    folder = context.journal.folder
    try:
        folder.logs.mkdir(exist_ok=True)
        text = redacted_lines("".join(traceback.format_exception(exception)))
        folder.error_log.write_text(text, "utf-8")
    except OSError as second:
        exception.add_note(f"the traceback could not be written: {second}")


def told(context: Context, exception: BaseException) -> str:
    """What ended a run, and in which phase."""
    phases = context.journal.run_file.phases
    where = f"phase `{phases[-1].path}`: " if phases else ""
    if isinstance(exception, KeyboardInterrupt | SystemExit):
        return f"{where}interrupted"
    if isinstance(exception, SpecplanError):
        return str(exception)
    return f"{where}{type(exception).__name__}: {exception}"
