"""The tables of a run as CSV."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    import pyarrow as pa

    from specplan.results.open import Run


def write_csv(run: Run) -> list[tuple[Path, int]]:
    """Write tables/metrics.csv, and execution-<phase>.csv of each phase that recorded; returns files and rows.

    Arrays are spread: a column for each element, with its place in the name. Files that are there are
    replaced.
    """
    tables = {"metrics": run.metrics().arrow}
    for name in run.execution_tables():
        tables[f"execution-{name}"] = run.execution(name).arrow
    run.folder.tables.mkdir(exist_ok=True)
    return [
        (_write(table, run.folder.tables / f"{name}.csv"), len(table))
        for name, table in tables.items()
    ]


def _write(table: pa.Table, file: Path) -> Path:
    from pyarrow import csv

    aside = file.with_suffix(".csv.tmp")
    csv.write_csv(_spread(table), aside)
    aside.replace(file)
    return file


def _spread(table: pa.Table) -> pa.Table:
    import pyarrow as pa
    import pyarrow.compute as pc

    columns: dict[str, pa.ChunkedArray] = {}
    for name, column in zip(table.column_names, table.columns, strict=True):
        if pa.types.is_fixed_size_list(column.type):
            for place in range(column.type.list_size):
                columns[f"{name}.{place}"] = pc.list_element(column, place)
        elif pa.types.is_nested(column.type):
            texts = [None if value is None else str(value) for value in column.to_pylist()]
            columns[name] = pa.chunked_array([pa.array(texts, pa.string())])
        else:
            columns[name] = column
    return pa.table(columns)
