"""Values of metrics and losses, by name, epoch and batch."""

from __future__ import annotations

import math
from abc import abstractmethod
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

import msgspec
import numpy as np

from specplan.results.axis_series import AxisSeries, Reducer

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import pandas

    from specplan.results.table import Table

Entry = TypeVar("Entry", "MetricEntry", "LossRecord")


class MetricEntry(msgspec.Struct, frozen=True, kw_only=True):
    """One value of a metric.

    Attributes:
        epoch_idx: number of the epoch, from 0; None in what was made of several.
        batch_idx: number of the batch, from 0; None where the value counts for a whole epoch or phase.
        node, split: what was measured, and on which rows; None where that is not one.
    """

    name: str
    value: float
    epoch_idx: int | None
    batch_idx: int | None = None
    node: str | None = None
    split: str | None = None


class LossRecord(msgspec.Struct, frozen=True, kw_only=True):
    """One value of a loss.

    Attributes:
        label: label of the loss.
        node: what it judges.
        value: as the phase counted it, times the weight of the loss.
        trains: whether it was minimised, as the losses of a train phase are.
    """

    label: str
    node: str
    value: float
    trains: bool

    @property
    def trainable(self) -> float | None:
        """The value where it was minimised; None elsewhere."""
        return self.value if self.trains else None

    @property
    def auxiliary(self) -> float | None:
        """The value where it was only measured; None elsewhere."""
        return None if self.trains else self.value


def _mean(entries: list[Entry]) -> Entry:
    return _with_value(entries, float(np.mean([entry.value for entry in entries])))


def _sum(entries: list[Entry]) -> Entry:
    return _with_value(entries, float(np.sum([entry.value for entry in entries])))


def _with_value(entries: list[Entry], value: float) -> Entry:
    """What the entries have in common, with a value; None for other fields in which they differ.

    Raises:
        ValueError: they are values of different metrics or losses.
    """
    first = entries[0]
    changes: dict[str, Any] = {"value": value}
    for field in first.__struct_fields__:
        differ = any(getattr(entry, field) != getattr(first, field) for entry in entries)
        if differ and field in ("name", "label"):
            raise ValueError(f"values of different {field}s have no sum and no mean")
        if differ and field != "value":
            changes[field] = None
    return msgspec.structs.replace(first, **changes)


_SCALARS: Mapping[str, Reducer] = {**AxisSeries.reducers, "mean": _mean, "sum": _sum}


class _Scalars(AxisSeries[Entry]):
    reducers: ClassVar[Mapping[str, Reducer]] = _SCALARS

    @property
    @abstractmethod
    def table(self) -> Table:
        """One row for each value."""

    def to_pandas(self) -> pandas.DataFrame:
        """The table as pandas has it, with NaN for null numbers."""
        return self.table.to_pandas()

    def __repr__(self) -> str:
        return f"{super().__repr__()}\n{self.table!r}"

    def _repr_html_(self) -> str:
        return self.table._repr_html_()


class MetricSeries(_Scalars[MetricEntry]):
    """Values of metrics by (name, epoch, batch)."""

    @property
    def table(self) -> Table:
        """One row for each value: the axes, then node, split and value."""
        rows = [(entry.node, entry.split, entry.value) for entry in self.values()]
        return _table(self, ("node", "split", "value"), rows)


class LossSeries(_Scalars[LossRecord]):
    """Values of losses by (epoch, batch, label)."""

    @property
    def trainable(self) -> float:
        """Sum of the values that were minimised."""
        return math.fsum(record.value for record in self.values() if record.trains)

    @property
    def auxiliary(self) -> float:
        """Sum of the values that were only measured."""
        return math.fsum(record.value for record in self.values() if not record.trains)

    @property
    def table(self) -> Table:
        """One row for each value: the axes, then node and value."""
        return _table(self, ("node", "value"), [(each.node, each.value) for each in self.values()])


def _table(
    series: AxisSeries[Any], columns: Sequence[str], rows: Sequence[tuple[Any, ...]]
) -> Table:
    import pyarrow as pa

    from specplan.results.table import Table

    kinds = {"value": pa.float64()} | dict.fromkeys(("epoch", "batch"), pa.int64())
    names = (*series.axes, *columns)
    schema = pa.schema([pa.field(name, kinds.get(name, pa.string())) for name in names])
    keys = [key if isinstance(key, tuple) else (key,) for key in series]
    # Lists that are given to pyarrow one by one make it import pandas; rows do not.
    plain = [
        dict(zip(names, (*key, *row), strict=True)) for key, row in zip(keys, rows, strict=True)
    ]
    return Table(pa.Table.from_pylist(plain, schema=schema))
