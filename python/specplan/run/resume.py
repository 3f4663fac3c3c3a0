"""Going on with a run that was stopped or killed, in its own folder."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from specplan._native import StoreReader
from specplan.data.table import COMPILE_AGAIN
from specplan.errors import DataError, RunError, StoreError
from specplan.plan.by_feed import tables_of
from specplan.plan.canonical import read_plan
from specplan.plan.own_code import changed_code
from specplan.plan.verify import verify
from specplan.results.status import read_run_file, status_now
from specplan.run.checkpoints import digests_of
from specplan.run.device import device_of
from specplan.run.environment import versions
from specplan.run.git import check_clean, git_state
from specplan.run.hooks import NO_HOOKS, Hooks, Subjects
from specplan.run.located import UNKNOWN
from specplan.run.run import NO_SUBJECTS, Beginning, execute
from specplan.run.surroundings import differences, surroundings
from specplan.spec.diagnostics import Diagnostic
from specplan.spec.wording import quoted
from specplan.store.checkpoints import Checkpoint, CheckpointFolder
from specplan.store.recorder import Recorder
from specplan.store.run_file import Status
from specplan.store.run_files import continue_run, next_session

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from specplan.data.table import Table
    from specplan.plan.model import Compiled, Plan
    from specplan.run.display import Display
    from specplan.run.outcome import Outcome
    from specplan.run.state import State
    from specplan.store.layout import RunFolder
    from specplan.store.run_file import RunFile


def resume_run(  # noqa: PLR0913 -- what a caller can say of a run
    folder: RunFolder,
    *,
    display: Display,
    trust: bool = False,
    allow_changes: bool = False,
    tables: Mapping[str, Mapping[str, NDArray[Any]]] | None = None,
    live: Mapping[str, Any] | None = None,
    state: State | None = None,
    hooks: Hooks = NO_HOOKS,
    subjects: Subjects = NO_SUBJECTS,
) -> Outcome | None:
    """Go on with a run from its newest whole checkpoint, or from its beginning where it has none.

    It ends as it would have without the interruption, bit for bit: what was recorded after the
    checkpoint is hidden and recorded again.

    Args:
        folder: of the run.
        display: told how the run goes.
        trust: the word of the user that the code which the plan names may run.
        allow_changes: go on though versions, threads, code of the user or values of the data are not what they were.
        tables: columns of `memory` sources, by the name under which they are bound.
        live: objects that the plan calls `live:NAME`.
        state: an empty one, which becomes that of the run; by default one of its own.
        hooks: what is called at the boundaries, as in the run that was stopped.
        subjects: what callbacks and functions are given of the program.

    Returns:
        None for a run that is complete: nothing is done.

    Raises:
        RunError: another process runs it; it began with a state that was not stored; or something
            that decides the bits is not what it was. Nothing has been changed then.
        The errors of `run_plan`.
    """
    run_file = read_run_file(folder)
    status = status_now(run_file)
    if status is Status.COMPLETED:
        return None
    if status is Status.RUNNING:
        pid = run_file.sessions[-1].pid
        raise RunError(f"run `{folder.path}` still goes on, as process {pid}")
    compiled = _compiled(folder, run_file, tables or {}, live or {})
    verify(compiled.plan)
    check_clean(git_state(compiled.folder, without=[folder.path]), compiled.plan.code.dirty_git)

    of_code = _code_changes(compiled)
    if of_code and not allow_changes:
        raise RunError(_refusal(folder, of_code))
    compiled = msgspec.structs.replace(compiled, takes_other_code=allow_changes)

    def begin(columns: Mapping[str, Table]) -> Beginning:
        found = _begun_from(folder, run_file, display)
        changes = () if found is None else _changes(found[1], columns, device_of(compiled.plan))
        if changes and not allow_changes:
            raise RunError(_refusal(folder, changes))
        return _begin(folder, run_file, compiled.plan, found, (*of_code, *changes))

    try:
        return execute(
            compiled,
            begin,
            display=display,
            state=state,
            trust=trust,
            hooks=hooks,
            subjects=subjects,
            fresh=True,
        )
    except DataError as error:
        if error.hint != COMPILE_AGAIN:
            raise
        raise _of_other_data(error) from error


def _of_other_data(error: DataError) -> DataError:
    """What a run says of data that are not those that were compiled, with what can be done where it goes on."""
    hint = "put the data back; a run of the data that are there now is a new one: `mlx run` of the spec"
    said = error.diagnostic
    return DataError(
        error.message,
        code=error.code,
        pointer=error.pointer,
        column=error.column,
        hint=hint,
        diagnostic=None if said is None else msgspec.structs.replace(said, hint=hint),
    )


def _compiled(
    folder: RunFolder,
    run_file: RunFile,
    tables: Mapping[str, Mapping[str, NDArray[Any]]],
    live: Mapping[str, Any],
) -> Compiled:
    if not folder.plan_file.is_file():
        raise RunError(f"run `{folder.path}` has no plan.json")
    compiled = read_plan(folder.plan_file)
    if run_file.plan_id not in (compiled.plan.id, compiled.written_id):
        raise RunError(
            f"{folder.plan_file} is not the plan of this run: it is {compiled.plan.id}, "
            f"and run.json says {run_file.plan_id}"
        )
    if not compiled.plan.phases:
        raise RunError(
            f"run `{folder.path}` was written by a program, which can go on with it itself"
        )
    return msgspec.structs.replace(compiled, tables=tables, live=live)


def _begun_from(
    folder: RunFolder, run_file: RunFile, display: Display
) -> tuple[int, Checkpoint] | None:
    """The checkpoint to go on from; None for a run that can begin anew.

    Raises:
        RunError: it cannot, and has none.
    """
    found = _newest(folder, display)
    if found is None and run_file.given_state:
        raise RunError(
            f"run `{folder.path}` has no checkpoint, and began with the weights of another run, "
            "which are not stored"
        )
    return found


def _newest(folder: RunFolder, display: Display) -> tuple[int, Checkpoint] | None:
    """The newest checkpoint that is whole and whose records are there."""
    checkpoints = CheckpointFolder(folder.checkpoints)
    numbers = checkpoints.numbers()
    watermark = StoreReader.open(str(folder.records)).watermark if numbers else 0
    for number in reversed(numbers):
        try:
            checkpoint = checkpoints.read(number)
        except StoreError as error:
            display.warned(_passed_over(number, str(error)))
            continue
        if checkpoint.commit <= watermark:
            return number, checkpoint
        display.warned(_passed_over(number, "records that belong to it are gone"))
    return None


def _changes(checkpoint: Checkpoint, tables: Mapping[str, Table], device: str) -> tuple[str, ...]:
    now = digests_of(tables)
    data = [
        f"FeatureSet `{name}`: other values than then, though the file's header is the same"
        for name, digest in checkpoint.data.items()
        if now.get(name) != digest
    ]
    return (*differences(checkpoint.surroundings, surroundings(device)), *data)


def _code_changes(compiled: Compiled) -> tuple[str, ...]:
    """What changed of the code of the user, one line for each file or module."""
    names: dict[str, list[str]] = {}
    for use in changed_code(compiled):
        place, _, name = use.rpartition(":")
        names.setdefault(place, []).append(name)
    return tuple(
        f"code `{place}`, of {quoted(found)}: other code than when the plan was compiled"
        for place, found in names.items()
    )


def _refusal(folder: RunFolder, changes: tuple[str, ...]) -> str:
    lines = "".join(f"\n  {change}" for change in changes)
    return (
        f"SP805: run `{folder.path}` would not go on with the same bits:{lines}\n"
        "hint: make it as it was, or go on all the same with `--allow-changes`, which run.json tells"
    )


def _begin(
    folder: RunFolder,
    run_file: RunFile,
    plan: Plan,
    found: tuple[int, Checkpoint] | None,
    changes: tuple[str, ...],
) -> Beginning:
    """Take the records, which nobody else can then do, and only then say that the run goes on."""
    number, checkpoint = found or (0, None)
    session = next_session(folder, run_file)
    recorder = Recorder(
        folder,
        run_file.run_id,
        results=plan.results,
        device=device_of(plan),
        session=session,
        rewind_to=0 if checkpoint is None else checkpoint.commit,
    )
    checkpoints = CheckpointFolder(folder.checkpoints)
    checkpoints.clear(after=number)
    journal = continue_run(
        folder,
        msgspec.structs.replace(
            run_file,
            phases=() if checkpoint is None else checkpoint.phases,
            kept_epochs={} if checkpoint is None else checkpoint.kept_epochs,
            statistics={},
        ),
        session=session,
        versions=versions(),
        checkpoint=number or None,
        changes=changes,
        drops=plan.results.on_error == "drop",
    )
    done = {timing.path for timing in journal.run_file.phases if timing.ended_at is not None}
    folder.metrics_table.unlink(missing_ok=True)
    for phase in plan.phases:
        if phase.path not in done:
            for table in tables_of(plan.graph, phase):
                folder.execution_table(table).unlink(missing_ok=True)
    if checkpoint is None:
        return Beginning(journal, recorder, place="its beginning: there is no checkpoint")
    place = _place(plan, checkpoint)
    return Beginning(journal, recorder, (checkpoint, checkpoints.path_of(number)), place)


def _place(plan: Plan, checkpoint: Checkpoint) -> str:
    path = plan.phases[checkpoint.phase].path
    if not checkpoint.is_open:
        return f"the beginning of {path}"
    position = checkpoint.values["position"]
    return f"{path}, epoch {position['epoch']}, step {position['steps']}"


def _passed_over(number: int, reason: str) -> Diagnostic:
    message = f"checkpoint {number} is passed over: {reason}"
    return Diagnostic(code="SP807", message=message, origin=UNKNOWN, severity="warning")
