"""Metrics of any fields, by name: `exp.metrics("train").log(loss=0.5, epoch=1)`."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from specplan.store.fields import ABOUT, METRICS
from specplan.track.metric_row import STAMP, MetricRow
from specplan.track.plain import plain
from specplan.track.stamps import stamp_of
from specplan.track.summary import check_aggregations, summary

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from specplan.track.run import TrackedRun

SUMMARIZED = ("mean", "std", "min", "max", "count")


class MetricRows:
    """The rows of one name. Their numbers are in the table of metrics as well, with the name as split.

    A row is `{"index": 0, "data": {...}, "createdAt": "..."}`; `data` has what was logged and `_ts`, the time
    in seconds since 1970.
    """

    def __init__(self, name: str | None, run: Callable[[], TrackedRun]) -> None:
        self.name = name
        self._run = run
        self._lock = threading.Lock()
        self.buffer = Buffer(self)
        self.summary_cache = SummaryCache(self)

    def log(self, **fields: Any) -> MetricRows:
        """Add a row.

        Args:
            fields: numbers, texts, and lists and mappings of them. `epoch` and `step` place the numbers;
                `_ts` is the time, -1 for that of the row of metrics or entry of a track before.

        Raises:
            RuntimeError: the run has not begun, or is over.
            TypeError: a value is none that JSON holds.
        """
        run = self._run()
        stamp = stamp_of(fields.pop(STAMP, None))
        with self._lock:
            node = self.name or ""
            row = MetricRow.of(fields, index=run.count(METRICS, node=node), stamp=stamp)
            run.record_row(row, node=node)
        return self

    def flush(self) -> MetricRows:
        """Wait until everything that was logged is on file."""
        self._run().sync()
        return self

    def read(self, start_index: int = 0, limit: int = 1000) -> dict[str, Any]:
        """Rows from `start_index` on, at most `limit` of them.

        Returns:
            `data`, the rows; `startIndex`, `endIndex` (exclusive), `total`, and `hasMore`.
        """
        run, node = self._run(), self.name or ""
        total = run.count(METRICS, node=node)
        rows = run.documents(METRICS, node=node, first=start_index, most=limit)
        end = start_index + len(rows)
        return {
            "data": rows,
            "startIndex": start_index,
            "endIndex": end,
            "total": total,
            "hasMore": end < total,
        }

    def stats(self) -> dict[str, Any]:
        """How many rows there are, when the first and last of them were logged, and what was said of the name."""
        run, node = self._run(), self.name or ""
        total = run.count(METRICS, node=node)
        said: dict[str, Any] = {}
        for each in run.documents(ABOUT, node=node) if node else ():
            said |= each
        return {
            **said,
            "name": self.name,
            "totalDataPoints": total,
            "firstDataAt": self._created(0),
            "lastDataAt": self._created(max(0, total - 1)),
        }

    def list_all(self) -> list[dict[str, Any]]:
        """`stats` of every name that has rows; as `Metrics.list_all`."""
        run = self._run()
        return [MetricRows(node or None, self._run).stats() for node in run.text_nodes(METRICS)]

    def _created(self, place: int) -> str | None:
        """When a row was logged; None where there is none."""
        run, node = self._run(), self.name or ""
        rows = run.documents(METRICS, MetricRow, node=node, first=place, most=1)
        return rows[0].created_at if rows else None


class Metrics:
    """All metrics of a run: `metrics("train")` are those of one name, the object itself those of none."""

    def __init__(self, run: Callable[[], TrackedRun]) -> None:
        self._run = run
        self._named: dict[str | None, MetricRows] = {}
        self._lock = threading.Lock()

    def __call__(
        self,
        name: str | None = None,
        *,
        description: str | None = None,
        tags: Sequence[str] | None = None,
        metadata: Mapping[str, Any] | None = None,
    ) -> MetricRows:
        """The metrics of a name.

        Args:
            name: what they are logged under.
            description: what they are, kept where it is said, as `tags` and `metadata` are; `stats` tells it.

        Raises:
            ValueError: something is said of the metrics without a name.
        """
        if name is not None and not isinstance(name, str):
            raise TypeError(f"the name of metrics is a str, not {type(name).__name__}")
        run = self._run()
        given = {"description": description, "tags": tags, "metadata": metadata}
        said = {key: value for key, value in given.items() if value is not None}
        if said and not name:
            raise ValueError(f"{' and '.join(said)} is said of metrics that have a name")
        with self._lock:
            rows = self._named.setdefault(name, MetricRows(name, self._run))
        if name and said and not said.items() <= rows.stats().items():
            run.record_document(ABOUT, plain(said, "metrics"), node=name)
        return rows

    def log(self, **fields: Any) -> MetricRows:
        """Add a row to the metrics without a name.

        A mapping among the fields is a row of the metrics of its name, which gets the other fields, too:
        `metrics.log(epoch=1, train={"loss": 0.5}, eval={"loss": 0.6})`.
        """
        shared = {name: value for name, value in fields.items() if not isinstance(value, Mapping)}
        for name, value in fields.items():
            if isinstance(value, Mapping):
                self(name).log(**shared, **value)
        return self().log(**shared) if shared else self()

    @property
    def buffer(self) -> Buffers:
        """What was gathered under all names."""
        return Buffers(self)

    def named(self) -> list[MetricRows]:
        """The metrics of each name that was asked for so far."""
        with self._lock:
            return list(self._named.values())

    def flush(self) -> None:
        """Wait until everything that was logged is on file."""
        self._run().sync()

    @property
    def summary_cache(self) -> SummaryCache:
        """That of the metrics without a name."""
        return self().summary_cache

    def list_all(self) -> list[dict[str, Any]]:
        """`stats` of every name that has rows, in the order in which they were first logged."""
        return self().list_all()


class _Gathered:
    """Values of fields that wait for their summary. Safe to use from several threads."""

    def __init__(self, rows: MetricRows) -> None:
        self._rows = rows
        self._values: dict[str, list[float]] = {}
        self._lock = threading.Lock()

    def _gather(self, fields: Mapping[str, float | None]) -> None:
        with self._lock:
            for name, value in fields.items():
                if value is not None:
                    self._values.setdefault(name, []).append(float(value))

    def peek(self, *names: str, limit: int = 5) -> dict[str, list[float]]:
        """The last values that were gathered, at most `limit` of each field."""
        with self._lock:
            return {
                name: values[-limit:]
                for name, values in self._values.items()
                if not names or name in names
            }


class Buffer(_Gathered):
    """Values that are summed up before they are logged."""

    def __call__(self, **fields: float | None) -> Buffer:
        """Gather one value of each field; None is left out."""
        self._gather(fields)
        return self

    @property
    def buffer(self) -> Buffer:
        """Itself, so that calls can be chained: `metrics("train").buffer(a=1).buffer(a=2)`."""
        return self

    def log_summary(self, *aggregations: str, **fields: Any) -> MetricRows:
        """Log one row, `<field>.<aggregation>` for each, and begin anew.

        Args:
            aggregations: mean, std, min, max, count, median, sum, p50, p90, p95, p99, first, last; by
                default the mean.
            fields: fields of the row as they are, such as the epoch.

        Raises:
            ValueError: there is no such aggregation; what was gathered stays.
        """
        wanted = aggregations or ("mean",)
        check_aggregations(wanted)
        with self._lock:
            gathered, self._values = self._values, {}
        summed = _summaries(gathered, wanted)
        return self._rows.log(**fields, **summed) if summed else self._rows


class Buffers:
    """What was gathered under all names of metrics; called, it gathers under none."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics

    def __call__(self, **fields: float | None) -> Buffer:
        """Gather one value of each field for the metrics without a name."""
        return self._metrics().buffer(**fields)

    def log_summary(self, *aggregations: str, **fields: Any) -> Metrics:
        """As `Buffer.log_summary`, one row for each name under which values were gathered.

        Raises:
            ValueError: there is no such aggregation; what was gathered stays.
        """
        check_aggregations(aggregations)
        for rows in self._metrics.named():
            rows.buffer.log_summary(*aggregations, **fields)
        return self._metrics

    def peek(self, name: str | None = None, *fields: str, limit: int = 5) -> dict[str, list[float]]:
        """The last values that were gathered under a name, at most `limit` of each field."""
        return self._metrics(name).buffer.peek(*fields, limit=limit)


class SummaryCache(_Gathered):
    """Values of some steps, logged as one row with what was set beside them."""

    def __init__(self, rows: MetricRows) -> None:
        super().__init__(rows)
        self._set: dict[str, Any] = {}

    def store(self, **fields: float | None) -> SummaryCache:
        """Gather one value of each field; None is left out."""
        self._gather(fields)
        return self

    def set(self, **fields: Any) -> SummaryCache:
        """Fields of the row as they are, such as the epoch; the last value counts."""
        with self._lock:
            self._set |= fields
        return self

    def summarize(self, clear: bool = True) -> MetricRows:  # noqa: FBT001, FBT002 -- documented so
        """Log mean, std, min, max and count of each field, and what was set; with `clear` begin anew."""
        with self._lock:
            fields = {**_summaries(self._values, SUMMARIZED), **self._set}
            if clear:
                self._values, self._set = {}, {}
        return self._rows.log(**fields) if fields else self._rows


def _summaries(
    values: Mapping[str, list[float]], aggregations: tuple[str, ...]
) -> dict[str, float]:
    return {
        f"{name}.{aggregation}": value
        for name, gathered in values.items()
        for aggregation, value in summary(gathered, aggregations).items()
    }
