"""Jobs of an experiment: functions and specs that run in processes of their own, each once."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

from specplan.plan.canonical import write_plan
from specplan.results.jobs import JobFailure, JobRecord, JobState
from specplan.run.deadline import DEADLINE, GRACE
from specplan.store.layout import experiment_folder
from specplan.track.job import CAUTION, Job, TransientMode, compiled_job, needed_by, with_folders
from specplan.track.plain import plain

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping
    from concurrent.futures import Future
    from pathlib import Path

INSIDE = "SPECPLAN_JOB_OF"
"""The variable of the environment that a job's process has: the folder of its experiment."""
OUTPUT = "output.txt"
PLAN = "job.plan.json"
GRACE_SECONDS = 10.0
"""How long a process that is asked to end may take for it."""
_LOOKED_EVERY = 0.1
"""Seconds between two looks for the run that a process is to begin."""
_REASONS = {
    "GracefulTimeout": JobFailure.TIMEOUT,
    "MemoryError": JobFailure.MEMORY,
    "OutOfMemoryError": JobFailure.MEMORY,
}
"""What errors of a run say of the job; any other one is that it failed."""


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
        params: Mapping[str, Any],
        *,
        after: Iterable[Job],
        tags: Mapping[str, str | None],
        timeout: float | None,
        max_retries: int,
        transient: TransientMode,
    ) -> Job:
        """See `experiment.submit`."""
        needed = needed_by(params, after)
        for each in needed:
            if self._jobs.get(each.id) is not each:
                raise ValueError(f"{each!r} was not submitted to this experiment")
        given = plain(with_folders(params), "params")
        compiled = compiled_job(work, given, tags, inside=self._experiment)
        with self._lock:
            job = self._jobs.get(compiled.plan.id)
            if job is None:
                folder = experiment_folder(self._root.resolve(), compiled.plan.experiment.id)
                job = Job(
                    compiled,
                    folder,
                    after=needed,
                    timeout=timeout,
                    max_retries=max_retries,
                    transient=transient,
                )
                self._jobs[job.id] = job
            job.transient = min(job.transient, transient, key=CAUTION.index)
            if self._tell is not None:
                self._begin(job, is_needed=job.transient is TransientMode.NONE)
        return job

    def wait(self) -> list[Job]:
        """Wait until all that were submitted are over; returns those that are not done."""
        jobs = [*self._jobs.values()]
        for job in jobs:
            job.wait()
        return [job for job in jobs if job.state is JobState.ERROR]

    def finish(self) -> list[Job]:
        """Wait until all are over, remove what is to be removed; returns those that are not done."""
        failed = self.wait()
        self._pool.shutdown()
        for future in self._futures:
            future.result()
        for job in self._jobs.values():
            users = [each for each in self._jobs.values() if job in each.after]
            is_used = any(each.state is not JobState.DONE for each in users)
            if job.transient is TransientMode.REMOVE and job.state is JobState.DONE and not is_used:
                shutil.rmtree(job.folder, ignore_errors=True)
        return failed

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

    def _begin(self, job: Job, *, is_needed: bool) -> None:
        """Begin a job that has not begun, or let it wait for one that needs it."""
        if job.state not in (JobState.UNSCHEDULED, JobState.TRANSIENT):
            return
        if job.is_done():
            self._change(job, JobState.DONE)
        elif not is_needed:
            self._change(job, JobState.TRANSIENT)
        else:
            self._change(job, JobState.WAITING)
            for each in job.after:
                self._begin(each, is_needed=True)
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
            if state.is_over:
                for each in [*self._jobs.values()]:
                    if job in each.after:
                        self._go_on(each)

    def _run(self, job: Job) -> None:
        if job.state is not JobState.READY:
            return
        self._change(job, JobState.SCHEDULED)
        failure: JobFailure | None = JobFailure.FAILED
        try:
            while job.is_run_now() and not self._cancelled.wait(_LOOKED_EVERY):
                pass
            if job.is_done():
                failure = None
                return
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
        ends = None if job.timeout is None else time.time() + job.timeout
        with self._lock, (job.folder / OUTPUT).open("ab") as output:
            if self._cancelled.is_set():
                return JobFailure.CANCELLED
            process = subprocess.Popen(
                [sys.executable, "-m", "specplan.cli.main", *self._words(job)],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=self._environment(ends),
                # Ctrl-C on a terminal is for us: a second signal would end a run at once.
                start_new_session=True,
            )
            self._processes.add(process)
        try:
            self._see_begin(job, process, ends)
            code = process.wait(None if ends is None else max(ends - time.time(), 0))
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGTERM)
            _wait(process)
            return JobFailure.TIMEOUT
        finally:
            self._processes.discard(process)
        return None if code == 0 else self._reason(job)

    def _see_begin(self, job: Job, process: subprocess.Popen[bytes], ends: float | None) -> None:
        """Wait until the process has begun its run, or is over."""
        while process.poll() is None and not job.is_run_now():
            if ends is not None and time.time() >= ends:
                return
            time.sleep(_LOOKED_EVERY)
        if job.state is JobState.SCHEDULED:
            self._change(job, JobState.RUNNING)

    def _reason(self, job: Job) -> JobFailure:
        if self._cancelled.is_set():
            return JobFailure.CANCELLED
        newest = job.newest()
        error = None if newest is None else newest.run_file.error
        return JobFailure.FAILED if error is None else _REASONS.get(error.type, JobFailure.FAILED)

    def _environment(self, ends: float | None) -> dict[str, str]:
        limit = {} if ends is None else {DEADLINE: str(ends)}
        return {
            **os.environ,
            INSIDE: str(self._root.resolve() / self._experiment),
            GRACE: str(GRACE_SECONDS),
            **limit,
        }

    def _words(self, job: Job) -> list[str]:
        newest = job.newest() if job.attempts > 1 else None
        if newest is None:
            return ["run", str(job.folder / PLAN), "--trust", "--quiet", "--root", str(self._root)]
        return ["resume", str(newest.folder.path), "--trust", "--quiet"]


def _wait(process: subprocess.Popen[bytes]) -> None:
    """Wait for a process that was asked to end; kill it where it does not."""
    try:
        process.wait(GRACE_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
