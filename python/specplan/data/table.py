"""The columns of a table as contiguous numpy arrays, each of shape (rows, *shape of one row)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import msgspec
import numpy as np

from specplan._native import read_table_header
from specplan.data.arrow_columns import read_columns
from specplan.data.beside import beside
from specplan.errors import DataError
from specplan.spec.wording import quoted

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from specplan._native import Keys
    from specplan.data.cut import Cut


COMPILE_AGAIN = "compile the spec again"


class Table(msgspec.Struct, frozen=True):
    """Some columns of one table, how its rows are divided, the row numbers of its splits, and the keys of its folds.

    Files may be mapped, so arrays are to be taken as read-only.

    Attributes:
        learned: what the scalers learned, as plain values.
        folds: the table with columns scaled as they are inside a fold, by the path of the fold; of
            those folds in which a scaler learns from other rows.
    """

    rows: int
    columns: Mapping[str, NDArray[Any]]
    cut: Cut | None = None
    splits: Mapping[str, NDArray[np.int64]] = {}
    keys: Mapping[tuple[str, ...], Keys] = {}
    sampled: Mapping[str, NDArray[Any]] = {}
    """Columns that samplers look at."""
    learned: Sequence[Mapping[str, Any]] = ()
    folds: Mapping[str, Table] = {}

    def sampled_at(
        self, names: Sequence[str], positions: NDArray[np.int64] | None
    ) -> dict[str, NDArray[Any]]:
        """Columns that samplers look at, at `positions`; None stands for all rows."""
        return {
            name: self.sampled[name] if positions is None else self.sampled[name][positions]
            for name in names
        }

    def inside(self, fold: str | None) -> Table:
        """The table as phases of a fold read it, by the path of the fold; None outside of all."""
        return self if fold is None else self.folds.get(fold, self)

    def read(
        self,
        columns: Sequence[str],
        positions: NDArray[np.int64] | None,
        *,
        dtype: str,
        shape: tuple[int, ...],
    ) -> NDArray[Any]:
        """The rows at `positions` (all for None) of `columns`, joined along the last axis of a row, cast and viewed.

        Raises:
            DataError: a value is beyond the range of `dtype`.
        """
        parts = [self.columns[name] for name in columns]
        if positions is not None:
            parts = [part[positions] for part in parts]
        if len(parts) > 1:
            parts = [part[:, None] if part.ndim == 1 else part for part in parts]
            joined = np.concatenate(parts, axis=-1)
        else:
            joined = parts[0]
        return cast(joined, dtype, columns).reshape(len(joined), *shape)


def cast(rows: NDArray[Any], dtype: str, columns: Sequence[str]) -> NDArray[Any]:
    """`rows`, which come from `columns`, contiguous and as `dtype`; without a copy where they are so already.

    Raises:
        DataError: a value is beyond the range of `dtype`.
    """
    try:
        with np.errstate(over="raise"):
            return np.ascontiguousarray(rows, dtype=dtype)
    except FloatingPointError:
        message = f"{quoted(columns)} has values beyond the range of {dtype}"
        raise DataError(message, code="SP507", column=columns[0]) from None


def read_file(
    path: Path,
    format: Literal["parquet", "arrow"],
    *,
    digest: str,
    shapes: Mapping[str, tuple[int, ...]],
) -> dict[str, NDArray[Any]]:
    """The columns named in `shapes` of a file whose header still has `digest`.

    Raises:
        DataError: the file is missing, damaged, has another header, or lacks a column; or a row holds
            a null or has another shape.
    """
    if not path.is_file():
        raise DataError(f"there is no file `{path}`", code="SP501", hint=beside(path))
    header = read_table_header(str(path), format)
    if header.digest != digest:
        message = (
            f"`{path}` changed since the plan was compiled (its header is {header.digest[:15]}…, "
            f"the plan says {digest[:15]}…)"
        )
        raise DataError(message, code="SP502", hint=COMPILE_AGAIN)
    missing = shapes.keys() - {column.name for column in header.columns}
    if missing:
        raise DataError(f"`{path}` has no column {quoted(sorted(missing))}", code="SP302")
    return read_columns(path, format, shapes)
