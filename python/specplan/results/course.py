"""The course of a run's metrics while it goes on: each time only what is new is read."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc

from specplan._native import StoreReader
from specplan.results.arrow_arrays import number
from specplan.results.arrow_files import read_rows
from specplan.store.recorder import SYSTEM, WHOLE

if TYPE_CHECKING:
    from collections.abc import Sequence

    from specplan.store.layout import RunFolder

LONGEST = 128
"""Values of each series that are kept."""
_COLUMNS = ["phase", "name", "epoch", "batch", "value"]
_MOST_ROWS = 20_000
"""Rows of which every one is looked at: the course is told by the last ones."""


class MetricCourse:
    """The last values of each metric of the newest phase, from the records of one run.

    A metric has those of whole epochs and phases where there are some, else those of all steps.

    Attributes:
        epoch: the latest epoch of that phase; None where it has none.
        rows_read: how many rows were read so far.
    """

    def __init__(self, folder: RunFolder) -> None:
        self._folder = folder
        self._store: StoreReader | None = None
        self._sessions = 0
        self.rows_read = 0
        self._forget()

    @property
    def metrics(self) -> dict[str, tuple[float, ...]]:
        """The values of each metric that a program or phase logged."""
        return {name: tuple(values) for name, values in (self._steps | self._whole).items()}

    @property
    def system(self) -> dict[str, tuple[float, ...]]:
        """The values of each metric of the system, by what follows `system/`."""
        return {name: tuple(values) for name, values in self._system.items()}

    def refresh(self) -> None:
        """Read what was recorded since the last time.

        Raises:
            StoreError: the records are damaged.
        """
        if self._store is None:
            if not self._folder.records_description.is_file():
                return
            self._store = StoreReader.open(str(self._folder.records))
        self._store.refresh()
        files, sessions = self._store.metric_files(), len(self._store.sessions)
        if sessions != self._sessions or sum(rows for *_, rows in files) < self._seen:
            # A run that goes on from a checkpoint hides what was recorded after it.
            self._forget()
            self._sessions = sessions
        # Of a million rows the table of the extension takes 1.8 s, as it has labels for each, and these files 0.2 s.
        new = read_rows(_after(files, self._seen))
        if new is None:
            return
        self._seen += new.num_rows
        self.rows_read += new.num_rows
        for rows in _parts(new.select(_COLUMNS)):
            for row in rows.to_pylist():
                self._take(row)

    def _forget(self) -> None:
        self._seen = 0
        self._begin("")
        self._system: dict[str, deque[float]] = {}

    def _begin(self, phase: str) -> None:
        self._phase = phase
        self._whole: dict[str, deque[float]] = {}
        self._steps: dict[str, deque[float]] = {}
        self.epoch: int | None = None

    def _take(self, row: dict[str, Any]) -> None:
        name = row["name"]
        if name.startswith(SYSTEM):
            _add(self._system, name.removeprefix(SYSTEM), row["value"])
            return
        if row["phase"] != self._phase:
            self._begin(row["phase"])
        _add(self._whole if row["batch"] == WHOLE else self._steps, name, row["value"])
        if row["epoch"] != WHOLE:
            self.epoch = row["epoch"]


def _add(series: dict[str, deque[float]], name: str, value: float) -> None:
    series.setdefault(name, deque(maxlen=LONGEST)).append(value)


def _parts(rows: pa.Table) -> list[pa.Table]:
    """All rows; of the first ones of very many only those of whole epochs and phases."""
    early = rows.num_rows - _MOST_ROWS
    if early <= 0:
        return [rows]
    first = rows.slice(0, early)
    for name in ("phase", "name"):
        # Arrow filters no column of the kind that names are recorded in.
        at = first.schema.get_field_index(name)
        first = first.set_column(at, name, first.column(name).cast(pa.string()))
    whole = first.filter(pc.equal(first.column("batch"), number(WHOLE, "int32")[0]))
    return [whole.slice(max(0, whole.num_rows - _MOST_ROWS)), rows.slice(early)]


def _after(files: Sequence[tuple[str, int, int]], seen: int) -> list[tuple[str, int, int]]:
    """The rows that come after so many."""
    found = []
    for path, first, rows in files:
        skipped = min(seen, rows)
        seen -= skipped
        if skipped < rows:
            found.append((path, first + skipped, rows - skipped))
    return found
