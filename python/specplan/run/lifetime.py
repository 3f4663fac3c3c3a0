"""The beginning and the end of a run, whoever drives it: a plan or a program."""

from __future__ import annotations

from typing import TYPE_CHECKING

from specplan.errors import StoreError
from specplan.run.device import CPU
from specplan.store.error_log import error_record, write_error_log
from specplan.store.recorder import Recorder
from specplan.store.run_file import ErrorRecord, Status

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from datetime import datetime

    from specplan.plan.model import Results
    from specplan.store.run_files import Journal


def first_recorder(journal: Journal, results: Results, device: str = CPU) -> Recorder:
    """What writes the records of a run that begins.

    Raises:
        StoreError: they cannot be written; the run has failed.
    """
    run_id = journal.run_file.run_id
    try:
        return Recorder(journal.folder, run_id, results=results, device=device)
    except StoreError as error:
        end_run(journal, Status.FAILED, error)
        raise


def end_run(
    journal: Journal,
    status: Status,
    error: BaseException | ErrorRecord | None = None,
    *,
    writes: Iterable[Callable[[], None]] = (),
    statistics: Callable[[], Mapping[str, int]] = dict,
    at: datetime | None = None,
) -> None:
    """Write what is left to write, then say in run.json how the run ended.

    Where something cannot be written, the exception that ended the run has a note of that. Without
    one, that is what ended the run.

    Args:
        journal: of the run.
        status: how it ended.
        error: what ended it, if something did.
        writes: each is called, also where one before it failed.
        statistics: what is counted when they are done.
        at: when it ended; by default now.

    Raises:
        StoreError: something could not be written, and there is no exception to tell; the run has failed,
            unless another program said how it ended.
    """
    broken = _first_failure(writes)
    if broken is not None and isinstance(error, BaseException):
        error.add_note(f"the records could not be closed: {broken}")
        broken = None
    elif broken is not None and error is None:
        status, error = Status.FAILED, broken
    if isinstance(error, BaseException) and status is Status.FAILED:
        write_error_log(journal, error)
    is_told = status is Status.FAILED or not isinstance(error, KeyboardInterrupt | SystemExit)
    said = None if error is None or not is_told else error_record(error)
    journal.ended(status, error=said, statistics=statistics(), at=at)
    if broken is not None:
        raise broken


def _first_failure(writes: Iterable[Callable[[], None]]) -> StoreError | None:
    found: StoreError | None = None
    for write in writes:
        try:
            write()
        except StoreError as error:
            found = found or error
        except OSError as error:
            if found is None:
                found = StoreError(str(error))
                found.__cause__ = error
    return found
