"""What `mlx run` shows while a run goes on. All of it is on stderr."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING, TextIO

from specplan.plan.model import Call, Train
from specplan.run.display import Display, Silent, values_text
from specplan.spec.render import render
from specplan.store.run_file import Status

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from specplan.plan.model import Phase, Plan
    from specplan.run.early_stopping import Ending
    from specplan.spec.diagnostics import Diagnostic

SECONDS_BETWEEN_LINES = 1.0


def choose_display(*, quiet: bool) -> Display:
    """Live progress on a terminal, plain lines elsewhere, nothing when `quiet`."""
    if quiet or sys.stderr is None:
        return Silent()
    if sys.stderr.isatty():
        from specplan.cli.progress import Progress

        return Progress()
    return Lines(sys.stderr)


class Lines:
    """One line for an epoch, but not more than one a second; the first and the last always."""

    def __init__(self, stream: TextIO) -> None:
        self._stream: TextIO | None = stream
        self._last_line = float("-inf")
        self._unwritten: str | None = None
        self._folder: Path | None = None

    def run_started(self, plan: Plan, run_id: str, folder: Path) -> None:
        del plan  # a timestamp may have made the name longer
        self._folder = folder
        self._write(f"run {folder.parent.name}/{run_id} in {folder}")

    def resumed(self, place: str) -> None:
        self._write(f"goes on at {place}")

    def warned(self, warning: Diagnostic) -> None:
        self._write(render(warning))

    def phase_started(self, phase: Phase) -> None:
        self._last_line = float("-inf")
        self._unwritten = None
        self._write(phase_line(phase))

    def progressed(self, phase: Phase, epoch: int, step: int) -> None:
        """Steps are too many for lines."""

    def epoch_ended(self, phase: Phase, epoch: int, values: Mapping[str, float]) -> None:
        line = epoch_line(phase, epoch, values)
        now = time.monotonic()
        if now - self._last_line >= SECONDS_BETWEEN_LINES:
            self._write(line)
            self._last_line = now
            self._unwritten = None
        else:
            self._unwritten = line

    def training_stopped(self, phase: Phase, ending: Ending) -> None:
        self._write_last_epoch()
        self._write(f"{phase.path}: {ending}")

    def phase_skipped(self, phase: Phase, reason: str) -> None:
        self._write(skipped_line(phase, reason))

    def phase_ended(self, phase: Phase, seconds: float, values: Mapping[str, float]) -> None:
        self._write_last_epoch()
        shown = {} if isinstance(phase, Train) else values
        self._write("  ".join([f"{phase.path}: done in {seconds:.1f} s", *values_text(shown)]))

    def run_ended(self, status: Status, message: str | None) -> None:
        del message  # told by who catches the exception
        self._write(end_line(status, self._folder))

    def _write_last_epoch(self) -> None:
        if self._unwritten is not None:
            self._write(self._unwritten)
            self._unwritten = None

    def _write(self, line: str) -> None:
        if self._stream is None:
            return
        try:
            self._stream.write(line + "\n")
            self._stream.flush()
        except OSError:
            # Nobody reads any more, or the disk is full. The run is worth more than its lines.
            self._stream = None


def phase_line(phase: Phase) -> str:
    """What begins: kind, rows and split."""
    if isinstance(phase, Call):
        return f"{phase.path}: call {phase.function.use}"
    kind = str(phase.__struct_config__.tag)
    of = f" of {phase.data}.{phase.split}" if phase.split is not None else f" of {phase.data}"
    length = f", {phase.epochs} epochs of {phase.steps} steps" if isinstance(phase, Train) else ""
    return f"{phase.path}: {kind}, {phase.rows} rows{of}{length}"


def skipped_line(phase: Phase, reason: str) -> str:
    """A phase that is not run, and why."""
    return f"{phase.path}: skipped, {reason}"


def end_line(status: Status, folder: Path | None) -> str:
    """How the run ended, and where to look if it did not complete."""
    if status is Status.COMPLETED:
        return str(status)
    return f"{status}; what was recorded is in {folder}"


def epoch_line(phase: Phase, epoch: int, values: Mapping[str, float]) -> str:
    """An epoch that is over, by the number that it has in the tables, and its metrics."""
    planned = f"/{phase.epochs}" if isinstance(phase, Train) else ""
    return "  ".join(
        [f"{phase.path}: epoch {epoch}, {epoch + 1}{planned} done", *values_text(values)]
    )
