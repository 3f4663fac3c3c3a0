"""Progress bars while a Python program runs phases."""

# ruff: noqa: ARG002 -- the protocol says what each method is given

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, TypedDict

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Column

from specplan.plan.model import Fit, Train
from specplan.spec.wording import choices

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from rich.progress import TaskID

    from specplan.plan.model import Phase, Plan
    from specplan.run.display import Display
    from specplan.run.early_stopping import Ending
    from specplan.spec.diagnostics import Diagnostic
    from specplan.store.run_file import Status

# Metrics are cut to what is left of a line. Otherwise they take the room of the bars and the counts.
_REST = Column(ratio=1, no_wrap=True, overflow="ellipsis")


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
    """Passes everything on to bars, if there are any, and remembers the folder and what was fitted."""

    def __init__(self, options: DisplayOptions) -> None:
        self.folder: Path | None = None
        self.fitted: set[str] = set()
        console = Console(stderr=True)
        in_notebook = console.is_jupyter
        self._shown = console.is_terminal or in_notebook
        self._train = options.get("show_training_progress", True)
        self._others = options.get("show_eval_progress", False)
        persist = options.get("persist_progress")
        persist_epochs = options.get("persist_epoch_progress")
        self._persist = in_notebook if persist is None else persist
        self._persist_epochs = in_notebook if persist_epochs is None else persist_epochs
        self._console = console
        self._bars: Progress | None = None
        self._epochs: TaskID | None = None
        self._steps: TaskID | None = None

    def run_started(self, plan: Plan, run_id: str, folder: Path) -> None:
        """Remember the folder."""
        self.folder = folder

    def resumed(self, place: str) -> None:
        """Bars begin where the run goes on; there is nothing to add."""

    def warned(self, warning: Diagnostic) -> None:
        """Warn as Python does: a program may turn it into an error."""
        warnings.warn(str(warning), stacklevel=2)

    def phase_started(self, phase: Phase) -> None:
        """Put up the bars of the phase."""
        if not self._shown or not (self._train if isinstance(phase, Train) else self._others):
            return
        self._bars = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn("{task.fields[values]}", table_column=_REST),
            console=self._console,
            expand=True,
            transient=not self._persist,
        )
        self._bars.start()
        if isinstance(phase, Train):
            name, total = f"{phase.path}: epochs", phase.epochs
            self._epochs = self._bars.add_task(name, total=total, values="")
        else:
            self._steps = self._bars.add_task(phase.path, total=phase.steps, values="")

    def progressed(self, phase: Phase, epoch: int, step: int) -> None:
        """Move the bar of the steps."""
        if self._bars is None:
            return
        if self._steps is None:
            self._steps = self._bars.add_task(f"epoch {epoch}", total=phase.steps, values="")
        self._bars.update(self._steps, completed=step)

    def epoch_ended(self, phase: Phase, epoch: int, values: Mapping[str, float]) -> None:
        """Move the bar of the epochs and show their metrics."""
        if self._bars is None:
            return
        said = _said(values)
        if self._epochs is not None:
            self._bars.update(self._epochs, completed=epoch + 1, values=said)
        if self._steps is not None:
            self._bars.update(self._steps, completed=phase.steps, values=said)
            if not self._persist_epochs:
                self._bars.remove_task(self._steps)
            self._steps = None

    def training_stopped(self, phase: Phase, ending: Ending) -> None:
        """Say it above the bars."""
        if self._bars is not None:
            self._bars.console.print(f"{phase.path}: {ending}", markup=False, highlight=False)

    def phase_skipped(self, phase: Phase, reason: str) -> None:
        """Nothing to show: the history has it."""

    def phase_ended(self, phase: Phase, seconds: float, values: Mapping[str, float]) -> None:
        """Remember what was fitted, and take the bars down."""
        if isinstance(phase, Fit):
            self.fitted.update(phase.fitted)
        if self._bars is not None and self._steps is not None:
            self._bars.update(self._steps, completed=phase.steps, values=_said(values))
        self._stop()

    def run_ended(self, status: Status, message: str | None) -> None:
        """Take down the bars of a phase that did not end."""
        self._stop()

    def _stop(self) -> None:
        if self._bars is not None:
            self._bars.stop()
        self._bars = self._epochs = self._steps = None


def _said(values: Mapping[str, float]) -> str:
    return "  ".join(f"{name} {value:.4g}" for name, value in values.items())


if TYPE_CHECKING:
    _: type[Display] = Watched
