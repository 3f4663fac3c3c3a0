"""`with experiment(workdir, id) as xp`: a run of a program in a folder of work, one at a time."""

from __future__ import annotations

import logging
import os
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self, TypeVar

import msgspec

from specplan.errors import RunError
from specplan.run.git import check_clean, git_state
from specplan.spec.configuration import RunMode
from specplan.spec.model import DirtyGitAction
from specplan.spec.wording import quoted
from specplan.store.fields import JOB
from specplan.store.run_file import Status
from specplan.store.run_files import locked
from specplan.track.informations import write_informations
from specplan.track.job import TransientMode
from specplan.track.jobs import INSIDE, OUTPUT, Jobs
from specplan.track.names import check_experiment
from specplan.track.run import TrackedRun

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from types import TracebackType

    from specplan.results.jobs import JobRecord
    from specplan.track.job import Job
    from specplan.track.services import Service

    ServiceT = TypeVar("ServiceT", bound=Service)


_LOG = logging.getLogger(__name__)


class experiment:  # noqa: N801 -- documented as `experiment(workdir, id)`
    """A run of the experiment `id` below a folder of work.

    A second process that begins the same experiment waits until the first has ended. In the mode NORMAL a
    run folder `<workdir>/<id>/<run>` is made, and `<workdir>/xp/<id>/informations.json` says where
    the newest run is and on which host; in every other mode nothing is written.

    Args:
        workdir: folder of work; made where it is not there.
        id: name of the experiment.
        run_mode: NORMAL, DRY_RUN, GENERATE_ONLY or PREPARE, as member or text in any case.
        project_paths: folders whose repositories are looked at; by default the current one.
        dirty_git: what uncommitted changes do: IGNORE, WARN (log a warning) or ERROR.
        tags: words to find the run by, with values where they have some.
        max_jobs: how many of its jobs run at a time, each in a process.
        system_metrics_seconds: between two samples of processor, memory, disk and GPU; None for none.

    Raises:
        DirtyGitError: at the beginning, where there are uncommitted changes and `dirty_git` is ERROR. No
            folder of a run is made.
        ValueError: the id would leave the folder, or a mode or action is unknown.

    Attributes:
        workdir: the folder of work; id: the name; run_mode: the mode.
        services: what `add_service` was given, by id.
    """

    def __init__(
        self,
        workdir: str | os.PathLike[str],
        id: str,  # noqa: A002 -- documented so
        *,
        run_mode: RunMode | str = RunMode.NORMAL,
        project_paths: Iterable[str | os.PathLike[str]] | None = None,
        dirty_git: DirtyGitAction | str = DirtyGitAction.WARN,
        tags: Mapping[str, str | None] = {},
        max_jobs: int = 1,
        system_metrics_seconds: float | None = None,
    ) -> None:
        check_experiment(id)
        self.workdir = Path(workdir)
        self.id = id
        self.run_mode = _member(RunMode, run_mode, "run_mode")
        self._dirty_git = _member(DirtyGitAction, dirty_git, "dirty_git")
        self._projects = [Path(path) for path in project_paths or (Path(),)]
        self._tags = tags
        self._max_jobs = max_jobs
        self._jobs: Jobs | None = None
        self._system_metrics_seconds = system_metrics_seconds
        self._run: TrackedRun | None = None
        self._begin: Callable[[ExitStack], TrackedRun] = self._begin_run
        self._opened = ExitStack()
        self._is_open = False
        self.services: dict[str, Service] = {}

    @classmethod
    def of_run(
        cls,
        workdir: Path,
        id: str,  # noqa: A002 -- as above
        begin: Callable[[ExitStack], TrackedRun],
        *,
        max_jobs: int,
    ) -> Self:
        """An experiment whose run a plan begins and ends, which has looked at the repository.

        Args:
            workdir: folder of work.
            id: name of the experiment.
            begin: gives the run, and says what is to be done at the end of the experiment.
            max_jobs: how many of its jobs run at a time.
        """
        made = cls(workdir, id, dirty_git=DirtyGitAction.IGNORE, max_jobs=max_jobs)
        made._begin = begin
        return made

    @property
    def run(self) -> TrackedRun:
        """The run, for params, metrics and artifacts.

        Raises:
            RuntimeError: it has not begun, or nothing is run in this mode.
        """
        if self._run is None:
            raise RuntimeError(
                "there is no run: use `with experiment(...) as xp`, in the mode NORMAL"
            )
        return self._run

    @property
    def folder(self) -> Path:
        """The folder of the run."""
        return self.run.folder.path

    def log_metrics(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        """Record one value of each metric. Without `step`, it is the one after the greatest so far."""
        self.run.log_metrics(metrics, step=step)

    def set_params(self, params: Mapping[str, Any]) -> None:
        """Add params to those of the run."""
        self.run.set_params(params)

    def log_artifact(self, name: str, value: Any, *, step: int | None = None) -> None:
        """Keep a file, a folder or an object below the artifacts of the run."""
        self.run.log_artifact(name, value, step=step)

    def submit(
        self,
        work: Callable[[Any, Any], object] | str | os.PathLike[str],
        params: Mapping[str, Any] | None = None,
        *,
        after: Iterable[Job] = (),
        tags: Mapping[str, str | None] = {},
        timeout: float | None = None,
        max_retries: int = 3,
        transient: TransientMode | str = TransientMode.NONE,
    ) -> Job:
        """Run a function or a spec with params as a job, in a process of its own, once.

        The same work with the same params is the same job; one that was done before is not run again. At
        its end the experiment waits for all of them.

        Args:
            work: function `run(helper, configuration)` that a file defines at its top, or path of a spec.
            params: the configuration of the function, or values that replace some of the spec, by their
                paths. A job among them is given as the path of its folder, and is needed.
            after: other jobs that have to be done before; where one is not, this is not run.
            tags: words to find its runs by, with values where they have some. They do not make another job.
            timeout: seconds that one attempt may take; after them the job is asked to end.
            max_retries: how often it is begun again after a timeout, in the folder of its run. Nothing else
                is tried again.
            transient: `transient` runs it only where a job that is not done needs it, and `remove` removes its
                folder at the end, when those that need it are done. Submitted twice, it is the more cautious.

        Raises:
            RuntimeError: the experiment has not begun, or is over.
            ValueError: the function has no place in a file, or a job is of another experiment.
            SpecError: the spec is wrong, or the params are no configuration.
        """
        if self._jobs is None or not self._is_open:
            raise RuntimeError("jobs are submitted inside of `with experiment(...) as xp`")
        return self._jobs.submit(
            work,
            params or {},
            after=after,
            tags=tags,
            timeout=timeout,
            max_retries=max_retries,
            transient=_member(TransientMode, transient, "transient"),
        )

    def wait(self) -> None:
        """Wait for the jobs that were submitted so far.

        Raises:
            RunError: some of them are not done.
        """
        if self._jobs is not None and (failed := self._jobs.wait()):
            raise RunError(_told(failed, len(self.jobs)))

    def progress(self, value: float, level: int = 0, desc: str | None = None) -> None:
        """Say how far the experiment is, from 0 to 1; `level` 1 and so on are loops inside.

        Raises:
            ValueError: the value is no number, or the level is negative.
        """
        self.run.progress(value, level, desc)

    def add_service(self, service: ServiceT) -> ServiceT:
        """Let a service go on beside the experiment; returns it. It is closed at the end, in every mode.

        Raises:
            RuntimeError: the experiment has not begun, or is over.
            ValueError: there is a service of that id.
        """
        if not self._is_open:
            raise RuntimeError("services are added inside of `with experiment(...) as xp`")
        if service.id in self.services:
            raise ValueError(f"experiment `{self.id}` has a service `{service.id}` already")
        self.services[service.id] = service
        self._opened.callback(service.close)
        service.set_experiment(self)
        return service

    @property
    def jobs(self) -> list[Job]:
        """The jobs that were submitted, in order."""
        return [] if self._jobs is None else [*self._jobs]

    def __repr__(self) -> str:
        standing = "not begun" if self._jobs is None else "going on" if self._is_open else "over"
        return f"<experiment {self.id} in {self.workdir}: {standing}>"

    def __enter__(self) -> Self:
        normal = self.run_mode is RunMode.NORMAL
        action = self._dirty_git
        if action is DirtyGitAction.ERROR and self.run_mode is RunMode.DRY_RUN:
            action = DirtyGitAction.WARN
        for project in self._projects:
            check_clean(git_state(project, without=[self.workdir]), action)
        if normal and os.environ.get(INSIDE) == str((self.workdir / self.id).resolve()):
            raise RuntimeError(
                f"experiment `{self.id}` cannot begin inside of one of its jobs: importing the file of the "
                'job\'s function begins it\nhint: begin it below `if __name__ == "__main__":`'
            )
        if normal:
            with ExitStack() as opened:
                self._take_lock(opened)
                self._run = self._begin(opened)
                self._opened = opened.pop_all()
        tell = self._record if normal else None
        self._jobs = Jobs(self.workdir, self.id, most=self._max_jobs, tell=tell)
        self._is_open = True
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._jobs is None or not self._is_open:
            return
        self._is_open = False
        try:
            if error is not None:
                self._jobs.cancel()
            elif failed := self._jobs.finish():
                raise RunError(_told(failed, len(self.jobs)))
        except BaseException as ending:
            self._jobs.cancel()
            self._opened.__exit__(type(ending), ending, ending.__traceback__)
            raise
        self._opened.__exit__(kind, error, traceback)

    def _take_lock(self, opened: ExitStack) -> None:
        lock = self.workdir / self.id / "lock"
        lock.parent.mkdir(parents=True, exist_ok=True)
        lock.touch()
        refused = f"experiment `{self.id}` is run by another process; waiting for its end"
        try:
            opened.enter_context(locked(lock, refused=refused))
        except RunError as told:
            _LOG.warning("%s", told)
            opened.enter_context(locked(lock))

    def _begin_run(self, opened: ExitStack) -> TrackedRun:
        run = TrackedRun.start(self.workdir, self.id, tags=self._tags)
        opened.push(partial(self._end, run))
        if self._system_metrics_seconds is not None:
            run.sample_system(self._system_metrics_seconds)
        write_informations(self.workdir, run.run_file)
        return run

    def _end(
        self, run: TrackedRun, _kind: object, error: BaseException | None, _traceback: object
    ) -> None:
        self._run = None
        run.end(Status.after(error), error)
        write_informations(self.workdir, run.run_file)

    def _record(self, change: JobRecord) -> None:
        self.run.record_text(JOB, msgspec.json.encode(change).decode())


def _told(failed: list[Job], count: int) -> str:
    jobs = "".join(f"\n  {job.folder.name}: {job.failure}" for job in failed)
    return f"{len(failed)} of {count} jobs are not done:{jobs}\nhint: {OUTPUT} in the folder of a job says more"


def _member(kind: Any, value: Any, what: str) -> Any:
    found = {member.value: member for member in kind}.get(str(value).lower())
    if found is None:
        raise ValueError(f"{what} is {quoted(member.name for member in kind)}, not `{value}`")
    return found
