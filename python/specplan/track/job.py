"""One job: the plan that it is, where its runs are, and how it stands."""

from __future__ import annotations

import enum
import inspect
import socket
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from specplan.base.redaction import redacted
from specplan.code.source import FILES
from specplan.plan.compile import compile_mapping, compile_path
from specplan.results.jobs import JobState
from specplan.results.locate import runs_of
from specplan.results.open import Run
from specplan.results.status import read_run_file, status_now
from specplan.spec.composition import Composition
from specplan.store.run_file import Status

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from specplan.plan.model import Compiled
    from specplan.results.jobs import JobFailure
    from specplan.store.run_file import RunFile

_SHOWN_DIGITS = 8


class TransientMode(enum.StrEnum):
    """Whether a job is run for its own sake, or only where another one needs it; and whether its folder stays then."""

    NONE = "none"
    TRANSIENT = "transient"
    REMOVE = "remove"


CAUTION = (TransientMode.NONE, TransientMode.TRANSIENT, TransientMode.REMOVE)
"""Of a job that is submitted twice, the mode that comes first here counts."""


class Job:
    """One unit of work. Its run is the newest one in its folder, `<workdir>/<experiment>/<name>-<id>`.

    Attributes:
        id: that of its plan: the same function with the same params has the same.
        name: the function's, or that of the spec.
        folder: where its runs are; as one of the params of another job it is given as text.
        after: the jobs that have to be done before.
        timeout: seconds that one attempt may take; None for any.
        max_retries: how often it is begun again after a timeout.
        transient: whether it is run only where another one needs it.
        state: how it stands; failure: why it is not done, once it is over.
        attempts: how often it was begun.
    """

    def __init__(
        self,
        compiled: Compiled,
        folder: Path,
        *,
        after: tuple[Job, ...],
        timeout: float | None,
        max_retries: int,
        transient: TransientMode,
    ) -> None:
        self.compiled = compiled
        self.id = compiled.plan.id
        self.name = folder.name.rpartition("-")[0]
        self.folder = folder
        self.after = after
        self.timeout = timeout
        self.max_retries = max_retries
        self.transient = transient
        self.state = JobState.UNSCHEDULED
        self.failure: JobFailure | None = None
        self.attempts = 0
        self._is_over = threading.Event()

    @property
    def run(self) -> Run:
        """The run of the job, for reading.

        Raises:
            RuntimeError: it has not begun.
        """
        newest = self.newest()
        if newest is None:
            raise RuntimeError(f"job `{self.name}` has no run yet")
        return newest

    def newest(self) -> Run | None:
        """Its newest run, if there is one."""
        runs = [*runs_of(self.folder)]
        return Run(runs[-1]) if runs else None

    def wait(self) -> JobState:
        """Wait until the job is over; returns how it stands. One that nobody needs is not waited for."""
        if self.state not in (JobState.UNSCHEDULED, JobState.TRANSIENT):
            self._is_over.wait()
        return self.state

    def become(self, state: JobState, failure: JobFailure | None = None) -> None:
        """Change how it stands."""
        self.state, self.failure = state, failure
        if state.is_over:
            self._is_over.set()

    def is_done(self) -> bool:
        """Whether a run has done what the job is to do."""
        return any(each.status is Status.COMPLETED for each in self._runs())

    def is_run_now(self) -> bool:
        """Whether a process of this host is at it; it may be of an experiment that was killed."""
        here = socket.gethostname()
        return any(
            status_now(each) is Status.RUNNING and each.sessions[-1].host == here
            for each in self._runs()
        )

    def _runs(self) -> list[RunFile]:
        files = (read_run_file(folder) for folder in runs_of(self.folder))
        return [each for each in files if each.plan_id == self.id]

    def __repr__(self) -> str:
        failure = "" if self.failure is None else f", {self.failure}"
        return f"<job {self.folder.name}: {self.state}{failure}>"


def needed_by(params: Mapping[str, Any], after: Iterable[Job]) -> tuple[Job, ...]:
    """The jobs that have to be done before one with these params."""
    return tuple(dict.fromkeys([*after, *_jobs_in(params)]))


def compiled_job(
    work: Any, params: dict[str, Any], tags: Mapping[str, str | None], *, inside: str
) -> Compiled:
    """The plan of a function or spec with plain params, inside of an experiment: its name, and the beginning of its id."""
    if callable(work):
        compiled, name = _of_function(work, params), work.__name__
    else:
        overrides = tuple(
            f"{key}={msgspec.json.encode(value).decode()}" for key, value in params.items()
        )
        compiled = compile_path(work, Composition(overrides=overrides))
        name = compiled.plan.experiment.id
    plan = compiled.plan
    experiment = msgspec.structs.replace(
        plan.experiment,
        id=f"{inside}/{name}-{_digits(plan.id)}",
        tags={**plan.experiment.tags, **redacted(tags)},
    )
    return msgspec.structs.replace(
        compiled, plan=msgspec.structs.replace(plan, experiment=experiment)
    )


def with_folders(value: Any) -> Any:
    """Params with the folder of a job where the job was."""
    if isinstance(value, Job):
        return str(value.folder)
    if isinstance(value, Mapping):
        return {key: with_folders(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [with_folders(each) for each in value]
    return value


def _of_function(function: Callable[..., object], params: dict[str, Any]) -> Compiled:
    """The plan of one call. The function is found again by its name in its file or module."""
    if (
        not inspect.isfunction(function)
        or "<" in function.__qualname__
        or "." in function.__qualname__
    ):
        raise ValueError(
            f"{function!r} cannot be a job: it is a function `run(helper, configuration)` that a file "
            "defines at its top"
        )
    file = Path(inspect.getfile(function)).resolve()
    parts = function.__module__.split(".")
    if len(parts) > 1 and parts[0] != FILES:
        folder, place = file.parents[len(parts) - 1], function.__module__
        if file.name == "__init__.py":
            folder = folder.parent
    else:
        folder, place = file.parent, f"./{file.name}"
    return compile_mapping(
        {
            "specplan": 1,
            "experiment": {"id": function.__name__},
            "run": {"dirty_git": "ignore"},
            "plan": [
                {
                    "phase": "call",
                    "label": function.__name__,
                    "use": f"{place}:{function.__name__}",
                    "config": params,
                }
            ],
        },
        folder=folder,
    )


def _jobs_in(value: Any) -> list[Job]:
    if isinstance(value, Job):
        return [value]
    if isinstance(value, Mapping):
        value = [*value.values()]
    if isinstance(value, list | tuple):
        return [job for each in value for job in _jobs_in(each)]
    return []


def _digits(plan_id: str) -> str:
    return plan_id.rpartition(":")[2][:_SHOWN_DIGITS]
