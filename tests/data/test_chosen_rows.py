"""Splits by conditions, and by columns of positions."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest

from specplan.components.split import ConditionSplit, RowsSplit
from specplan.data.chosen_rows import choose, choose_by_keys, columns_named
from specplan.data.cut import CutError
from specplan.data.keys import keys_of

COLUMNS: dict[str, Any] = {
    "cycle": np.array([5, 1, 7, 3, 9, 2]),
    "kind": np.array(["a", "b", "a", "a", "b", "b"]),
    "train": np.array([1, -1, 0, -1, 2, -1]),
    "judged": np.array([False, True, False, True, False, False]),
}
CONDITIONS = ConditionSplit(
    splits={"train": {"cycle": {"gte": 3, "lt": 9}, "kind": "a"}, "test": {"cycle": (1, 2)}}
)
DTYPES = {"cycle": "int64", "kind": "string", "train": "int64", "judged": "bool"}


def test_conditions_choose_rows_in_their_order() -> None:
    found = choose(CONDITIONS, COLUMNS)
    assert found.sizes == {"train": 3, "test": 2}
    assert {name: rows.tolist() for name, rows in found.rows().items()} == {
        "train": [0, 2, 3],
        "test": [1, 5],
    }
    assert found.left == 1


def test_columns_of_positions_have_an_order_and_may_overlap() -> None:
    splitter = RowsSplit(splits={"train": "train", "test": "judged", "again": "train"})
    found = choose(splitter, COLUMNS)
    assert {name: rows.tolist() for name, rows in found.rows().items()} == {
        "train": [2, 0, 4],
        "test": [1, 3],
        "again": [2, 0, 4],
    }
    division = found.division()
    assert [sorted(division.split(index).tolist()) for index in range(4)] == [
        [0, 2, 4],
        [1, 3],
        [],
        [5],
    ]


@pytest.mark.parametrize(
    "splitter", [CONDITIONS, RowsSplit(splits={"train": "train", "test": "judged"})]
)
def test_keys_of_a_file_give_the_sizes_of_its_rows(splitter: Any) -> None:
    names = columns_named(splitter)
    keys = keys_of(COLUMNS[name] for name in names)
    found = choose_by_keys(splitter, keys, [DTYPES[name] for name in names])
    rows = choose(splitter, COLUMNS)
    assert found.sizes == rows.sizes
    assert found.left == rows.left
    for index in range(len(found.sizes)):
        assert found.division().split(index).tolist() == sorted(
            rows.division().split(index).tolist()
        )


@pytest.mark.parametrize(
    ("splits", "code", "message"),
    [
        ({"a": {"cycle": {"lt": 9}}, "b": {"kind": "b"}}, "SP515",
         "rows meet the conditions of both `a` and `b`\nhint: a row is in one split; "
         "columns of positions, `use: rows`, may overlap"),
        ({"a": {"cycle": {"lt": 0}}}, "SP504", "split `a` gets no row"),
        ({"a": {"cycle": "x"}}, "SP515", "EQ('x') compares 'x' with rows of numbers"),
        ({"a": {"kind": {"lambda": "lambda x: x.upper()"}}}, "SP515", "`lambda x: x.upper()`: `x.upper()` is not"),
        ({"a": {}}, "SP515", "split `a` has no condition"),
    ],
)  # fmt: skip
def test_conditions_that_make_no_splits(splits: Any, code: str, message: str) -> None:
    with pytest.raises(CutError, match=f"^{re.escape(message)}") as caught:
        choose(ConditionSplit(splits=splits), COLUMNS)
    assert caught.value.code == code
