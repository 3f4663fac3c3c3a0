"""Running the phases of a plan one after the other, with what is called around and inside them."""

from __future__ import annotations

import time
from importlib import import_module
from typing import TYPE_CHECKING, Any

import msgspec

from specplan.plan.by_feed import tables_of
from specplan.plan.model import Call, Eval, Fit, Train
from specplan.plan.streams import seed_of
from specplan.run.hooks import PhaseHooks, entered, joined_inside, left
from specplan.run.numerics import seeded
from specplan.store.run_file import Status

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from specplan.plan.model import Phase
    from specplan.run.context import Context

PHASES: Mapping[type[Phase], str] = {
    Train: "specplan.run.train:train",
    Eval: "specplan.run.evaluate:evaluate",
    Fit: "specplan.run.fit:fit",
    Call: "specplan.run.call:call",
}
"""What runs each kind of phase. Imported with the first of its kind: a call may do without torch."""


def run_phases(context: Context, first: int, *, is_open: bool) -> None:
    """Run the phases from the index `first` on, of which that may be open already."""
    phases, hooks, course = context.plan.phases, context.hooks, context.checkpoints.course
    context.checkpoints.phase_begins(first)
    for position in range(first, len(phases)):
        phase = phases[position]
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
    context.checkpoints.stop_if_asked()
    if not goes_on:
        context.journal.phase_started(phase.path)
    context.display.phase_started(phase)
    for phase_started in () if goes_on else context.hooks.phase_started:
        phase_started(phase, context)
    started = time.perf_counter()
    with seeded(seed_of(context.plan.numerics.seed, f"phase/{phase.path}/global")):
        values = _run_inside(phase, context)
    seconds = time.perf_counter() - started
    context.recorder.sync()
    export(phase, context)
    context.journal.phase_ended(Status.COMPLETED)
    context.display.phase_ended(phase, seconds, values)
    for phase_ended in context.hooks.phase_ended:
        phase_ended(phase, context)
    return values


def _run_inside(phase: Phase, context: Context) -> dict[str, float]:
    """Run a phase and what is called inside it; returns what it leaves measured."""
    inside = joined_inside([_callbacks(phase, context), context.hooks.of(phase, context)])
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


def _callbacks(phase: Phase, context: Context) -> PhaseHooks:
    found: list[PhaseHooks] = []
    rates = None
    if isinstance(phase, Train) and (phase.learning_rate or phase.plateau):
        from specplan.run.learning_rate import Rates

        rates = Rates(phase, context)
        found.append(rates.hooks())
    if phase.callbacks:
        from specplan.run.callbacks import PhaseCallbacks

        found.append(PhaseCallbacks(phase, context).hooks())
    if rates is not None and rates.plateau is not None:
        # After the callbacks, whose metrics it may watch.
        found.append(rates.plateau.hooks())
    return joined_inside(found)


def _interpreter(phase: Phase) -> Callable[[Any, Context], dict[str, float]]:
    module, _, name = PHASES[type(phase)].partition(":")
    function: Callable[[Any, Context], dict[str, float]] = getattr(import_module(module), name)
    return function


def export(phase: Phase, context: Context) -> None:
    """Write the tables of what a phase has recorded."""
    kept_epoch = context.journal.run_file.kept_epoch(phase)
    for table, nodes in tables_of(context.plan.graph, phase).items():
        context.recorder.export_phase(phase.path, table=table, nodes=nodes, kept_epoch=kept_epoch)
