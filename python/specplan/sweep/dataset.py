"""The metrics of all runs of a sweep as one Parquet data set, with the values of their points as columns."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.parquet as pq

from specplan.base.files import in_the_making
from specplan.results.open import Run
from specplan.spec.wording import as_json

if TYPE_CHECKING:
    from collections.abc import Sequence

    from specplan.spec.axes import Axis
    from specplan.store.sweep_file import SweepPoint
    from specplan.sweep.folder import SweepFolder

_TYPES: tuple[tuple[tuple[type, ...], pa.DataType], ...] = (
    ((bool,), pa.bool_()),
    ((int,), pa.int64()),
    ((int, float), pa.float64()),
    ((str,), pa.string()),
)


def write_missing(
    folder: SweepFolder, axes: Sequence[Axis], *, only: SweepPoint | None = None
) -> None:
    """Write the table of each run that is over and has none yet, or only that of one point."""
    for point in folder.file.points if only is None else (only,):
        path = folder.metrics / f"{point.run}.parquet"
        if not path.is_file() and folder.status_of(point).is_concluded:
            folder.metrics.mkdir(exist_ok=True)
            # Readers take everything in the folder of tables, also what is not finished.
            beside = in_the_making(folder.path / path.name, ".tmp")
            pq.write_table(_table(folder, point, axes), beside)
            beside.replace(path)


def _kind_of(axis: Axis) -> pa.DataType:
    """The type of a column that holds values of one place: JSON as a text where they are of several kinds."""
    if axis.is_drawn:
        return pa.float64()
    if axis.whole:
        return pa.int64()
    found = {type(value) for value in axis.known_values()}
    return next((kind for types, kind in _TYPES if found <= set(types)), pa.string())


def _table(folder: SweepFolder, point: SweepPoint, axes: Sequence[Axis]) -> pa.Table:
    table = Run(folder.run_of(point)).metrics().arrow
    for axis in reversed(axes):
        kind, value = _kind_of(axis), point.values[axis.address]
        if kind == pa.string() and not isinstance(value, str):
            value = as_json(value)
        column = pa.array([value] * table.num_rows, kind)
        table = table.add_column(1, pa.field(axis.address, kind), column)
    return table
