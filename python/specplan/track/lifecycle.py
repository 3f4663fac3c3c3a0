"""`exp.run`: what begins and ends a run, and what executes the plan of an experiment."""

from __future__ import annotations

import functools
import inspect
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar

from specplan.store.run_file import Status

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

Owner_co = TypeVar("Owner_co", bound="Owner", covariant=True)


class Owner(Protocol):
    """What a controller begins and ends."""

    def begin_run(self) -> None:
        """Begin a run, or its next session."""

    def end_run(self, status: Status, error: BaseException | None) -> None:
        """End the run that was begun."""

    def execute(self, **display: Any) -> Any:
        """Execute the plan of the experiment."""

    @property
    def run_status(self) -> Status:
        """How the newest run stands."""
        ...

    @property
    def prefix(self) -> str | None:
        """What it is called."""
        ...

    def rename(self, prefix: str) -> None:
        """Take another prefix."""


class RunController(Generic[Owner_co]):
    """Begins and ends the run of an experiment.

    `exp.run()` executes the execution plan, `@exp.run` makes a function run inside of a run, and
    `with exp.run as exp:` is a run: completed at its end, failed where an exception leaves it.
    """

    def __init__(self, owner: Owner_co) -> None:
        self._owner = owner
        self._is_open = False

    @property
    def status(self) -> Status:
        """How the newest run stands: running, completed, failed, cancelled, ...; created before the first."""
        return self._owner.run_status

    @property
    def prefix(self) -> str | None:
        """The prefix of the experiment; another can be set before the first run."""
        return self._owner.prefix

    @prefix.setter
    def prefix(self, prefix: str) -> None:
        self._owner.rename(prefix)

    @property
    def is_open(self) -> bool:
        """Whether a run was started and not ended."""
        return self._is_open

    def start(self) -> Owner_co:
        """Begin the run; one that was begun goes on."""
        if not self._is_open:
            self._owner.begin_run()
            self._is_open = True
        return self._owner

    def complete(self) -> None:
        """End the run: it is completed."""
        self._end(Status.COMPLETED)

    def fail(self, error: BaseException | None = None) -> None:
        """End the run: it failed."""
        self._end(Status.FAILED, error)

    def cancel(self) -> None:
        """End the run: it is cancelled."""
        self._end(Status.CANCELLED)

    def __enter__(self) -> Owner_co:
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
            return self._owner.execute(**display)
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

    def _end(self, status: Status, error: BaseException | None = None) -> None:
        if self._is_open:
            self._is_open = False
            self._owner.end_run(status, error)

    def __repr__(self) -> str:
        return f"<run of {self._owner!r}: {self.status}>"
