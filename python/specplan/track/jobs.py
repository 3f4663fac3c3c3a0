"""Jobs of an experiment: functions and specs that run in processes of their own, each once."""

from __future__ import annotations

import inspect
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from specplan.plan.canonical import write_plan
from specplan.plan.compile import compile_mapping, compile_path
from specplan.results.jobs import JobFailure, JobRecord, JobState
from specplan.results.locate import runs_of
from specplan.results.open import Run
from specplan.results.status import read_run_file
from specplan.spec.composition import Composition
from specplan.spec.redaction import redacted
from specplan.store.layout import experiment_folder
from specplan.store.run_file import Status
from specplan.track.plain import plain

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from concurrent.futures import Future

    from specplan.plan.model import Compiled

INSIDE = "SPECPLAN_JOB_OF"
"""The variable of the environment that a job's process has: the folder of its experiment."""
OUTPUT = "output.txt"
PLAN = "job.plan.json"
GRACE_SECONDS = 10.0
"""How long a process that is asked to end may take for it."""
_SHOWN_DIGITS = 8


ENDED = (JobState.DONE, JobState.ERROR)


class Job:
    """One unit of work. Its run is the newest one in its folder, `<workdir>/<experiment>/<name>-<id>`.

    Attributes:
        id: that of its plan: the same function with the same params has the same.
        name: the function's, or that of the spec.
        folder: where its runs are; as one of the params of another job it is given as text.
        after: the jobs that have to be done before.
        timeout: seconds that one attempt may take; None for any.
        max_retries: how often it is begun again after a timeout.
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
    ) -> None:
        self.compiled = compiled
        self.id = compiled.plan.id
        self.name = folder.name.rpartition("-")[0]
        self.folder = folder
        self.after = after
        self.timeout = timeout
        self.max_retries = max_retries
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
        """Wait until the job is over; returns how it stands."""
        if self.state is not JobState.UNSCHEDULED:
            self._is_over.wait()
        return self.state

    def become(self, state: JobState, failure: JobFailure | None = None) -> None:
        """Change how it stands."""
        self.state, self.failure = state, failure
        if state in ENDED:
            self._is_over.set()

    def __repr__(self) -> str:
        failure = "" if self.failure is None else f", {self.failure}"
        return f"<job {self.folder.name}: {self.state}{failure}>"


class Jobs:
    """Runs jobs of an experiment, so many at a time, each after those that it needs.

    Args:
        root: folder of all runs.
        experiment: inside whose folder those of the jobs are.
        most: processes at a time.
        tell: called with every change of a job; None where nothing is run.
    """

    def __init__(
        self,
        root: Path,
        experiment: str,
        *,
        most: int,
        tell: Callable[[JobRecord], None] | None,
    ) -> None:
        self._root = root
        self._experiment = experiment
        self._tell = tell
        self._jobs: dict[str, Job] = {}
        self._futures: list[Future[None]] = []
        self._processes: set[subprocess.Popen[bytes]] = set()
        self._cancelled = threading.Event()
        self._lock = threading.RLock()
        self._pool = ThreadPoolExecutor(max_workers=most, thread_name_prefix="job")

    def __iter__(self) -> Iterator[Job]:
        return iter([*self._jobs.values()])

    def submit(
        self,
        work: Callable[[Any, Any], object] | str | os.PathLike[str],
        params: Mapping[str, Any] | None = None,
        *,
        after: Iterable[Job] = (),
        tags: Mapping[str, str | None] = {},
        timeout: float | None = None,
        max_retries: int = 3,
    ) -> Job:
        """See `experiment.submit`."""
        params = params or {}
        needed = tuple(dict.fromkeys([*after, *_jobs_in(params)]))
        for each in needed:
            if self._jobs.get(each.id) is not each:
                raise ValueError(f"{each!r} was not submitted to this experiment")
        given = plain(_with_folders(params), "params")
        compiled = _compiled(work, given, tags, inside=self._experiment)
        with self._lock:
            if compiled.plan.id in self._jobs:
                return self._jobs[compiled.plan.id]
            folder = experiment_folder(self._root.resolve(), compiled.plan.experiment.id)
            job = Job(compiled, folder, after=needed, timeout=timeout, max_retries=max_retries)
            self._jobs[job.id] = job
            if self._tell is not None:
                self._begin(job)
        return job

    def finish(self) -> list[Job]:
        """Wait until all are over; returns those that are not done."""
        for job in [*self._jobs.values()]:
            job.wait()
        self._pool.shutdown()
        for future in self._futures:
            future.result()
        return [job for job in self._jobs.values() if job.state is JobState.ERROR]

    def cancel(self) -> None:
        """Begin no more, ask those that run to end, and wait for it."""
        with self._lock:
            self._cancelled.set()
            for process in self._processes:
                process.send_signal(signal.SIGTERM)
            # Those that wait come first: they would be given up for what they need.
            for state in (JobState.WAITING, JobState.READY):
                for job in [each for each in self._jobs.values() if each.state is state]:
                    self._change(job, JobState.ERROR, JobFailure.CANCELLED)
            asked = [*self._processes]
        for process in asked:
            _wait(process)
        self._pool.shutdown()

    def _begin(self, job: Job) -> None:
        if _is_done(job):
            self._change(job, JobState.DONE)
        else:
            self._change(job, JobState.WAITING)
            self._go_on(job)

    def _go_on(self, job: Job) -> None:
        """Begin a waiting job if what it needs is done; give it up where that failed."""
        if job.state is not JobState.WAITING:
            return
        states = [each.state for each in job.after]
        if JobState.ERROR in states:
            self._change(job, JobState.ERROR, JobFailure.DEPENDENCY)
        elif all(state is JobState.DONE for state in states):
            self._change(job, JobState.READY)
            self._futures.append(self._pool.submit(self._run, job))

    def _change(self, job: Job, state: JobState, failure: JobFailure | None = None) -> None:
        with self._lock:
            job.become(state, failure)
            if self._tell is not None:
                self._tell(JobRecord(job.id, job.name, job.folder.name, state, failure))
            if state in ENDED:
                for each in [*self._jobs.values()]:
                    if job in each.after:
                        self._go_on(each)

    def _run(self, job: Job) -> None:
        if job.state is not JobState.READY:
            return
        self._change(job, JobState.RUNNING)
        failure: JobFailure | None = JobFailure.FAILED
        try:
            job.folder.mkdir(parents=True, exist_ok=True)
            write_plan(job.compiled, job.folder / PLAN)
            failure = JobFailure.TIMEOUT
            while failure is JobFailure.TIMEOUT and job.attempts <= job.max_retries:
                job.attempts += 1
                failure = self._attempt(job)
        finally:
            self._change(job, JobState.DONE if failure is None else JobState.ERROR, failure)

    def _attempt(self, job: Job) -> JobFailure | None:
        """Run the job's process once: a second time it goes on in the folder of its run."""
        with self._lock, (job.folder / OUTPUT).open("ab") as output:
            if self._cancelled.is_set():
                return JobFailure.CANCELLED
            process = subprocess.Popen(
                [sys.executable, "-m", "specplan.cli.main", *self._words(job)],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env={**os.environ, INSIDE: str(self._root.resolve() / self._experiment)},
            )
            self._processes.add(process)
        try:
            code = process.wait(job.timeout)
        except subprocess.TimeoutExpired:
            _end(process)
            return JobFailure.TIMEOUT
        finally:
            self._processes.discard(process)
        if code == 0:
            return None
        return JobFailure.CANCELLED if self._cancelled.is_set() else JobFailure.FAILED

    def _words(self, job: Job) -> list[str]:
        newest = job.newest() if job.attempts > 1 else None
        if newest is None:
            return ["run", str(job.folder / PLAN), "--trust", "--quiet", "--root", str(self._root)]
        return ["resume", str(newest.folder.path), "--trust", "--quiet"]


def _end(process: subprocess.Popen[bytes]) -> None:
    process.send_signal(signal.SIGTERM)
    _wait(process)


def _wait(process: subprocess.Popen[bytes]) -> None:
    """Wait for a process that was asked to end; kill it where it does not."""
    try:
        process.wait(GRACE_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _is_done(job: Job) -> bool:
    """Whether a run of an earlier time has done what the job is to do."""
    files = (read_run_file(folder) for folder in runs_of(job.folder))
    return any(each.status is Status.COMPLETED and each.plan_id == job.id for each in files)


def _compiled(
    work: Any, params: dict[str, Any], tags: Mapping[str, str | None], *, inside: str
) -> Compiled:
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
    if len(parts) > 1:
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


def _with_folders(value: Any) -> Any:
    """Params with the folder of a job where the job was."""
    if isinstance(value, Job):
        return str(value.folder)
    if isinstance(value, Mapping):
        return {key: _with_folders(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_with_folders(each) for each in value]
    return value


def _digits(plan_id: str) -> str:
    return plan_id.rpartition(":")[2][:_SHOWN_DIGITS]
