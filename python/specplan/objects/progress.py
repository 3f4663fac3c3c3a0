"""Progress bars while a Python program runs phases."""

# ruff: noqa: ARG002 -- the protocol says what each method is given

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, TypedDict

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.table import Column

from specplan.plan.model import Train
from specplan.run.display import values_text
from specplan.spec.wording import choices

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from rich.progress import TaskID

    from specplan.plan.model import Phase, Plan
    from specplan.run.display import Display
    from specplan.run.early_stopping import Ending
    from specplan.spec.diagnostics import Diagnostic
    from specplan.store.run_file import Status


def rich_bars(console: Console, *, transient: bool = False) -> Progress:
    """Bars with how much is done, the time, and what is `said` of each."""
    # What is said is cut to what is left of a line. Otherwise it takes the room of the bars and the counts.
    rest = Column(ratio=1, no_wrap=True, overflow="ellipsis")
    name = Column(max_width=console.width // 3, no_wrap=True, overflow="ellipsis")
    return Progress(
        TextColumn("{task.description}", markup=False, table_column=name),
        BarColumn(bar_width=24),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[said]}", markup=False, table_column=rest),
        console=console,
        expand=True,
        refresh_per_second=8,
        transient=transient,
    )


class DisplayOptions(TypedDict, total=False):
    """What is shown on a terminal or in a notebook; elsewhere nothing is."""

    show_sampler_progress: bool
    """Accepted as documented; batches are drawn one by one, so there is nothing to show."""
    show_training_progress: bool
    """Bars for the epochs and steps of train phases. Default True."""
    show_eval_progress: bool
    """A bar for eval and fit phases. Default False."""
    persist_progress: bool | None
    """Whether bars stay when a phase is over. Default: in a notebook."""
    persist_epoch_progress: bool | None
    """Whether the bar of each epoch stays. Default: in a notebook."""


def check_options(options: Mapping[str, object]) -> None:
    """Raise TypeError for an option that there is not."""
    known = DisplayOptions.__annotations__
    for name in options:
        if name not in known:
            raise TypeError(f"there is no display option `{name}`; known: {choices(name, known)}")


class Watched:
    """Passes everything on to bars, if there are any, and remembers the folder."""

    def __init__(self, options: DisplayOptions) -> None:
        self.folder: Path | None = None
        console = Console(stderr=True)
        in_notebook = console.is_jupyter
        shown = console.is_terminal or in_notebook
        persist = options.get("persist_progress")
        persist_epochs = options.get("persist_epoch_progress")
        self._train = shown and options.get("show_training_progress", True)
        self._others = shown and options.get("show_eval_progress", False)
        self._bars = Bars(
            console,
            persist=in_notebook if persist is None else persist,
            persist_epochs=in_notebook if persist_epochs is None else persist_epochs,
        )

    def run_started(self, plan: Plan, run_id: str, folder: Path) -> None:
        """Remember the folder, and how many phases each group will show."""
        self.folder = folder
        self._bars.expect(plan.experiment.id, [each for each in plan.phases if self._shows(each)])

    def resumed(self, place: str) -> None:
        """Bars begin where the run goes on; there is nothing to add."""

    def warned(self, warning: Diagnostic) -> None:
        """Warn as Python does: a program may turn it into an error."""
        warnings.warn(str(warning), stacklevel=2)

    def phase_started(self, phase: Phase) -> None:
        """Put up the bars of the phase and of the groups around it."""
        if self._shows(phase):
            self._bars.begin(phase)

    def progressed(self, phase: Phase, epoch: int, step: int) -> None:
        """Move the bar of the steps."""
        if self._shows(phase):
            self._bars.step(phase, epoch, step)

    def epoch_ended(self, phase: Phase, epoch: int, values: Mapping[str, float]) -> None:
        """Move the bar of the epochs and show their metrics."""
        if self._shows(phase):
            self._bars.epoch(phase, epoch, values)

    def training_stopped(self, phase: Phase, ending: Ending) -> None:
        """Say it above the bars."""
        if self._shows(phase):
            self._bars.say(f"{phase.path}: {ending}")

    def phase_skipped(self, phase: Phase, reason: str) -> None:
        """Count it: the history has the reason."""
        if self._shows(phase):
            self._bars.count(phase)

    def phase_ended(self, phase: Phase, seconds: float, values: Mapping[str, float]) -> None:
        """End the bars of the phase."""
        if self._shows(phase):
            self._bars.end(phase, values)

    def run_ended(self, status: Status, message: str | None) -> None:
        """Take the bars down."""
        self._bars.stop()

    def _shows(self, phase: Phase) -> bool:
        return self._train if isinstance(phase, Train) else self._others


class Bars:
    """Bars of the groups, of the phase that runs and of its steps, one below the other."""

    def __init__(self, console: Console, *, persist: bool, persist_epochs: bool) -> None:
        self._persist = persist
        self._persist_epochs = persist_epochs
        self._console = console
        self._bars: Progress | None = None
        self._totals: dict[str, int] = {}
        self._root = ""
        self._groups: dict[str, TaskID] = {}
        self._phase: TaskID | None = None
        self._steps: TaskID | None = None

    def expect(self, name: str, phases: Sequence[Phase]) -> None:
        """The phases that will be shown; `name` is that of all of them."""
        self._root = name
        for phase in phases:
            for group in _groups(phase):
                self._totals[group] = self._totals.get(group, 0) + 1

    def begin(self, phase: Phase) -> None:
        """A phase begins."""
        if self._bars is None:
            self._bars = rich_bars(self._console, transient=not self._persist)
            self._bars.start()
        around = self._around(phase)
        for depth, group in enumerate(around):
            if group not in self._groups:
                name = group.rpartition(".")[2] or self._root
                self._groups[group] = self._add(depth, name, self._totals[group])
        label = phase.path.rpartition(".")[2]
        if isinstance(phase, Train):
            self._phase = self._add(len(around), f"{label}: epochs", phase.epochs)
        else:
            self._phase = self._add(len(around), label, phase.steps)

    def step(self, phase: Phase, epoch: int, step: int) -> None:
        """Some steps of an epoch are done."""
        if not isinstance(phase, Train):
            self._move(self._phase, step)
            return
        if self._steps is None:
            self._steps = self._add(len(self._around(phase)) + 1, f"epoch {epoch}", phase.steps)
        self._move(self._steps, step)

    def epoch(self, phase: Train | Phase, epoch: int, values: Mapping[str, float]) -> None:
        """An epoch is over."""
        self._move(self._phase, epoch + 1, values)
        if self._persist_epochs and self._steps is None:
            self.step(phase, epoch, phase.steps)
        self._move(self._steps, phase.steps, values)
        if not self._persist_epochs:
            self._remove(self._steps)
        self._steps = None

    def end(self, phase: Phase, values: Mapping[str, float]) -> None:
        """A phase is over."""
        if not isinstance(phase, Train):
            self._move(self._phase, phase.steps, values)
        if self._bars is not None and self._phase is not None:
            self._bars.stop_task(self._phase)
        if not self._persist:
            self._remove(self._phase)
        self._phase = None
        self.count(phase)

    def count(self, phase: Phase) -> None:
        """A phase of each of its groups is done."""
        if self._bars is not None:
            for group in self._around(phase):
                if group in self._groups:
                    self._bars.advance(self._groups[group])

    def say(self, line: str) -> None:
        """A line above the bars."""
        if self._bars is not None:
            self._bars.console.print(line, markup=False, highlight=False)

    def stop(self) -> None:
        """Leave the bars as they are, or take them away."""
        if self._bars is not None:
            self._bars.stop()
        self._bars = None

    def _around(self, phase: Phase) -> list[str]:
        """Paths of the groups around a phase that have several, from the outside in."""
        return [group for group in _groups(phase) if self._totals[group] > 1]

    def _add(self, depth: int, name: str, total: int) -> TaskID:
        assert self._bars is not None, "bars are put up with the first phase"
        return self._bars.add_task("  " * depth + name, total=total, said="")

    def _move(
        self, task: TaskID | None, done: int, values: Mapping[str, float] | None = None
    ) -> None:
        if self._bars is not None and task is not None:
            self._bars.update(task, completed=done)
            if values is not None:
                self._bars.update(task, said=_said(values))

    def _remove(self, task: TaskID | None) -> None:
        if self._bars is not None and task is not None:
            self._bars.remove_task(task)


def _groups(phase: Phase) -> list[str]:
    """Paths of the groups around a phase, from the outside in; the first, "", is that of all phases."""
    labels = phase.path.split(".")
    return [".".join(labels[:depth]) for depth in range(len(labels))]


def _said(values: Mapping[str, float]) -> str:
    """The metrics, sums of losses first: the end of a narrow line is cut off."""
    ordered = sorted(values.items(), key=lambda item: not item[0].endswith("_loss"))
    return "  ".join(values_text(dict(ordered)))


if TYPE_CHECKING:
    _: type[Display] = Watched
