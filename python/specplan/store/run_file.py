"""run.json: what a run is and how it stands. Replaced atomically."""

from __future__ import annotations

import enum
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from specplan.errors import GracefulTimeout, PrunedError

if TYPE_CHECKING:
    from specplan.plan.model import Phase


class Status(enum.StrEnum):
    """How a run stands, or a phase: only a phase is skipped.

    `DONE` and `ERROR` are other names of completed and failed. A text is equal to a status whatever its
    case, under either name.
    """

    CREATED = "created"
    RUNNING = "running"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"
    STOPPED = "stopped"
    INTERRUPTED = "interrupted"
    SKIPPED = "skipped"
    DONE = "completed"
    ERROR = "failed"

    @classmethod
    def _missing_(cls, value: object) -> Status | None:
        return cls.__members__.get(value.upper()) if isinstance(value, str) else None

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, str):
            return NotImplemented
        known = Status.__members__.get(other.upper())
        return known is self

    def __ne__(self, other: object) -> bool:
        return not self == other

    __hash__ = str.__hash__

    @classmethod
    def after(cls, error: BaseException | None) -> Status:
        """How a run ends that an exception leaves, or none."""
        match error:
            case None:
                return cls.COMPLETED
            case KeyboardInterrupt() | SystemExit() | GracefulTimeout():
                return cls.INTERRUPTED
            case PrunedError():
                return cls.STOPPED
        return cls.FAILED

    @property
    def is_unfinished(self) -> bool:
        """Whether a run that stands so may get more."""
        return self in (Status.CREATED, Status.RUNNING)

    @property
    def is_concluded(self) -> bool:
        """Whether a run that stands so is brought to its end: nothing is left to do."""
        return self in (Status.COMPLETED, Status.STOPPED)


class Session(msgspec.Struct, frozen=True, kw_only=True):
    """One process lifetime of a run. Times are ISO 8601 in UTC.

    Attributes:
        checkpoint: number of that from which it went on; None for one that began the run, perhaps anew.
        changes: what was not as it had been and was allowed to be; bits may differ from there on.
    """

    session: int
    pid: int
    host: str
    boot_id: str
    started_at: str
    ended_at: str | None = None
    checkpoint: int | None = None
    changes: tuple[str, ...] = ()


def boot_id() -> str:
    """What tells this start of the machine from any other; empty where it does not say it."""
    said = Path("/proc/sys/kernel/random/boot_id")
    return said.read_text().strip() if said.exists() else ""


class ErrorRecord(msgspec.Struct, frozen=True, kw_only=True):
    """The exception that ended a run; the traceback is in logs/error.txt."""

    type: str
    message: str


def seconds_between(start: str, end: str) -> float:
    """From one time to another, both as ISO 8601."""
    return (datetime.fromisoformat(end) - datetime.fromisoformat(start)).total_seconds()


class BestEpoch(msgspec.Struct, frozen=True, kw_only=True):
    """Where the metric that early stopping watches was best, as it decided.

    Attributes:
        epoch: None where it was never measured, or was no number.
        value: None there as well, and where it is infinite.
    """

    epoch: int | None = None
    value: float | None = None


class PhaseTiming(msgspec.Struct, frozen=True, kw_only=True):
    """When a phase ran.

    Attributes:
        best: of a train phase with early stopping, after its last whole epoch; None for every other,
            and for runs of versions that did not record it.
        ending: how early stopping ended a train phase, in words; None where every epoch was run and the
            last one's weights stay.
        reason: which condition kept a phase from being run; such a phase began and ended in one moment.
    """

    path: str
    started_at: str
    ended_at: str | None = None
    status: Status = Status.RUNNING
    best: BestEpoch | None = None
    ending: str | None = None
    reason: str | None = None

    @property
    def seconds(self) -> float | None:
        """How long it took; None where it did not end."""
        if self.ended_at is None:
            return None
        return seconds_between(self.started_at, self.ended_at)


class RunFile(msgspec.Struct, frozen=True, kw_only=True):
    """The contents of run.json.

    Attributes:
        kept_epochs: for each train phase by path, the epoch whose weights it left behind.
        digests: BLAKE3 of the files beside it that never change, by name.
        given_state: whether it began with the weights of another run.
    """

    format: int = 1
    run_id: str
    experiment: str
    version: int
    plan_id: str
    status: Status
    created_at: str
    sessions: tuple[Session, ...]
    phases: tuple[PhaseTiming, ...] = ()
    versions: dict[str, str] = {}
    error: ErrorRecord | None = None
    kept_epochs: dict[str, int] = {}
    statistics: dict[str, int] = {}
    digests: dict[str, str] = {}
    given_state: bool = False

    def kept_epoch(self, phase: Phase) -> int | None:
        """The one epoch whose rows count, where a phase records only its last one; None for all."""
        return self.kept_epochs.get(phase.path) if phase.record == "last" else None
