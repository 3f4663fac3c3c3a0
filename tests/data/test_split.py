"""Which rows go to which split."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from specplan._native import Division, shuffled
from specplan.components.split import ColumnSplit, OrderedSplit, RandomSplit
from specplan.data.cut import CutError
from specplan.data.keys import keys_of
from specplan.data.split import cut, split_sizes

if TYPE_CHECKING:
    from numpy.typing import NDArray

RATIOS = {"train": 0.6, "val": 0.25, "test": 0.15}


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


@pytest.mark.parametrize("seed", [0, 1, 13, 2**32 - 1, 2**32, 2**53 - 1, 2**64 - 1])
@pytest.mark.parametrize("rows", [0, 1, 2, 3, 10, 257, 4096, 100_003])
def test_the_shuffle_is_that_of_numpy(rows: int, seed: int) -> None:
    order = np.arange(rows)
    np.random.default_rng(seed).shuffle(order)
    np.testing.assert_array_equal(shuffled(rows, seed), order)


def test_rows_are_a_shuffle_cut_in_the_order_of_the_ratios() -> None:
    order = np.arange(10)
    np.random.default_rng(13).shuffle(order)
    rows = cut(RandomSplit(ratios={"train": 0.8, "test": 0.2}, seed=13), 10, None).rows()
    np.testing.assert_array_equal(rows["train"], order[:8])
    np.testing.assert_array_equal(rows["test"], order[8:])
    assert rows["train"].dtype == np.int64


def test_rows_in_order() -> None:
    rows = cut(OrderedSplit(ratios=RATIOS), 20, None).rows()
    assert {name: (found[0], found[-1], len(found)) for name, found in rows.items()} == {
        "train": (0, 11, 12),
        "val": (12, 16, 5),
        "test": (17, 19, 3),
    }


columns = st.lists(st.integers(0, 12), min_size=3, max_size=200).map(np.array)


def parts(rows: dict[str, NDArray[Any]], count: int) -> None:
    """Every row is in one split."""
    assert sorted(np.concatenate(list(rows.values())).tolist()) == list(range(count))


@given(columns, st.integers(0, 2**53 - 1))
def test_groups_are_never_split(column: NDArray[Any], seed: int) -> None:
    splitter = RandomSplit(ratios=RATIOS, group_by=("c",), seed=seed)
    keys = keys_of([column])
    if len(keys.counts) < 3:
        with pytest.raises(CutError, match="gets no group"):
            cut(splitter, len(column), keys)
        return
    found = cut(splitter, len(column), keys)
    rows = found.rows()
    parts(rows, len(column))
    assert {name: len(part) for name, part in rows.items()} == found.sizes
    groups = [set(column[part].tolist()) for part in rows.values()]
    assert all(groups)
    assert sum(map(len, groups)) == len(set.union(*groups))


def test_groups_of_equal_size_keep_the_ratios() -> None:
    column = np.repeat(np.arange(20), 5)
    splitter = RandomSplit(ratios=RATIOS, group_by=("c",), seed=3)
    assert cut(splitter, 100, keys_of([column])).sizes == {"train": 60, "val": 25, "test": 15}


def test_the_seed_decides_the_groups() -> None:
    column = np.repeat(np.arange(20), 5)
    tested = {
        frozenset(column[cut(splitter, 100, keys_of([column])).rows()["test"]].tolist())
        for splitter in (
            RandomSplit(ratios=RATIOS, group_by=("c",), seed=seed) for seed in range(5)
        )
    }
    assert len(tested) == 5


@given(columns, columns, st.integers(0, 2**53 - 1))
def test_strata_keep_their_shares(first: NDArray[Any], second: NDArray[Any], seed: int) -> None:
    length = min(len(first), len(second))
    # Each pair of values several times, so that no stratum is too small.
    column = np.tile(np.stack([first[:length] // 6, second[:length] // 6]), 3)
    splitter = RandomSplit(ratios=RATIOS, stratify_by=("a", "b"), seed=seed)
    found = cut(splitter, column.shape[1], keys_of(column))
    rows = found.rows()
    parts(rows, column.shape[1])
    for name, part in rows.items():
        assert abs(len(part) - RATIOS[name] * column.shape[1]) < len(RATIOS)
        for stratum in np.unique(column, axis=1).T:
            in_stratum = (column == stratum[:, None]).all(axis=0)
            share = RATIOS[name] * in_stratum.sum()
            assert abs(in_stratum[part].sum() - share) < 1 + 1e-9


def test_strata_of_two_splits_add_up_to_the_ratios() -> None:
    column = np.repeat(np.arange(10), 3)
    splitter = RandomSplit(ratios={"train": 0.8, "test": 0.2}, stratify_by=("c",), seed=3)
    assert cut(splitter, 30, keys_of([column])).sizes == {"train": 24, "test": 6}


def test_a_stratum_that_is_too_small() -> None:
    column = np.array(["a"] * 5 + ["b"] * 2)
    with pytest.raises(CutError) as error:
        cut(RandomSplit(ratios=RATIOS, stratify_by=("kind",), seed=1), 7, keys_of([column]))
    assert error.value.code == "SP511"
    assert error.value.message == "only 2 rows with `kind` b, too few for 3 splits"


def test_rows_by_the_value_of_a_column() -> None:
    column = np.array([0, 1, 2, 3, 0, 1])
    splitter = ColumnSplit(column="fold", splits={"train": (0, 1, 2), "test": (3,)})
    found = cut(splitter, 6, keys_of([column]))
    assert found.sizes == {"train": 5, "test": 1}
    assert {name: rows.tolist() for name, rows in found.rows().items()} == {
        "train": [0, 1, 2, 4, 5],
        "test": [3],
    }
    truth = ColumnSplit(column="held_out", splits={"train": (False,), "test": (True,)})
    assert cut(truth, 3, keys_of([np.array([True, False, False])])).sizes == {"train": 2, "test": 1}


@pytest.mark.parametrize(
    ("splits", "place", "message"),
    [
        (
            {"train": ("a",), "test": ("bb",)},
            ("splits", "test", 0),
            "no row has bb in `fold`; it has `a`, `b`, `c`",
        ),
        (
            {"train": ("a", "b"), "test": ("c", "b")},
            ("splits", "test", 1),
            "the value b of `fold` is in `train` already",
        ),
        (
            {"train": ("a",), "test": ("b",)},
            ("splits",),
            "no split has the rows with `c` in `fold`, which are 2",
        ),
    ],
)
def test_values_that_do_not_match_the_splits(
    splits: dict[str, Any], place: tuple[Any, ...], message: str
) -> None:
    with pytest.raises(CutError) as error:
        cut(ColumnSplit(column="fold", splits=splits), 5, keys_of([np.array(list("abcca"))]))
    assert (error.value.code, error.value.place) == ("SP512", place)
    assert error.value.message == message


@pytest.mark.parametrize(
    ("rows", "cells", "splits"), [(3, [2, 2], 2), (3, [1, 1, 1], 2), (3, [3], 0), (3, [], 1)]
)
def test_cells_that_do_not_add_up_are_refused(rows: int, cells: list[int], splits: int) -> None:
    with pytest.raises(ValueError, match=r"^the cells do not add up to the rows$"):
        Division(rows, cells, splits, seed=1)
