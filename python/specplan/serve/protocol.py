"""What requests hold. docs/serve.md says what they do."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any

import msgspec

from specplan.spec.wording import choices
from specplan.store.run_file import Status
from specplan.track.logs import LEVELS
from specplan.track.point import Point

Short = Annotated[int, msgspec.Meta(ge=-(2**31), le=2**31 - 1)]
Long = Annotated[int, msgspec.Meta(ge=-(2**63), le=2**63 - 1)]
"""What the records hold: a place that is out of range would be found out after others are recorded."""


class Body(msgspec.Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """A JSON object with known keys."""


class Begin(Body, frozen=True):
    """An experiment of which a run is written.

    Attributes:
        run: its id; by default that of the newest run of the prefix, or of a new one.
        environment: where the run is written, as environment.json has it.
        version: its number where it is written; one that another run has is passed over.
        created_at: when it began, ISO 8601; of a new run that is now where nothing is said.
    """

    prefix: str
    run: str | None = None
    readme: str = ""
    tags: dict[str, str | None] = {}
    environment: dict[str, Any] = {}
    version: Annotated[int, msgspec.Meta(ge=1, le=2**31 - 1)] | None = None
    created_at: str | None = None

    @property
    def began(self) -> datetime | None:
        """When it began.

        Raises:
            ValueError: `created_at` is no time.
        """
        return _moment(self.created_at)


class Ended(Body, frozen=True):
    """An exception that ended a run."""

    type: str
    message: str


class SetStatus(Body, frozen=True):
    """How the run stands, and where it is over, when it ended: ISO 8601, by default now."""

    status: str
    error: Ended | None = None
    ended_at: str | None = None

    @property
    def ended(self) -> datetime | None:
        """When it ended.

        Raises:
            ValueError: `ended_at` is no time.
        """
        return _moment(self.ended_at)

    @property
    def known(self) -> Status:
        """The status.

        Raises:
            ValueError: there is none of that name, or a run cannot have it.
        """
        allowed = [each for each in Status if each not in (Status.CREATED, Status.SKIPPED)]
        try:
            found = Status(self.status)
        except ValueError:
            found = Status.SKIPPED
        if found not in allowed:
            raise ValueError(f"no status `{self.status}`; known: {choices(self.status, allowed)}")
        return found


class SetTags(Body, frozen=True):
    """Values by tag, all that the run is to have."""

    tags: dict[str, str | None]


class SetParameters(Body, frozen=True):
    """Values by name; they are added to those of the run."""

    data: dict[str, Any]


class LogEntry(Body, frozen=True):
    """A message; `sequence_number` is its place."""

    message: str
    level: str = "info"
    timestamp: str | None = None
    metadata: dict[str, Any] | None = None
    sequence_number: int | None = None

    def __post_init__(self) -> None:
        if self.level not in LEVELS:
            raise ValueError(f"no level `{self.level}`; known: {choices(self.level, LEVELS)}")


class AppendLogs(Body, frozen=True):
    """Messages; `start` is the place of the first."""

    entries: list[LogEntry]
    start: int | None = None


class Row(Body, frozen=True):
    """A row of metrics; `index` is its place."""

    data: dict[str, Any]
    created_at: str | None = None
    not_finite: tuple[str, ...] = ()
    index: int | None = None


class AppendRow(Body, frozen=True):
    """One row of the metrics of a name."""

    data: dict[str, Any]
    name: str | None = None


class AppendRows(Body, frozen=True):
    """Rows of the metrics of a name; `start` is the place of the first."""

    rows: list[Row]
    name: str | None = None
    start: int | None = None


class AppendTrack(Body, frozen=True):
    """Entries of a track, each with `_ts`; `start` is the place of the first."""

    topic: str
    entries: list[dict[str, Any]]
    start: int | None = None


class AppendRecords(Body, frozen=True):
    """JSON documents of a field that has no route of its own; `start` is the place of the first."""

    field: str
    entries: list[Any]
    node: str = ""
    start: int | None = None


class AppendPoints(Body, frozen=True):
    """Values of one series of the table of metrics; `start` is the place of the first.

    A value that JSON has not is "nan", "inf" or "-inf".
    """

    name: str
    points: list[tuple[float | str, Long, Short, Short, Long | None]]
    phase: str = ""
    node: str | None = None
    split: str | None = None
    start: int | None = None

    def point(self, index: int) -> Point:
        """One of them: value, step, epoch, batch, and time in nanoseconds since 1970.

        Raises:
            ValueError: the value is a text that means no number.
        """
        value, step, epoch, batch, time = self.points[index]
        return Point(value=float(value), step=step, epoch=epoch, batch=batch, time=time)


class Part(Body, frozen=True):
    """One file of an artifact: the bytes that were sent under this digest.

    Attributes:
        path: below the artifact, where that is a folder.
    """

    blake3: str
    bytes: int
    path: str = ""


class AddFile(Body, frozen=True):
    """An artifact whose bytes are there.

    Attributes:
        file: its path below the artifacts of the run, by which it is known; by default a free one.
    """

    name: str
    parts: list[Part]
    kind: str = "file"
    media_type: str = "application/octet-stream"
    file: str | None = None
    step: int | None = None


def _moment(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text).astimezone(UTC)
