"""The long table of metrics, live or finished."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from specplan._native import MetricTable
from specplan.results.arrow_arrays import numbers
from specplan.results.compare import SERIES

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray


PLACES = ["epoch", "batch", "step", "value"]


def as_arrow(metrics: MetricTable) -> pa.Table:
    """Rows of metrics as Arrow, as `export_metrics` writes them."""
    return pa.RecordBatchReader.from_stream(metrics).read_all()


SCHEMA = as_arrow(MetricTable()).schema


def without_rows(metrics: pa.Table, names: Iterable[str | None]) -> pa.Table:
    """Values that are in no row that a program logged under one of the names, None for the rows without one."""
    named = pa.array(list(names), pa.string())
    of_rows = pc.and_(
        pc.and_(pc.equal(metrics.column("phase"), ""), pc.is_null(metrics.column("node"))),
        pc.is_in(metrics.column("split"), named),
    )
    return metrics.filter(pc.invert(of_rows))


def split_series(metrics: pa.Table) -> list[tuple[dict[str, str | None], pa.Table]]:
    """The labels of each series, in the order of the first of each, and where its values belong: epoch, batch, step, value."""
    keys = _series_keys(metrics)
    found, firsts, counts = np.unique(keys, return_index=True, return_counts=True)
    order = np.argsort(keys, kind="stable")
    ends = np.cumsum(counts)
    places = metrics.select(PLACES)
    labels = metrics.select(list(SERIES)).take(numbers(firsts)).to_pylist()
    return [
        (labels[at], places.take(numbers(order[ends[at] - counts[at] : ends[at]])))
        for at in np.argsort(firsts)
        if len(found)
    ]


def _series_keys(metrics: pa.Table) -> NDArray[np.int64]:
    """A number for each row, equal for the rows of one series."""
    keys = np.zeros(metrics.num_rows, np.int64)
    for name in SERIES:
        labels = metrics.column(name).combine_chunks().dictionary_encode(null_encoding="encode")
        keys = keys * len(labels.dictionary) + np.from_dlpack(labels.indices)
    return keys
