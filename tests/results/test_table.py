"""Tables for other tools and for people."""

from __future__ import annotations

import duckdb
import pandas
import polars
import pyarrow as pa
import pytest

from specplan.results.table import Table


@pytest.fixture
def table() -> Table:
    return Table(
        pa.table(
            {
                "name": ["<loss>", "accuracy"],
                "epoch": pa.array([0, None], pa.int32()),
                "time": pa.array([1, 1_500_000_000], pa.timestamp("ns", "UTC")),
                "value": [1 / 3, 12.0],
                "row": pa.array([[1.0] * 6, [0.5] * 6], pa.list_(pa.float32(), 6)),
            }
        )
    )


def test_repr_shows_rows(table: Table) -> None:
    assert repr(table) == (
        "Table: 2 rows, 5 columns\n"
        "name      epoch  time                               value  row\n"
        "<loss>        0  1970-01-01 00:00:00.000000001Z  0.333333  [1, 1, 1, 1, … 2 more]\n"
        "accuracy         1970-01-01 00:00:01.500000000Z        12  [0.5, 0.5, 0.5, 0.5, … 2 more]"
    )


def test_repr_is_short() -> None:
    assert repr(Table(pa.table({"n": range(1000)}))).splitlines()[-2:] == ["9", "… 990 more rows"]


def test_html_is_escaped(table: Table) -> None:
    text = table._repr_html_()
    assert "<td>&lt;loss&gt;</td>" in text
    assert "<caption>2 rows, 5 columns</caption>" in text


def test_other_tools_take_it(table: Table) -> None:
    assert table.to_pandas().equals(table.arrow.to_pandas())
    assert isinstance(table.to_pandas(), pandas.DataFrame)
    assert table.to_polars().equals(polars.DataFrame(table))
    assert pa.table(table).equals(table.arrow)


def test_duckdb_reads_it(table: Table) -> None:
    rows = duckdb.from_arrow(table).aggregate("sum(value)").fetchall()
    assert rows == [(12 + 1 / 3,)]


def test_size(table: Table) -> None:
    assert (table.num_rows, table.column_names[0]) == (2, "name")
