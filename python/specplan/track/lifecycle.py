"""`exp.run`: what begins and ends a run, and what executes the plan of an experiment."""

from __future__ import annotations

import functools
import inspect
import shutil
import threading
from typing import TYPE_CHECKING, Any

from specplan.results.locate import runs_of
from specplan.store.fields import ABOUT
from specplan.store.layout import experiment_folder
from specplan.store.run_file import Status
from specplan.track.empty_plan import is_of_plan
from specplan.track.executed import PLAN, Executed
from specplan.track.files import Files
from specplan.track.logs import Logs
from specplan.track.metrics import Metrics
from specplan.track.parameters import Parameters
from specplan.track.prefix import RUN
from specplan.track.run import TrackedRun
from specplan.track.tracks import Tracks

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path
    from types import TracebackType

    from specplan.store.layout import RunFolder
    from specplan.track.background import Background
    from specplan.track.destination import Destination
    from specplan.track.tracked import Tracked

_BEGIN = "use `with experiment.run as exp:`, or call `experiment.run.start()`"


class RunController:
    """Begins and ends the run of an experiment.

    `exp.run()` executes the execution plan, `@exp.run` makes a function run inside of a run, and
    `with exp.run as exp:` is a run: completed at its end, failed where an exception leaves it.
    The same name again is the next session of its newest run. Everything may be used from several
    threads, once the run has started.

    Args:
        experiment: whose runs they are.
        destination: where they go.
        execute: executes its plan.

    Attributes:
        logs: the log of the run that is open; so are `params`, `metrics`, `files` and `tracks`.
    """

    def __init__(
        self, experiment: Tracked, destination: Destination, execute: Callable[..., Any]
    ) -> None:
        self._experiment = experiment
        self._execute = execute
        self._destination = destination
        self._begun: TrackedRun | None = None
        self._background: Background | None = None
        self._executing: list[Executed] = []
        self._ended: Status | None = None
        self._lock = threading.Lock()
        self.logs = Logs(self.active)
        self.params = Parameters(self.active)
        self.metrics = Metrics(self.active)
        self.files = Files("", self.active)
        self.tracks = Tracks(self.active)

    @property
    def root(self) -> Path:
        """The folder of all runs."""
        return self._destination.root

    @property
    def status(self) -> Status:
        """How the newest run stands: running, completed, failed, cancelled, ...; created before the first."""
        if (run := self.current) is not None:
            return run.status
        return self._ended or Status.CREATED

    @property
    def prefix(self) -> str | None:
        """The prefix of the experiment; another can be set before the first run."""
        return self._experiment.prefix

    @prefix.setter
    def prefix(self, prefix: str) -> None:
        self._experiment.rename(prefix)

    @property
    def is_open(self) -> bool:
        """Whether a run was started and not ended."""
        return self._begun is not None

    @property
    def current(self) -> TrackedRun | None:
        """The run that was started and not ended; else the one of the plan that is executed. None where none is."""
        if self._begun is not None:
            return self._begun
        executed = self._executing[-1:]  # another thread may close it
        return executed[0].run if executed else None

    def active(self) -> TrackedRun:
        """The run that is written to.

        Raises:
            RuntimeError: there is none.
        """
        if (run := self.current) is None:
            is_new = self._ended is None
            standing = (
                "has not started"
                if is_new
                else f"has no run that goes on, the last is {self._ended}"
            )
            raise RuntimeError(f"the experiment {standing}: {_BEGIN}")
        return run

    def start(self) -> Any:
        """Begin the next session of the newest run of this name, or the first run; returns the experiment.

        One that was begun goes on.

        Raises:
            RunError: the run is damaged, or another process writes it.
        """
        with self._lock:
            if self._begun is None:
                run = self._next()
                try:
                    self._describe(run)
                except BaseException as error:
                    run.end(Status.FAILED, error)
                    raise
                self._begun = run
                self._background = self._destination.follow(run.folder)
        return self._experiment

    def complete(self) -> None:
        """End the run: it is completed."""
        self._end(Status.COMPLETED)

    def fail(self, error: BaseException | None = None) -> None:
        """End the run: it failed."""
        self._end(Status.FAILED, error)

    def cancel(self) -> None:
        """End the run: it is cancelled."""
        self._end(Status.CANCELLED)

    def flush(self) -> None:
        """Wait until everything that was logged is on file, and at the server if that answers."""
        self.active().sync()
        sent = [self._background, *(each.background for each in self._executing)]
        for background in sent:
            if background is not None:
                background.flush()

    def executed(self, *, is_kept: bool) -> Executed:
        """The run of a plan that is about to be executed: what is said of the experiment meanwhile goes into it.

        Args:
            is_kept: whether it is one of the runs of the experiment, and goes where they go.
        """

        def begun(executed: Executed, run: TrackedRun, plan: str | None) -> None:
            self._executing.append(executed)
            self._describe(run, plan)

        def ended(executed: Executed, run: TrackedRun) -> None:
            self._executing.remove(executed)
            if is_kept:
                self._ended = run.status

        return Executed(begun, ended, self._destination if is_kept else None)

    def __enter__(self) -> Any:
        return self.start()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if error is None:
            self.complete()
        else:
            self.fail(error)

    def __call__(self, function: Callable[..., Any] | None = None, /, **display: Any) -> Any:
        """Execute the execution plan; or, with a function, make it run inside of a run.

        Args:
            function: gets the experiment as its first argument, unless it takes none.
            display: which progress is shown.
        """
        if function is None:
            return self._execute(**display)
        if not callable(function):
            raise TypeError(f"run takes a function, not {type(function).__name__}")
        return self._inside(function)

    def _inside(self, function: Callable[..., Any]) -> Callable[..., Any]:
        wants_experiment = bool(inspect.signature(function).parameters)

        @functools.wraps(function)
        def inside(*arguments: Any, **named: Any) -> Any:
            with self as experiment:
                first = (experiment,) if wants_experiment else ()
                return function(*first, *arguments, **named)

        return inside

    def _next(self) -> TrackedRun:
        own = self._experiment
        newest = _newest_run(self.root, own.full_name)
        if newest is None and self._destination.fetch(own.full_name):
            newest = _newest_run(self.root, own.full_name)
        if newest is not None:
            return TrackedRun.go_on(newest)
        return TrackedRun.start(
            self.root, own.full_name, description=own.readme or "", tags=own.tags
        )

    def _describe(self, run: TrackedRun, plan: str | None = None) -> None:
        about = {"bindrs": list(self._experiment.bindrs), "metadata": self._experiment.metadata}
        said = about if plan is None else {**about, PLAN: plan}
        if any(said.values()):
            run.record_document(ABOUT, said)
        if RUN.params:
            Parameters(lambda: run).set(RUN.params)

    def _end(self, status: Status, error: BaseException | None = None) -> None:
        with self._lock:
            run, self._begun = self._begun, None
            background, self._background = self._background, None
            if run is None:
                return
            self._ended = status
            run.end(status, error)
            if self._destination.settle(run.folder, background):
                # What cannot be removed is only found again, and the server has it.
                shutil.rmtree(run.folder.path, ignore_errors=True)

    def __repr__(self) -> str:
        return f"<run of {self._experiment!r}: {self.status}>"


def _newest_run(root: Path, experiment: str) -> RunFolder | None:
    """The newest run of this name that has no phases: those of plans are over when they end."""
    for folder in reversed(list(runs_of(experiment_folder(root, experiment)))):
        if not is_of_plan(folder):
            return folder
    return None
