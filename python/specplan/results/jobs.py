"""Jobs of an experiment, as its run records them: every change is one document."""

from __future__ import annotations

import enum
from typing import TYPE_CHECKING

import msgspec

from specplan.store.fields import JOB

if TYPE_CHECKING:
    from specplan.results.open import Run


class JobState(enum.StrEnum):
    """How a job stands.

    Where nothing is run, as in a dry run, it stays unscheduled. A transient one waits for a job that needs
    it, and is not run where none comes; a waiting one for what it needs, a ready one for a place; a
    scheduled one has its place, and its process begins.
    """

    UNSCHEDULED = "unscheduled"
    TRANSIENT = "transient"
    WAITING = "waiting"
    READY = "ready"
    SCHEDULED = "scheduled"
    RUNNING = "running"
    DONE = "done"
    ERROR = "error"

    @property
    def is_over(self) -> bool:
        """Whether it stays so: it is done, or is not going to be."""
        return self in (JobState.DONE, JobState.ERROR)


class JobFailure(enum.StrEnum):
    """Why a job is not done: what it needs is not, it failed, the memory or the time was not enough, or the experiment ended."""

    DEPENDENCY = "dependency"
    FAILED = "failed"
    MEMORY = "memory"
    TIMEOUT = "timeout"
    CANCELLED = "cancelled"


class JobRecord(msgspec.Struct, frozen=True, omit_defaults=True):
    """One change of a job.

    Attributes:
        folder: name of the folder that has its runs, inside that of the experiment.
    """

    id: str
    name: str
    folder: str
    state: JobState
    failure: JobFailure | None = None


def jobs_of(run: Run) -> list[JobRecord]:
    """How the jobs of a run stand, in the order in which they were submitted.

    Raises:
        StoreError: the records of them are damaged.
    """
    changes: list[JobRecord] = run.documents(JOB, kind=JobRecord)
    return [*{change.id: change for change in changes}.values()]
