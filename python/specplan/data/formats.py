"""Columns in the form in which a program wants them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from specplan.spec.wording import choices

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import pandas
    import torch
    from numpy.typing import NDArray

    Columns = Mapping[str, NDArray[Any]]


def in_format(columns: Columns, fmt: str) -> Any:
    """`columns` as `fmt`, one of the names in `FORMATS`, in any case.

    Raises:
        TypeError: `fmt` is no str.
        ValueError: there is no such format, or the columns do not fit into it.
    """
    if not isinstance(fmt, str):
        raise TypeError(f"fmt is a str, not {type(fmt).__name__}")
    form = FORMATS.get(fmt.lower())
    if form is None:
        raise ValueError(f"there is no format `{fmt}`; known: {choices(fmt, FORMATS)}")
    return form(columns)


def as_frame(columns: Columns) -> pandas.DataFrame:
    """A DataFrame; rows that are arrays are lists in it."""
    import pandas

    return pandas.DataFrame(
        {name: list(rows) if rows.ndim > 1 else rows for name, rows in columns.items()}
    )


def _joined(columns: Columns) -> NDArray[Any]:
    """One array, the columns on axis 1; columns of different shapes are flattened and joined."""
    if len({rows.dtype.kind in "biuf" for rows in columns.values()}) > 1:
        raise ValueError(
            f"columns of numbers and of text make no one array: {', '.join(columns)}; "
            'take `fmt="dict_numpy"`'
        )
    parts = list(columns.values())
    if len({rows.shape for rows in parts}) == 1:
        return np.stack(parts, axis=1)
    return np.concatenate([rows.reshape(len(rows), -1) for rows in parts], axis=1)


def _tensor(array: NDArray[Any]) -> torch.Tensor:
    from specplan.models.torch.arrays import tensor_of

    return tensor_of(array)


def _lists(columns: Columns) -> dict[str, list[Any]]:
    return {name: rows.tolist() for name, rows in columns.items()}


def _tensors(columns: Columns) -> dict[str, torch.Tensor]:
    return {name: _tensor(rows) for name, rows in columns.items()}


FORMATS: Mapping[str, Callable[[Columns], Any]] = {
    "dict": _lists,
    "dict_list": _lists,
    "dict_numpy": dict,
    "dict_torch": _tensors,
    "list": lambda columns: [list(row) for row in zip(*_lists(columns).values(), strict=True)],
    "numpy": _joined,
    "np": _joined,
    "torch": lambda columns: _tensor(_joined(columns)),
    "torch.tensor": lambda columns: _tensor(_joined(columns)),
    "pandas": as_frame,
    "pd": as_frame,
    "df": as_frame,
}
"""What `fmt` can be."""
