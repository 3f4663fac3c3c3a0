"""Live progress on a terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.console import Console
from rich.text import Text

from specplan.cli.display import end_line, phase_line, skipped_line
from specplan.objects.progress import rich_bars
from specplan.plan.model import Train
from specplan.run.display import values_text
from specplan.spec.render import render

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from rich.progress import TaskID

    from specplan.plan.model import Phase, Plan
    from specplan.run.early_stopping import Ending
    from specplan.spec.diagnostics import Diagnostic
    from specplan.store.run_file import Status


class Progress:
    """One bar for each phase, with its steps and its last metrics."""

    def __init__(self) -> None:
        # rich looks at NO_COLOR and TERM itself.
        self._console = Console(stderr=True, highlight=False)
        self._bars = rich_bars(self._console)
        self._task: TaskID | None = None
        self._folder: Path | None = None

    def run_started(self, plan: Plan, run_id: str, folder: Path) -> None:
        del plan  # a timestamp may have made the name longer
        self._folder = folder
        self._print(f"run {folder.parent.name}/{run_id} in {folder}")
        self._bars.start()

    def resumed(self, place: str) -> None:
        self._print(f"goes on at {place}")

    def warned(self, warning: Diagnostic) -> None:
        self._print(render(warning))

    def phase_started(self, phase: Phase) -> None:
        self._print(phase_line(phase))
        epochs = phase.epochs if isinstance(phase, Train) else 1
        self._task = self._bars.add_task(phase.path, total=epochs * phase.steps, said="")

    def progressed(self, phase: Phase, epoch: int, step: int) -> None:
        if self._task is not None:
            self._bars.update(self._task, completed=epoch * phase.steps + step)

    def epoch_ended(self, phase: Phase, epoch: int, values: Mapping[str, float]) -> None:
        if self._task is not None:
            self._bars.update(
                self._task,
                completed=(epoch + 1) * phase.steps,
                said="  ".join([f"epoch {epoch}", *values_text(values)]),
            )

    def training_stopped(self, phase: Phase, ending: Ending) -> None:
        self._print(f"{phase.path}: {ending}")

    def phase_skipped(self, phase: Phase, reason: str) -> None:
        self._print(skipped_line(phase, reason))

    def phase_ended(self, phase: Phase, seconds: float, values: Mapping[str, float]) -> None:
        del seconds  # the bar counts them itself
        if self._task is None:
            return
        if not isinstance(phase, Train):
            self._bars.update(
                self._task, completed=phase.steps, said="  ".join(values_text(values))
            )
        # An early stop leaves steps undone; the bar ends where the phase did.
        self._bars.update(self._task, total=self._bars.tasks[self._task].completed)
        self._bars.stop_task(self._task)

    def run_ended(self, status: Status, message: str | None) -> None:
        del message  # told by who catches the exception
        self._bars.stop()
        self._print(end_line(status, self._folder))

    def _print(self, line: str) -> None:
        self._console.print(Text(line))
