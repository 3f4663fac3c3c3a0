"""What a program may give for a column."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest

from specplan.data.column_array import column_array


@pytest.mark.parametrize(
    "values",
    [
        [1, 2],
        [[1.0, 2.0]],
        np.array(["a", "b"], dtype=object),
        np.array([True]),
        np.ma.masked_array([1, 2], [False, False]),
    ],
)
def test_columns(values: Any) -> None:
    np.testing.assert_array_equal(column_array(values), np.asarray(values))


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (np.ma.masked_array([1, 2, 3], [False, True, True]), "has masked values in 2 rows, first in "
         "row 1; fill them in or leave them out"),
        (np.ma.masked_array([[1, 2]], [[False, True]]), "has masked values in 1 row, first in row 0; "
         "fill them in or leave them out"),
        (np.array([1.0, "a", None], dtype=object), "holds objects: None in row 2; it can hold numbers, "
         "booleans or text"),
        (np.array([["a", 1], ["b", "c"]], dtype=object), "holds objects: int in row 0; it can hold numbers, "
         "booleans or text"),
        (np.array(["2020-01-01"], "M8[D]"), "has items of type datetime64[D]; they can be numbers, booleans "
         "or text"),
        (np.zeros(2, complex), "has items of type complex128; they can be numbers, booleans or text"),
        ([[1, 2], [3]], "has rows of different shapes"),
        (3, "is a single value, not an array of rows"),
    ],
)  # fmt: skip
def test_what_is_no_column(values: Any, message: str) -> None:
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        column_array(values)
