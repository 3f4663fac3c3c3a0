from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest

from specplan.code.division import digest_of_rows, divided
from specplan.data.chosen_rows import taken
from specplan.errors import RunError


def made(splits: Any) -> Any:
    return divided(lambda _rows, _generator: splits, "`mine`", 7, 5)


def test_rows_are_numbers_or_truth_values_and_keep_their_order() -> None:
    found = made({"train": [4, 0], "test": np.array([False, True, True, False, False])})
    assert {name: rows.tolist() for name, rows in found.items()} == {
        "train": [4, 0],
        "test": [1, 2],
    }
    cut = taken(found, 5)
    assert (cut.sizes, cut.left) == ({"train": 2, "test": 2}, 1)
    assert {name: rows.tolist() for name, rows in cut.rows().items()} == {
        "train": [4, 0],
        "test": [1, 2],
    }


def test_the_digest_tells_order_and_names_but_not_their_order() -> None:
    known = digest_of_rows(made({"a": [0, 1], "b": [2]}))
    assert digest_of_rows(made({"b": [2], "a": [0, 1]})) == known
    others = [{"a": [1, 0], "b": [2]}, {"a": [0], "b": [1, 2]}, {"c": [0, 1], "b": [2]}]
    assert known not in [digest_of_rows(made(splits)) for splits in others]


@pytest.mark.parametrize(
    ("splits", "message"),
    [
        ({}, "`mine` gave no split"),
        ({"train": []}, "`mine` gave split `train` no row"),
        ({"train": [0], "no name": [1]}, "`mine` gave the split 'no name'; a name has letters"),
        ({3: [0]}, "`mine` gave the split 3; a name has letters"),
        ({"train": [-1]}, "`mine` gave split `train` the row -1; the rows are 0 to 4"),
        ({"train": [0, 0]}, "`mine` gave split `train` the row 0 twice"),
        ({"train": [0.5]}, "`mine` gave split `train` float64 of shape (1,); a split is a list"),
        ({"train": [True]}, "`mine` gave split `train` bool of shape (1,); a split is a list"),
        ({"train": [1, 2], "test": [2]}, "`mine` gave row 2 to the splits `train`, `test`; a row"),
    ],
)
def test_splits_are_apart_and_of_the_rows(splits: Any, message: str) -> None:
    with pytest.raises(RunError, match=re.escape(message)):
        made(splits)
