"""What `mlx sweep` shows while its runs go on. All of it is on stderr."""

from __future__ import annotations

import contextlib
import sys
from typing import TYPE_CHECKING, Any, TextIO

from specplan.base.amounts import count
from specplan.spec.wording import as_json
from specplan.sweep.messages import steps_of

if TYPE_CHECKING:
    from rich.progress import TaskID

    from specplan.plan.model import Compiled
    from specplan.store.run_file import Status
    from specplan.store.sweep_file import SweepPoint
    from specplan.sweep.engine import View
    from specplan.sweep.folder import SweepFolder


def choose_view(*, quiet: bool) -> View:
    """A bar for each run on a terminal, a line when a run begins and ends elsewhere, nothing when `quiet`."""
    if quiet or sys.stderr is None:
        return Quiet()
    return Bars() if sys.stderr.isatty() else Lines(sys.stderr)


def cell(value: Any) -> str:
    """A value of a point: a number in short, a text as it is, anything else as JSON."""
    if isinstance(value, float):
        return f"{value:.6g}"
    return value if isinstance(value, str) else as_json(value)


def point_text(point: SweepPoint) -> str:
    """The values of a point, by the last part of each place where that tells them apart."""
    names = [address.rpartition(".")[2] for address in point.values]
    short = names if len(set(names)) == len(names) else list(point.values)
    values = zip(short, point.values.values(), strict=True)
    return ", ".join(f"{name}={cell(value)}" for name, value in values)


class Quiet:
    """Shows nothing."""

    def sweep_began(self, folder: SweepFolder, runs: int) -> None: ...
    def run_known(self, point: SweepPoint, status: Status, value: float | None) -> None: ...
    def run_began(self, point: SweepPoint, compiled: Compiled, *, goes_on: bool) -> None: ...
    def run_progressed(self, point: SweepPoint, done: int, text: str) -> None: ...
    def run_ended(
        self, point: SweepPoint, status: Status, value: float | None, message: str | None
    ) -> None: ...
    def stopping(self) -> None: ...
    def close(self) -> None: ...


class Lines(Quiet):
    """A line for each event, but not for how far a run is."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._runs = 0
        self._metric: str | None = None
        self._known = 0

    def sweep_began(self, folder: SweepFolder, runs: int) -> None:
        self._runs, self._metric = runs, folder.file.metric
        self._write(f"sweep {folder.path.parent.name}/{folder.path.name}: {count(runs, 'run')}")

    def run_known(self, point: SweepPoint, status: Status, value: float | None) -> None:
        self._write(self._line(point, f"is {status} already", value))

    def run_began(self, point: SweepPoint, compiled: Compiled, *, goes_on: bool) -> None:
        del compiled
        self._write(self._line(point, "goes on" if goes_on else "began"))

    def run_ended(
        self, point: SweepPoint, status: Status, value: float | None, message: str | None
    ) -> None:
        said = f"{status}: {message}" if message else str(status)
        self._write(self._line(point, said, value))

    def stopping(self) -> None:
        self._write("the runs end where they can be gone on with; once more ends them at once")

    def _line(self, point: SweepPoint, said: str, value: float | None = None) -> str:
        measured = "" if value is None else f"  {self._metric} {value:.4g}"
        return (
            f"[{point.index + 1}/{self._runs}] {point.run}  {point_text(point)}: {said}{measured}"
        )

    def _write(self, line: str) -> None:
        # Nobody may read any more. The runs are worth more than their lines.
        with contextlib.suppress(OSError):
            self._stream.write(line + "\n")
            self._stream.flush()


class Bars(Lines):
    """Lines for what is over, and below them a bar for all runs and one for each that goes on."""

    def __init__(self) -> None:
        from rich.console import Console

        from specplan.objects.progress import rich_bars

        super().__init__(sys.stderr)
        self._console = Console(stderr=True, highlight=False)
        self._bars = rich_bars(self._console)
        self._all: TaskID | None = None
        self._tasks: dict[int, TaskID] = {}

    def sweep_began(self, folder: SweepFolder, runs: int) -> None:
        super().sweep_began(folder, runs)
        self._all = self._bars.add_task("runs", total=runs, said="")
        self._bars.start()

    def run_known(self, point: SweepPoint, status: Status, value: float | None) -> None:
        super().run_known(point, status, value)
        self._one_more()

    def run_began(self, point: SweepPoint, compiled: Compiled, *, goes_on: bool) -> None:
        del goes_on
        total = sum(steps_of(phase) for phase in compiled.plan.phases)
        self._tasks[point.index] = self._bars.add_task(point_text(point), total=total, said="")

    def run_progressed(self, point: SweepPoint, done: int, text: str) -> None:
        if point.index in self._tasks:
            self._bars.update(self._tasks[point.index], completed=done, said=text)

    def run_ended(
        self, point: SweepPoint, status: Status, value: float | None, message: str | None
    ) -> None:
        super().run_ended(point, status, value, message)
        if point.index in self._tasks:
            self._bars.remove_task(self._tasks.pop(point.index))
        self._one_more()

    def close(self) -> None:
        self._bars.stop()

    def _one_more(self) -> None:
        if self._all is not None:
            self._bars.advance(self._all)

    def _write(self, line: str) -> None:
        from rich.text import Text

        self._console.print(Text(line))
