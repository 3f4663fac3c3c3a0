"""What a program does at the boundaries of the phases and groups of an experiment."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from specplan.errors import RunError
from specplan.objects.callback_states import given_of, take_up
from specplan.run.callback import Hooked
from specplan.run.dispatch import Override, override
from specplan.run.hooks import Hooks

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from specplan.objects.experiment import Experiment
    from specplan.objects.phase import Phase
    from specplan.objects.phase_group import PhaseGroup
    from specplan.plan import model
    from specplan.run.context import Context
    from specplan.run.hooks import Subjects


class ExperimentCallback(Hooked):
    """Base of what is registered with `Experiment(callbacks=[...])` or `add_callback`.

    Override the hooks that you need, with the parameters that you need: a hook is called with those of
    `experiment`, `phase`, `group`, `exception` and `results` that its own signature names. Other
    arguments are never passed, and what it returns is not looked at. What it raises ends the run.

    Args:
        label: name of the callback; by default that of its class.
        execution_order: callbacks with a lower number are called first.
    """

    def on_experiment_start(self, *, experiment: Experiment) -> None:
        """Before the execution plan begins. `run` only."""

    def on_experiment_end(self, *, experiment: Experiment) -> None:
        """After the execution plan completes. `run` only; the history gets its entry after it."""

    def on_phase_start(self, *, experiment: Experiment, phase: Phase) -> None:
        """Before a phase executes."""

    def on_phase_end(self, *, experiment: Experiment, phase: Phase) -> None:
        """After a phase has completed. Can ask for its `results` too."""

    def on_group_start(self, *, experiment: Experiment, group: PhaseGroup) -> None:
        """Before the first phase of a group executes. It may be called `phase_group` too."""

    def on_group_end(self, *, experiment: Experiment, group: PhaseGroup) -> None:
        """After the last phase of a group has completed. Can ask for its `results` too."""

    def on_exception(
        self, *, experiment: Experiment, phase: Phase | None, exception: BaseException
    ) -> None:
        """Whatever ended the call, which goes on to the caller; `phase` is None outside of one."""


_OFFERED: Mapping[str, tuple[str, ...]] = {
    "on_experiment_start": ("experiment",),
    "on_experiment_end": ("experiment",),
    "on_phase_start": ("experiment", "phase"),
    "on_phase_end": ("experiment", "phase", "results"),
    "on_group_start": ("experiment", "group", "phase_group"),
    "on_group_end": ("experiment", "group", "phase_group", "results"),
    "on_exception": ("experiment", "phase", "exception"),
}


def checked_callback(callback: object) -> ExperimentCallback:
    """The callback.

    Raises:
        TypeError: it is none, or one of its hooks wants what it cannot be given.
    """
    if not isinstance(callback, ExperimentCallback):
        raise TypeError(
            f"a callback of an experiment is an ExperimentCallback, not {type(callback).__name__}"
        )
    for name in _OFFERED:
        _override(callback, name)
    return callback


class ExperimentCallbacks:
    """The callbacks of an experiment during one call.

    Args:
        callbacks: in the order in which they are called.
        subjects: what they are given.
        whole: whether it is the execution plan that is run.
    """

    def __init__(
        self, callbacks: Sequence[ExperimentCallback], subjects: Subjects, *, whole: bool
    ) -> None:
        self.subjects = subjects
        self._callbacks = callbacks
        self._whole = whole
        self._phase: Phase | PhaseGroup | None = None

    def hooks(self) -> Hooks:
        """What the run calls."""
        if not self._callbacks:
            return Hooks()
        return Hooks(
            run_started=self._of_run("on_experiment_start") if self._whole else (),
            run_ended=self._of_run("on_experiment_end") if self._whole else (),
            group_started=self._of_groups("on_group_start"),
            group_ended=self._of_groups("on_group_end"),
            phase_started=(self._enter, *self._of_phases("on_phase_start")),
            phase_ended=(*self._of_phases("on_phase_end"), self._leave),
            states=(lambda: given_of({}, self._callbacks),),
            resumed=(lambda states: take_up(states, {}, self._callbacks),),
        )

    def failed(self, exception: BaseException) -> None:
        """Tell all of them of an exception. What they raise themselves becomes a note of it."""
        given = {"phase": lambda: self._phase, "exception": lambda: exception}
        for each in self._overrides("on_exception"):
            try:
                self._call(each, given)
            except RunError as second:
                exception.add_note(str(second))

    def _of_run(self, name: str) -> tuple[Callable[[Context], None], ...]:
        def hook(each: Override, context: Context) -> None:
            # Of a run that goes on, the start was long ago.
            if name == "on_experiment_end" or context.begins:
                self._call(each, {})

        return tuple(partial(hook, each) for each in self._overrides(name))

    def _of_groups(self, name: str) -> tuple[Callable[[str, Context], None], ...]:
        def hook(each: Override, path: str, context: Context) -> None:
            if group := self.subjects.entries.get(path):
                of_group = {"group": lambda: group, "phase_group": lambda: group}
                self._call(each, {**of_group, "results": lambda: self._results_of(path, context)})

        return tuple(partial(hook, each) for each in self._overrides(name))

    def _of_phases(self, name: str) -> tuple[Callable[[model.Phase, Context], None], ...]:
        def hook(each: Override, phase: model.Phase, context: Context) -> None:
            if known := self.subjects.entries.get(phase.path):
                of_phase = {"phase": lambda: known}
                results = partial(self._results_of, phase.path, context)
                self._call(each, {**of_phase, "results": results})

        return tuple(partial(hook, each) for each in self._overrides(name))

    def _results_of(self, path: str, context: Context) -> object:
        assert self.subjects.results_of is not None
        return self.subjects.results_of(path, context)

    def _enter(self, phase: model.Phase, context: Context) -> None:
        del context
        self._phase = self.subjects.entries.get(phase.path)

    def _leave(self, phase: model.Phase, context: Context) -> None:
        del phase, context
        self._phase = None

    def _call(self, each: Override, given: Mapping[str, Callable[[], object]]) -> None:
        each({"experiment": lambda: self.subjects.experiment, **given})

    def _overrides(self, name: str) -> list[Override]:
        found = [_override(callback, name) for callback in self._callbacks]
        return [each for each in found if each is not None]


def _override(callback: ExperimentCallback, name: str) -> Override | None:
    return override(ExperimentCallback, callback, name, callback.label, _OFFERED[name])
