"""What is kept of the exception that ended a run: a record in run.json, the traceback in its log. No secrets."""

from __future__ import annotations

import traceback
from typing import TYPE_CHECKING

from specplan.base.redaction import redacted_lines
from specplan.store.run_file import ErrorRecord

if TYPE_CHECKING:
    from specplan.store.run_files import Journal


def error_record(error: BaseException | ErrorRecord) -> ErrorRecord:
    """The kind and the message of an exception, or of one that another program has had."""
    if isinstance(error, ErrorRecord):
        return ErrorRecord(type=error.type, message=redacted_lines(error.message))
    return ErrorRecord(type=type(error).__qualname__, message=redacted_lines(str(error)))


def write_error_log(journal: Journal, error: BaseException) -> None:
    """Write the traceback of an exception, in the room that was kept for the end of the run.

    Where it cannot be written, the exception has a note of that: it is still the one to report.
    """
    journal.make_room()
    folder = journal.folder
    try:
        folder.logs.mkdir(exist_ok=True)
        text = redacted_lines("".join(traceback.format_exception(error)))
        folder.error_log.write_text(text, "utf-8")
    except OSError as second:
        error.add_note(f"the traceback could not be written: {second}")
