"""One run that the server writes, from what its client sends."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, TypeVar

from specplan._native import StoreReader
from specplan.results.artifacts import artifact_rows
from specplan.serve.faults import Fault
from specplan.store.fields import ARTIFACT, LOG, METRICS, TRACKS
from specplan.store.run_files import timestamp
from specplan.track.metric_row import STAMP, MetricRow
from specplan.track.point import Series
from specplan.track.points import point_counts

if TYPE_CHECKING:
    from collections import Counter
    from collections.abc import Callable, Sequence

    from specplan.serve.protocol import AppendPoints, LogEntry, Row
    from specplan.track.run import TrackedRun

Item = TypeVar("Item")
OWN_ROUTES = (LOG, METRICS, TRACKS, ARTIFACT)
"""Fields of the records that are not written as plain documents."""


class Received:
    """Takes what a run does not have yet. For one thread at a time.

    Every append says the place of its first item: those that are there are left out, and where there
    would be a gap nothing is taken, and the answer says how many there are.

    Attributes:
        run: the run.
        used: when it was last asked for, by `time.monotonic`.
    """

    def __init__(self, run: TrackedRun) -> None:
        self.run = run
        self.used = time.monotonic()
        self._points: Counter[Series] | None = None

    def logs(self, entries: Sequence[LogEntry], start: int | None) -> int:
        """Messages of the log; returns how many there are."""

        def record(index: int, entry: LogEntry) -> None:
            document = {
                "sequenceNumber": index,
                "timestamp": entry.timestamp or timestamp("microseconds"),
                "level": entry.level,
                "message": entry.message,
                "metadata": entry.metadata,
            }
            self.run.record_document(LOG, document)

        return self._append(LOG, "", entries, start, record)

    def rows(self, name: str | None, rows: Sequence[Row], start: int | None) -> int:
        """Rows of metrics, whose numbers go to the table of metrics; returns how many there are."""
        node = name or ""

        def record(index: int, row: Row) -> None:
            taken = MetricRow(
                index=index,
                data={STAMP: time.time(), **row.data} if STAMP not in row.data else row.data,
                created_at=row.created_at or timestamp(),
                not_finite=row.not_finite,
            )
            self.run.record_row(taken, node=node)

        return self._append(METRICS, node, rows, start, record)

    def documents(self, field: str, node: str, documents: Sequence[Any], start: int | None) -> int:
        """JSON documents of a field; returns how many there are."""
        return self._append(
            field,
            node,
            documents,
            start,
            lambda _, document: self.run.record_document(field, document, node=node),
        )

    def points(self, asked: AppendPoints) -> int:
        """Values of a series; returns how many there are."""
        series = Series(
            name=asked.name, phase=asked.phase, node=asked.node or None, split=asked.split or None
        )
        counts = self.point_counts()
        places = self._missing(range(len(asked.points)), asked.start, counts[series])
        self.run.record_points(series, [asked.point(index) for index in places])
        counts[series] += len(places)
        self.run.sync()
        return counts[series]

    def point_counts(self) -> Counter[Series]:
        """How many values each series has."""
        if self._points is None:
            self.run.sync()
            self._points = point_counts(StoreReader.open(str(self.run.folder.records)))
        return self._points

    def files(self) -> set[str]:
        """The files of all artifacts that the records tell of."""
        self.run.sync()
        rows = artifact_rows(StoreReader.open(str(self.run.folder.records)))
        return {row.file for row in rows}

    def _append(
        self,
        field: str,
        node: str,
        items: Sequence[Item],
        start: int | None,
        record: Callable[[int, Item], None],
    ) -> int:
        there = self.run.count(field, node=node)
        for index, item in enumerate(self._missing(items, start, there), there):
            record(index, item)
        self.run.sync()  # what is acknowledged outlives a kill
        return self.run.count(field, node=node)

    def _missing(self, items: Sequence[Item], start: int | None, there: int) -> Sequence[Item]:
        if start is None:
            return items
        if not 0 <= start <= there:
            raise Fault(
                409, f"items from {there} on are missing, and these begin at {start}", have=there
            )
        return items[there - start :]
