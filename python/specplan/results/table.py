"""A table of results: Arrow, and what other tools make of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from specplan.results.aligned import aligned
from specplan.results.html import html_table

if TYPE_CHECKING:
    import pandas
    import polars
    import pyarrow as pa

SHOWN = 10


class Table:
    """An immutable Arrow table.

    Tools that speak the Arrow C stream interface take it as it is: `polars.DataFrame(table)`,
    `duckdb.from_arrow(table.arrow)`, `pyarrow.table(table)`.
    """

    __slots__ = ("arrow",)

    arrow: pa.Table

    def __init__(self, arrow: pa.Table) -> None:
        self.arrow = arrow

    @property
    def num_rows(self) -> int:
        """Number of rows."""
        return int(self.arrow.num_rows)

    @property
    def column_names(self) -> list[str]:
        """Names of the columns, in order."""
        return list(self.arrow.column_names)

    def to_pandas(self) -> pandas.DataFrame:
        """As pandas reads the same table from Parquet: null numbers become NaN, arrays objects."""
        try:
            import pandas  # noqa: F401 - pyarrow's own message does not say how to get it
        except ImportError as error:
            raise ImportError("to_pandas needs pandas: pip install 'specplan[pandas]'") from error
        return self.arrow.to_pandas()

    def to_polars(self) -> polars.DataFrame:
        """Without a copy where polars can take the memory."""
        try:
            import polars
        except ImportError as error:
            raise ImportError("to_polars needs polars: pip install 'specplan[polars]'") from error
        frame = polars.from_arrow(self.arrow)
        assert isinstance(frame, polars.DataFrame), "a table with columns is a frame"
        return frame

    def __arrow_c_stream__(self, requested_schema: object = None) -> Any:
        return self.arrow.__arrow_c_stream__(requested_schema)

    def __repr__(self) -> str:
        lines = aligned(self.column_names, self._rows())
        return "\n".join([f"Table: {self._size()}", *lines, *self._more()])

    def _repr_html_(self) -> str:
        return html_table(self._size(), self.column_names, self._rows()) + "".join(self._more())

    def _size(self) -> str:
        rows, columns = self.arrow.shape
        return (
            f"{rows} row{'' if rows == 1 else 's'}, {columns} column{'' if columns == 1 else 's'}"
        )

    def _rows(self) -> list[list[str]]:
        return [[*map(cell_text, row.values())] for row in plain_rows(self.arrow[:SHOWN])]

    def _more(self) -> list[str]:
        return [f"… {self.num_rows - SHOWN} more rows"] if self.num_rows > SHOWN else []


def plain_rows(table: pa.Table) -> list[dict[str, Any]]:
    """Rows as plain values, times as ISO 8601: a Python datetime has no nanoseconds."""
    import pyarrow as pa

    for position, field in enumerate(table.schema):
        if pa.types.is_timestamp(field.type):
            text = table.column(position).cast(pa.string())
            table = table.set_column(position, field.name, text)
    rows: list[dict[str, Any]] = table.to_pylist()
    return rows


def cell_text(value: Any) -> str:
    """A cell as it is shown to people: six significant digits, nothing for null."""
    if value is None:
        return ""
    if isinstance(value, float):
        return f"{value:.6g}"
    if isinstance(value, list):
        shown = ", ".join(cell_text(item) for item in value[:4])
        return f"[{shown}, … {len(value) - 4} more]" if len(value) > 4 else f"[{shown}]"
    return str(value)
