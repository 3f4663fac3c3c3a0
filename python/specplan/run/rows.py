"""The look at every row that a run reads, before anything is written."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from specplan._native import RowScan
from specplan.data.scan import (
    FOLD_LEAK_HINT,
    LEAK_HINT,
    OVERLAP_HINT,
    fold_leak,
    leak,
    not_finite,
    overlap,
)
from specplan.errors import DataError
from specplan.plan.canonical import pointer_to
from specplan.plan.fold_rows import outer_folds
from specplan.plan.reads import columns_read, splits_read
from specplan.run.context import fold_rows
from specplan.run.located import warning

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping

    from numpy.typing import NDArray

    from specplan.data.table import Table
    from specplan.plan.model import Compiled
    from specplan.spec.diagnostics import Diagnostic


def check_rows(compiled: Compiled, tables: Mapping[str, Table]) -> tuple[Diagnostic, ...]:
    """Warnings of equal rows in several splits, and of values that are not finite.

    What the compiler has warned of already is not said again.

    Raises:
        DataError: a phase reads a value that is not finite into a torch node or as a target.
    """
    return tuple(_found(compiled, tables))


def _found(compiled: Compiled, tables: Mapping[str, Table]) -> Iterator[Diagnostic]:
    plan = compiled.plan
    folds = {label: data.folds for label, data in plan.data.items()}
    splits = splits_read(plan.phases, folds)
    for label, columns in columns_read(plan.graph.nodes).items():
        table, read = tables[label], splits.get(label, set())
        scan = RowScan(table.rows)
        for name in columns.all:
            scan.add(*_bytes(table.columns[name]))
        for name, column in zip(columns.all, scan.columns, strict=True):
            if not column.not_finite:
                continue
            if name in columns.finite:
                _refuse(label, name, tables, read)
            if label not in compiled.looked_at:
                place = pointer_to("data", label, "columns", name)
                yield warning("SP514", not_finite(name, column), place, compiled)
        splitter = plan.data[label].splitter
        allowed = splitter is not None and splitter.args.get("leaks") == "allow"
        if label in compiled.looked_at or allowed:
            continue
        yield from _leaks(label, len(columns.inputs), scan, table, compiled)


def _leaks(
    label: str, inputs: int, scan: RowScan, table: Table, compiled: Compiled
) -> Iterator[Diagnostic]:
    data = compiled.plan.data[label]
    folds = {name: known.folds for name, known in compiled.plan.data.items()}
    if table.cut is not None:
        read = splits_read(compiled.plan.phases, folds).get(label, set())
        place = pointer_to("data", label, "splitter")
        shared = overlap(table.cut, read)
        if shared is not None:
            yield warning("SP506", shared, place, compiled, hint=OVERLAP_HINT)
        found = leak(scan, inputs, table.cut, read)
        if found is not None:
            yield warning("SP506", found, place, compiled, hint=LEAK_HINT)
            return
    rows = fold_rows(data, table)
    for path, fold in outer_folds(data.folds).items():
        found = fold_leak(scan, inputs, rows.parts(fold), table.rows)
        if found is not None:
            place = pointer_to("data", label, "folds", path)
            yield warning("SP506", found, place, compiled, hint=FOLD_LEAK_HINT)


def _bytes(column: NDArray[Any]) -> tuple[str, memoryview]:
    native = np.ascontiguousarray(column, dtype=column.dtype.newbyteorder("="))
    return native.dtype.name, native.reshape(-1).view(np.uint8).data


def _refuse(
    label: str, name: str, tables: Mapping[str, Table], splits: Collection[str | None]
) -> None:
    """Raise DataError if a row of `splits` has a value in the column `name` that is not finite."""
    values = tables[label].columns[name]
    wrong = ~np.isfinite(values.reshape(len(values), -1)).all(axis=1)
    for split in sorted(splits, key=str):
        positions = None if split is None else tables[label].splits[split]
        rows = np.flatnonzero(wrong) if positions is None else np.sort(positions[wrong[positions]])
        if not len(rows):
            continue
        row = values[rows[0]].reshape(-1)
        value = row[~np.isfinite(row)][0]
        where = f" of `{split}`" if split is not None else ""
        more = f", the first of {len(rows)} rows{where}" if len(rows) > 1 else where
        message = f"column `{name}` is {value} in row {rows[0]}{more}"
        raise DataError(
            message,
            code="SP514",
            pointer=pointer_to("data", label, "columns", name),
            column=name,
            hint="leave such rows out or fill them in: one of them makes every weight NaN",
        )
