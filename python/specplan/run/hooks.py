"""What a program has called at the boundaries of a run, its groups, phases, epochs and batches."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

import msgspec

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from contextlib import AbstractContextManager

    from specplan.plan.model import Phase
    from specplan.run.context import Context
    from specplan.run.program import Program, Registers


class PhaseHooks(msgspec.Struct, frozen=True, kw_only=True):
    """What is called inside one phase, in order. A boundary for which there is nothing costs nothing.

    A start comes before anything of it is done, an end when all of it is recorded. What a hook raises
    ends the run.

    Attributes:
        started: before the phase computes or draws anything.
        compiled: with each program of the phase, which can still be asked for registers.
        epoch_started: of a train phase, with the number of the epoch.
        epoch_ended: with the metrics of the epoch so far; returns those that the hook adds, which early
            stopping sees too.
        batch_started: with epoch, batch, and the registers, of which those of the columns have the batch.
        batch_ended: with epoch, batch and registers, after the optimizer's step.
        ended: after the last epoch, with the state that the phase leaves behind; returns metrics to add.
        failed: with the exception that ends the phase, which then goes on.
        states: what has to be kept to go on in another process, by label; None where nothing is told.
        resumed: with what `states` gave in the process before, after `started`.
    """

    started: tuple[Callable[[], None], ...] = ()
    compiled: tuple[Callable[[Program], None], ...] = ()
    epoch_started: tuple[Callable[[int], None], ...] = ()
    epoch_ended: tuple[Callable[[int, Mapping[str, float]], Mapping[str, float]], ...] = ()
    batch_started: tuple[Callable[[int, int, Registers], None], ...] = ()
    batch_ended: tuple[Callable[[int, int, Registers], None], ...] = ()
    ended: tuple[Callable[[Mapping[str, float]], Mapping[str, float]], ...] = ()
    failed: tuple[Callable[[BaseException], None], ...] = ()
    states: tuple[Callable[[], Mapping[str, dict[str, Any] | None]], ...] = ()
    resumed: tuple[Callable[[Mapping[str, dict[str, Any] | None]], None], ...] = ()


class Hooks(msgspec.Struct, frozen=True, kw_only=True):
    """What is called at the boundaries of a run, in order, by the thread that runs the plan.

    What a hook raises ends the run.

    Attributes:
        run_started: the run folder exists, and no phase has begun.
        run_ended: every phase is over and its records are on file; the run may still fail.
        group_started: with the path of a group, before its first phase, from the outside in. It is
            called for a group whose phases are all skipped, too.
        group_ended: after its last phase, from the inside out.
        phase_started: a phase begins. It is not called for one that is skipped.
        phase_ended: a phase is over, and its table is written.
        inside: makes what is called inside a phase.
        states: what has to be kept to go on in another process, by name.
        resumed: with what `states` gave in the process before, ahead of `run_started`.
    """

    run_started: tuple[Callable[[Context], None], ...] = ()
    run_ended: tuple[Callable[[Context], None], ...] = ()
    group_started: tuple[Callable[[str, Context], None], ...] = ()
    group_ended: tuple[Callable[[str, Context], None], ...] = ()
    phase_started: tuple[Callable[[Phase, Context], None], ...] = ()
    phase_ended: tuple[Callable[[Phase, Context], None], ...] = ()
    inside: tuple[Callable[[Phase, Context], PhaseHooks], ...] = ()
    states: tuple[Callable[[], Mapping[str, dict[str, Any]]], ...] = ()
    resumed: tuple[Callable[[Mapping[str, dict[str, Any]]], None], ...] = ()

    def of(self, phase: Phase, context: Context) -> PhaseHooks:
        """What is called inside a phase."""
        return joined_inside([make(phase, context) for make in self.inside])


NO_HOOKS = Hooks()


class Subjects(msgspec.Struct, frozen=True, kw_only=True, eq=False):
    """What callbacks are given of the program that runs the plan; a plan alone has no experiment.

    Attributes:
        entries: phases and groups of the program, by the path that they have in the plan.
        results_of: the results of a phase or group, read from the run that is going on.
        called: opens the experiment that a function of a call phase has as `helper.xp`, until its end.
    """

    experiment: Any = None
    entries: Mapping[str, Any] = {}
    results_of: Callable[[str, Context], object] | None = None
    called: Callable[[Context], AbstractContextManager[Any]] | None = None


Kind = TypeVar("Kind", Hooks, PhaseHooks)


def joined(hooks: Iterable[Hooks]) -> Hooks:
    """All of them, each boundary in their order."""
    return _joined(Hooks, list(hooks))


def joined_inside(hooks: Iterable[PhaseHooks]) -> PhaseHooks:
    """All of them, each boundary in their order."""
    return _joined(PhaseHooks, list(hooks))


def entered(phases: Sequence[Phase], position: int) -> list[str]:
    """Paths of the groups that begin with a phase, from the outside in."""
    before = _groups(phases[position - 1]) if position else []
    return [group for group in _groups(phases[position]) if group not in before]


def left(phases: Sequence[Phase], position: int) -> list[str]:
    """Paths of the groups that end with a phase, from the inside out."""
    after = _groups(phases[position + 1]) if position + 1 < len(phases) else []
    return [group for group in reversed(_groups(phases[position])) if group not in after]


def _groups(phase: Phase) -> list[str]:
    labels = phase.path.split(".")
    return [".".join(labels[:depth]) for depth in range(1, len(labels))]


def _joined(kind: type[Kind], hooks: Sequence[Kind]) -> Kind:
    return kind(
        **{
            name: tuple(function for each in hooks for function in getattr(each, name))
            for name in kind.__struct_fields__
        }
    )
