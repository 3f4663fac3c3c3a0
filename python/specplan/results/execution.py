"""One phase as a table with one row for each sample, joined from its channels."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from specplan.results.arrow_arrays import null_where_negative, repeated, text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from specplan.results.batches import Batches

SAMPLE_ID = "sample_id"
FIXED = pa.schema(
    [
        pa.field("run_id", pa.string(), nullable=False),
        pa.field("phase", pa.string(), nullable=False),
        pa.field("epoch", pa.int32()),
        pa.field("batch", pa.int32()),
        pa.field(SAMPLE_ID, pa.int64()),
    ]
)
Index = dict[str, "NDArray[np.int64]"]


def read_execution(columns: Sequence[Batches[Any]], *, run_id: str, phase: str) -> pa.Table:
    """The batches that every column of the phase has, as `export_execution` would write them."""
    ordered = sorted(columns, key=lambda column: column.field != SAMPLE_ID)
    indexes = [column.index() for column in ordered]
    positions = _shared_batches(indexes)
    epochs, batches, rows = (indexes[0][name][positions[0]] for name in ("epoch", "batch", "rows"))
    count = int(rows.sum())
    read = [
        column.read(index["row_start"][own], index["rows"][own])
        for column, index, own in zip(ordered, indexes, positions, strict=True)
    ]
    if ordered[0].field == SAMPLE_ID:
        (_, sample_ids), *read = read
    else:
        sample_ids = pa.nulls(count, pa.int64())
    fixed = [
        repeated(text(run_id), count),
        repeated(text(phase), count),
        null_where_negative(np.repeat(epochs, rows).astype(np.int32)),
        null_where_negative(np.repeat(batches, rows).astype(np.int32)),
        sample_ids,
    ]
    schema = pa.schema([*FIXED, *(field for field, _ in read)])
    return pa.table([*fixed, *(values for _, values in read)], schema=schema)


def _shared_batches(indexes: Sequence[Index]) -> list[NDArray[np.int64]]:
    """For each channel, where the batches stand that all of them have, in the order of the first.

    A live run is a few batches ahead in some of its channels. Of a batch that was recorded again,
    the last one counts.
    """
    found = [_by_key(index) for index in indexes]
    keys: NDArray[np.int64] = functools.reduce(np.intersect1d, (keys for keys, _ in found))
    first_keys, first_positions = found[0]
    keys = keys[np.argsort(first_positions[np.searchsorted(first_keys, keys)])]
    return [positions[np.searchsorted(own, keys)] for own, positions in found]


def _by_key(index: Index) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    keys = (index["epoch"] << 32) + index["batch"]
    unique, from_the_end = np.unique(keys[::-1], return_index=True)
    return unique, len(keys) - 1 - from_the_end
