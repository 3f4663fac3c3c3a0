"""Running a plan: from a compiled plan to a run folder."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import msgspec

from specplan.errors import DataError, RunError, SpecplanError, StoreError
from specplan.plan.model import Call
from specplan.plan.own_code import admit, admit_live, live_components
from specplan.plan.verify import verify
from specplan.run.call import prepared
from specplan.run.checkpoints import Checkpoints
from specplan.run.context import Context
from specplan.run.course import Course
from specplan.run.device import device_of
from specplan.run.environment import surroundings_of
from specplan.run.git import check_clean, git_state
from specplan.run.hooks import NO_HOOKS, Hooks, Subjects
from specplan.run.interruption import interruptible
from specplan.run.lifetime import end_run, first_recorder
from specplan.run.located import located, written_at
from specplan.run.numerics import in_force
from specplan.run.outcome import Outcome
from specplan.run.phases import export, run_phases
from specplan.run.rows import check_rows
from specplan.run.scaling import learned_of
from specplan.run.state import State
from specplan.run.system_metrics import sampled
from specplan.run.tables import read_tables
from specplan.run.targets import check_targets
from specplan.spec.model import DirtyGitAction
from specplan.store.run_file import Status
from specplan.store.run_files import create_run

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from specplan.data.table import Table
    from specplan.plan.model import Compiled, Plan
    from specplan.run.display import Display
    from specplan.spec.diagnostics import Diagnostic
    from specplan.store.checkpoints import Checkpoint
    from specplan.store.layout import RunFolder
    from specplan.store.recorder import Recorder
    from specplan.store.run_files import Journal

NO_SUBJECTS = Subjects()


def run_plan(  # noqa: PLR0913 -- what a caller can say of a run
    compiled: Compiled,
    *,
    root: Path,
    display: Display,
    run_id: str | None = None,
    state: State | None = None,
    trust: bool = False,
    elsewhere: Mapping[str, Path] = {},
    hooks: Hooks = NO_HOOKS,
    subjects: Subjects = NO_SUBJECTS,
) -> Outcome:
    """Run every phase of a plan and write a run folder below `root`.

    `state` is that of an earlier outcome, whose weights, estimators and optimizer are gone on with;
    without it everything starts fresh. Data are read and checked before the folder is made, so a
    plan whose data are not there leaves no run behind. The run is called `run_id`, by default after the time. `trust` is the word of the user that the code
    which the plan names may run. `hooks` are called at the boundaries of the run; `subjects` are what
    callbacks of the plan are given of the program. `elsewhere` has folders for parts of the run folder, by
    name, which are links in it.

    Raises:
        CodeError: code of the user that the plan names is missing, changed or not trusted; or an object
            of the program is not bound.
        PlanError: the plan does not hold together, or names what this installation lacks.
        DirtyGitError: the repository has uncommitted changes, and the plan allows none.
        DataError: a data file is missing, damaged, or not the one that was compiled; or it holds
            values that a node cannot read or a loss cannot judge. It has its place in the spec, where
            that is known.
        RunError: an exception ended the run, which is marked failed; it is the cause. Or there is a run
            of that id.
        PrunedError: a hook ended it, and it is marked stopped.
        StoreError: the records could not be written.
        KeyboardInterrupt, SystemExit: after SIGINT or SIGTERM, at the end of the step; what was
            recorded is on file and the run is marked interrupted.
    """
    verify(compiled.plan)
    git = git_state(compiled.folder, without=[root])
    check_clean(git, compiled.plan.code.dirty_git)

    device = device_of(compiled.plan)
    has_state = state is not None and bool(state.nodes)

    def begin(tables: Mapping[str, Table]) -> Beginning:
        journal = create_run(
            root,
            compiled,
            surroundings_of(git),
            run_id=run_id,
            given_state=has_state,
            learned=learned_of(tables),
            elsewhere=elsewhere,
        )
        return Beginning(journal, first_recorder(journal, compiled.plan.results, device))

    return execute(
        compiled,
        begin,
        display=display,
        state=state,
        trust=trust,
        hooks=hooks,
        subjects=subjects,
        fresh=state is None,
    )


class Beginning(msgspec.Struct, frozen=True):
    """The folder of a run that is about to begin, or to go on.

    Attributes:
        resumed: the checkpoint to go on from, and its folder.
        place: where that is, in words; None for a new run.
    """

    journal: Journal
    recorder: Recorder
    resumed: tuple[Checkpoint, Path] | None = None
    place: str | None = None


def execute(
    compiled: Compiled,
    begin: Callable[[Mapping[str, Table]], Beginning],
    *,
    display: Display,
    state: State | None,
    trust: bool,
    hooks: Hooks,
    subjects: Subjects,
    fresh: bool,
) -> Outcome:
    """Read and check the data of a plan, then `begin`, which makes or opens the folder, then run the phases.

    Objects of the program have to be as they were compiled where the state is `fresh`.

    Raises:
        The errors of `run_plan`, and those of `begin`.
    """
    plan = compiled.plan
    admitted = admit(compiled, trust=trust)
    admit_live(compiled, fresh=fresh)
    live = State() if state is None else state
    if plan.graph.nodes:
        from specplan.run.builder import Builder

        live.builder = Builder(admitted, compiled.live, written_at(compiled))
    tables, warnings = _checked_data(compiled, live)
    with (
        prepared(compiled, trust=trust) as calls,
        in_force(plan.numerics),
        interruptible() as interruption,
    ):
        live.move(device_of(plan))
        live.add_nodes(plan)
        beginning = begin(tables)
        journal = beginning.journal
        shared: dict[str, Any] = {
            "plan": plan,
            "tables": tables,
            "state": live,
            "recorder": beginning.recorder,
            "journal": journal,
            "display": display,
            "interruption": interruption,
            "hooks": hooks,
        }
        checkpoints = Checkpoints(**shared, course=Course(plan, live))
        context = Context(**shared, checkpoints=checkpoints, calls=calls, subjects=subjects)
        display.run_started(plan, journal.run_file.run_id, journal.folder.path)
        if beginning.place is not None:
            display.resumed(beginning.place)
        for warning in warnings:
            display.warned(warning)
        _run_to_end(context, beginning)
    return Outcome(folder=journal.folder, run_file=journal.run_file, state=live)


def _checked_data(
    compiled: Compiled, state: State
) -> tuple[Mapping[str, Table], tuple[Diagnostic, ...]]:
    """The tables of a plan, and what is odd in their rows but not wrong."""
    try:
        tables = read_tables(compiled, state)
        check_targets(compiled.plan, tables)
        return tables, check_rows(compiled, tables)
    except DataError as error:
        raise located(error, compiled) from error


def check_plan(compiled: Compiled, *, root: Path, trust: bool = False) -> None:
    """Check all that `run_plan` checks before it makes a folder, but data. A dirty repository is a warning.

    Raises:
        The same errors, but DirtyGitError.
    """
    verify(compiled.plan)
    action = compiled.plan.code.dirty_git
    warn = DirtyGitAction.WARN if action is DirtyGitAction.ERROR else action
    check_clean(git_state(compiled.folder, without=[root]), warn)
    device_of(compiled.plan)
    with prepared(compiled, trust=trust):
        pass


def prepare_run(compiled: Compiled, *, root: Path, trust: bool = False) -> RunFolder:
    """Make the folder of a run that nothing is called in: its status is `created`.

    Raises:
        The same errors as `run_plan` before it makes a folder.
    """
    verify(compiled.plan)
    git = git_state(compiled.folder, without=[root])
    check_clean(git, compiled.plan.code.dirty_git)
    with prepared(compiled, trust=trust):
        pass
    journal = create_run(root, compiled, surroundings_of(git))
    end_run(journal, Status.CREATED)
    return journal.folder


def _run_to_end(context: Context, beginning: Beginning) -> None:
    """Run the phases; whatever happens, close the records and say in run.json how it ended."""
    try:
        _go_through(context, beginning)
    except BaseException as exception:
        _end(context, exception)
        is_asked = isinstance(exception, KeyboardInterrupt | SystemExit)
        if is_asked and context.interruption.requested is not None and _can_be_resumed(context):
            raise context.interruption.stopped() from exception
        if isinstance(exception, Exception) and not isinstance(exception, SpecplanError):
            raise RunError(_told(context, exception)) from exception
        raise
    _end(context, None)


def _go_through(context: Context, beginning: Beginning) -> None:
    first, is_open = 0, False
    if beginning.resumed is not None:
        checkpoint, folder = beginning.resumed
        context.checkpoints.resume(checkpoint, folder)
        first, is_open = checkpoint.phase, checkpoint.is_open
    seconds = context.plan.results.system_metrics_seconds
    with sampled(context.recorder, context.journal.folder.path, seconds):
        for run_started in context.hooks.run_started:
            run_started(context)
        run_phases(context, first, is_open=is_open)
        context.recorder.sync()
        for run_ended in context.hooks.run_ended:
            run_ended(context)


def _end(context: Context, error: BaseException | None) -> None:
    """Close the records, write the tables of what is recorded, and say how the run ended."""
    journal, recorder = context.journal, context.recorder
    open_phases = (phase for phase in context.plan.phases if journal.is_open(phase.path))
    status = Status.after(error)
    try:
        end_run(
            journal,
            status,
            error,
            writes=[
                recorder.close,
                recorder.export_metrics,
                *(partial(export, phase, context) for phase in open_phases),
            ],
            statistics=lambda: recorder.statistics() | context.checkpoints.statistics(),
        )
    except StoreError as broken:
        context.display.run_ended(Status.FAILED, str(broken))
        raise
    context.display.run_ended(status, None if error is None else _told(context, error))


def _told(context: Context, error: BaseException) -> str:
    """What ended a run, and in which phase."""
    phases = context.journal.run_file.phases
    where = f"phase `{phases[-1].path}`: " if phases else ""
    if isinstance(error, KeyboardInterrupt | SystemExit):
        return f"{where}interrupted"
    if isinstance(error, SpecplanError):
        return str(error)
    return f"{where}{type(error).__name__}: {error}"


def _can_be_resumed(context: Context) -> bool:
    """Whether `mlx resume` needs nothing but the folder, and nothing that was done is done again by user's code."""
    plan = context.plan
    in_call = any(
        isinstance(phase, Call) and context.journal.is_interrupted(phase.path)
        for phase in plan.phases
    )
    given_state = context.journal.run_file.given_state
    return is_portable(plan) and not in_call and (context.checkpoints.exist() or not given_state)


def is_portable(plan: Plan) -> bool:
    """Whether a plan runs without objects of the program that compiled it."""
    sources = (data.source.use for data in plan.data.values())
    return not live_components(plan) and "memory" not in sources
