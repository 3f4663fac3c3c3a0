"""Running a plan: from a compiled plan to a run folder."""

from __future__ import annotations

import time
from importlib import import_module
from typing import TYPE_CHECKING, Any

import msgspec

from specplan.errors import (
    DataError,
    GracefulTimeout,
    PrunedError,
    RunError,
    SpecplanError,
    StoreError,
)
from specplan.plan.by_feed import tables_of
from specplan.plan.model import Call, Eval, Fit, Train
from specplan.plan.own_code import admit, admit_live, live_components
from specplan.plan.streams import seed_of
from specplan.plan.verify import verify
from specplan.run.call import prepared
from specplan.run.checkpoints import Checkpoints
from specplan.run.context import Context
from specplan.run.course import Course
from specplan.run.device import device_of
from specplan.run.environment import changes_of, environment, versions
from specplan.run.git import check_clean, git_state
from specplan.run.hooks import Hooks, PhaseHooks, Subjects, entered, joined_inside, left
from specplan.run.interruption import interruptible
from specplan.run.located import located, written_at
from specplan.run.numerics import in_force, seeded
from specplan.run.outcome import Outcome
from specplan.run.rows import check_rows
from specplan.run.scaling import learned_of
from specplan.run.state import State
from specplan.run.system_metrics import sampled
from specplan.run.tables import read_tables
from specplan.run.targets import check_targets
from specplan.spec.model import DirtyGitAction
from specplan.store.error_log import error_record, write_error_log
from specplan.store.recorder import Recorder
from specplan.store.run_file import ErrorRecord, Status
from specplan.store.run_files import create_run

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from specplan.data.table import Table
    from specplan.plan.model import Compiled, Phase, Plan
    from specplan.run.display import Display
    from specplan.store.checkpoints import Checkpoint
    from specplan.store.layout import RunFolder
    from specplan.store.run_files import Journal

NO_HOOKS = Hooks()
NO_SUBJECTS = Subjects()

PHASES: Mapping[type[Phase], str] = {
    Train: "specplan.run.train:train",
    Eval: "specplan.run.evaluate:evaluate",
    Fit: "specplan.run.fit:fit",
    Call: "specplan.run.call:call",
}
"""What runs each kind of phase. Imported with the first of its kind: a call may do without torch."""


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
        found = versions()
        journal = create_run(
            root,
            compiled,
            environment=environment(git, found),
            versions=found,
            run_id=run_id,
            changes=changes_of(git),
            given_state=has_state,
            learned=learned_of(tables),
            elsewhere=elsewhere,
        )
        return Beginning(journal, _recorder(journal, compiled.plan, device))

    return execute(
        compiled,
        begin,
        display=display,
        state=state,
        trust=trust,
        hooks=hooks,
        subjects=subjects,
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
) -> Outcome:
    """Read and check the data of a plan, then `begin`, which makes or opens the folder, then run the phases.

    Raises:
        The errors of `run_plan`, and those of `begin`.
    """
    plan = compiled.plan
    admitted = admit(compiled, trust=trust)
    admit_live(compiled, fresh=state is None)
    live = State() if state is None else state
    if plan.graph.nodes:
        from specplan.run.builder import Builder

        live.builder = Builder(admitted, compiled.live, written_at(compiled))
    try:
        tables = read_tables(compiled, live)
        check_targets(plan, tables)
        warnings = check_rows(compiled, tables)
    except DataError as error:
        raise located(error, compiled) from error
    with (
        prepared(compiled, trust=trust) as calls,
        in_force(plan.numerics),
        interruptible() as interruption,
    ):
        live.move(device_of(plan))
        live.add_nodes(plan)
        beginning = begin(tables)
        journal, recorder = beginning.journal, beginning.recorder
        context = Context(
            plan=plan,
            tables=tables,
            state=live,
            recorder=recorder,
            journal=journal,
            display=display,
            interruption=interruption,
            checkpoints=Checkpoints(
                plan=plan,
                tables=tables,
                state=live,
                recorder=recorder,
                journal=journal,
                display=display,
                interruption=interruption,
                course=Course(plan, live),
            ),
            calls=calls,
            hooks=hooks,
            subjects=subjects,
        )
        display.run_started(plan, journal.run_file.run_id, journal.folder.path)
        if beginning.place is not None:
            display.resumed(beginning.place)
        for warning in warnings:
            display.warned(warning)
        _run_to_end(context, beginning)
    return Outcome(folder=journal.folder, run_file=journal.run_file, state=live)


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
    found = versions()
    journal = create_run(
        root,
        compiled,
        environment=environment(git, found),
        versions=found,
        changes=changes_of(git),
    )
    journal.ended(Status.CREATED, error=None, statistics={})
    return journal.folder


def _recorder(journal: Journal, plan: Plan, device: str) -> Recorder:
    run_id = journal.run_file.run_id
    try:
        return Recorder(journal.folder, run_id, results=plan.results, device=device)
    except StoreError as exception:
        error = ErrorRecord(type="StoreError", message=str(exception))
        journal.ended(Status.FAILED, error=error, statistics={})
        raise


def _run_to_end(context: Context, beginning: Beginning) -> None:
    """Run the phases; whatever happens, close the records and say in run.json how it ended."""
    try:
        first, is_open = 0, False
        if beginning.resumed is not None:
            checkpoint, folder = beginning.resumed
            context.checkpoints.resume(checkpoint, folder)
            first, is_open = checkpoint.phase, checkpoint.is_open
        seconds = context.plan.results.system_metrics_seconds
        with sampled(context.recorder, context.journal.folder.path, seconds):
            for run_started in context.hooks.run_started:
                run_started(context)
            _run_phases(context, first, is_open=is_open)
            context.recorder.sync()
            for run_ended in context.hooks.run_ended:
                run_ended(context)
        context.recorder.close()
        context.recorder.export_metrics()
    except (KeyboardInterrupt, SystemExit) as exception:
        _end_early(context, Status.INTERRUPTED, exception)
        if context.interruption.requested is not None and _can_be_resumed(context):
            raise context.interruption.stopped() from exception
        raise
    except PrunedError as exception:
        _end_early(context, Status.STOPPED, exception)
        raise
    except GracefulTimeout as exception:
        _end_early(context, Status.INTERRUPTED, exception)
        raise
    except SpecplanError as exception:
        _end_early(context, Status.FAILED, exception)
        raise
    except Exception as exception:
        _end_early(context, Status.FAILED, exception)
        raise RunError(_message(context, exception)) from exception
    statistics = context.recorder.statistics() | context.checkpoints.statistics()
    context.journal.ended(Status.COMPLETED, error=None, statistics=statistics)
    context.display.run_ended(Status.COMPLETED, None)


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


def _run_phases(context: Context, first: int, *, is_open: bool) -> None:
    """Run the phases from the index `first` on, of which that may be open already."""
    phases, hooks, course = context.plan.phases, context.hooks, context.checkpoints.course
    for position in range(first, len(phases)):
        phase = phases[position]
        context.checkpoints.phase_begins(position)
        goes_on = is_open and position == first
        reason = None if goes_on else course.begin(position)
        for path in [] if goes_on else entered(phases, position):
            for group_started in hooks.group_started:
                group_started(path, context)
        if reason is None:
            course.measured(phase, _run_phase(phase, context, goes_on=goes_on))
        else:
            context.journal.phase_skipped(phase.path, reason)
            context.display.phase_skipped(phase, reason)
        course.end(position)
        for path in left(phases, position):
            for group_ended in hooks.group_ended:
                group_ended(path, context)
        context.checkpoints.phase_ended(position)


def _run_phase(phase: Phase, context: Context, *, goes_on: bool) -> dict[str, float]:
    context.interruption.deliver()
    if not goes_on:
        context.journal.phase_started(phase.path)
    context.display.phase_started(phase)
    for phase_started in () if goes_on else context.hooks.phase_started:
        phase_started(phase, context)
    started = time.perf_counter()
    with seeded(seed_of(context.plan.numerics.seed, f"phase/{phase.path}/global")):
        values = _run_inside(phase, context, goes_on=goes_on)
    seconds = time.perf_counter() - started
    context.recorder.sync()
    _export(phase, context)
    context.journal.phase_ended(Status.COMPLETED)
    context.display.phase_ended(phase, seconds, values)
    for phase_ended in context.hooks.phase_ended:
        phase_ended(phase, context)
    return values


def _run_inside(phase: Phase, context: Context, *, goes_on: bool) -> dict[str, float]:
    """Run a phase and what is called inside it; returns what it leaves measured."""
    inside = joined_inside(
        [_callbacks(phase, context, goes_on=goes_on), context.hooks.of(phase, context)]
    )
    context = msgspec.structs.replace(context, inside=inside)
    try:
        for started in inside.started:
            started()
        values = _interpreter(phase)(phase, context)
        for ended in inside.ended:
            values |= ended(values)
    except BaseException as exception:
        for failed in inside.failed:
            failed(exception)
        raise
    return values


def _callbacks(phase: Phase, context: Context, *, goes_on: bool) -> PhaseHooks:
    found: list[PhaseHooks] = []
    rates = None
    if isinstance(phase, Train) and (phase.learning_rate or phase.plateau):
        from specplan.run.learning_rate import Rates

        rates = Rates(phase, context)
        found.append(rates.hooks())
    if phase.callbacks:
        from specplan.run.callbacks import PhaseCallbacks

        found.append(PhaseCallbacks(phase, context, goes_on=goes_on).hooks())
    if rates is not None and rates.plateau is not None:
        # After the callbacks, whose metrics it may watch.
        found.append(rates.plateau.hooks())
    return joined_inside(found)


def _interpreter(phase: Phase) -> Callable[[Any, Context], dict[str, float]]:
    module, _, name = PHASES[type(phase)].partition(":")
    function: Callable[[Any, Context], dict[str, float]] = getattr(import_module(module), name)
    return function


def _export(phase: Phase, context: Context) -> None:
    kept_epoch = context.journal.run_file.kept_epoch(phase)
    for table, nodes in tables_of(context.plan.graph, phase).items():
        context.recorder.export_phase(phase.path, table=table, nodes=nodes, kept_epoch=kept_epoch)


def _end_early(context: Context, status: Status, exception: BaseException) -> None:
    statistics: dict[str, int] = {}
    try:
        try:
            context.recorder.close()
        finally:
            statistics = context.recorder.statistics() | context.checkpoints.statistics()
        context.recorder.export_metrics()
        for phase in context.plan.phases:
            if context.journal.is_open(phase.path):
                _export(phase, context)
    except (StoreError, OSError) as second:
        # The first exception is the one to report; a store that is broken may be its very reason.
        exception.add_note(f"the records could not be closed: {second}")
    error = None
    if not isinstance(exception, KeyboardInterrupt | SystemExit):
        error = error_record(exception)
    if status is Status.FAILED:
        write_error_log(context.journal, exception)
    context.journal.ended(status, error=error, statistics=statistics)
    context.display.run_ended(status, _message(context, exception))


def _message(context: Context, exception: BaseException) -> str:
    phases = context.journal.run_file.phases
    where = f"phase `{phases[-1].path}`: " if phases else ""
    if isinstance(exception, KeyboardInterrupt | SystemExit):
        return f"{where}interrupted"
    if isinstance(exception, SpecplanError):
        return str(exception)
    return f"{where}{type(exception).__name__}: {exception}"
