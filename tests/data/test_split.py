from __future__ import annotations

import numpy as np
import pytest

from specplan.data.split import split_rows, split_sizes


@pytest.mark.parametrize(
    ("ratios", "rows", "sizes"),
    [
        ({"train": 0.8, "test": 0.2}, 442, {"train": 354, "test": 88}),
        ({"train": 0.7, "val": 0.15, "test": 0.15}, 40, {"train": 28, "val": 6, "test": 6}),
        ({"a": 1 / 3, "b": 1 / 3, "c": 1 / 3}, 10, {"a": 4, "b": 3, "c": 3}),
        ({"a": 0.1, "b": 0.9}, 30, {"a": 3, "b": 27}),
        ({"all": 1.0}, 7, {"all": 7}),
        ({"most": 0.99, "none": 0.01}, 10, {"most": 10, "none": 0}),
    ],
)
def test_sizes(ratios: dict[str, float], rows: int, sizes: dict[str, int]) -> None:
    found = split_sizes(ratios, rows)
    assert list(found.items()) == list(sizes.items())
    assert sum(found.values()) == rows


def test_rows_are_a_shuffle_cut_in_the_order_of_the_ratios() -> None:
    order = np.arange(10)
    np.random.default_rng(13).shuffle(order)
    rows = split_rows({"train": 8, "test": 2}, 13)
    np.testing.assert_array_equal(rows["train"], order[:8])
    np.testing.assert_array_equal(rows["test"], order[8:])
    assert rows["train"].dtype == np.int64
