from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from specplan.data.split import fold_rows, fold_size, split_rows, split_sizes


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


@given(rows=st.integers(2, 60), n=st.integers(2, 60), seed=st.none() | st.integers(0, 9))
def test_folds_leave_out_every_row_once(rows: int, n: int, seed: int | None) -> None:
    n = min(n, rows)
    pool = 3 * np.random.default_rng(rows).permutation(rows)
    folds = [fold_rows(pool, n, index, seed) for index in range(n)]
    assert [len(left_out) for _, left_out in folds] == [fold_size(rows, n, i) for i in range(n)]
    order = np.concatenate([left_out for _, left_out in folds])
    assert sorted(order) == sorted(pool)
    if seed is None:
        assert order.tolist() == sorted(pool)
    for known, left_out in folds:
        assert known.tolist() == [row for row in order if row not in set(left_out)]


def test_folds_are_those_of_scikit_learn() -> None:
    from sklearn.model_selection import KFold

    pool = np.arange(23)
    for index, (known, left_out) in enumerate(KFold(4).split(pool)):
        found = fold_rows(pool, 4, index, None)
        assert [part.tolist() for part in found] == [known.tolist(), left_out.tolist()]
