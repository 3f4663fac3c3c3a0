from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from specplan._native import Keys
from specplan.data.folds import fold_parts, fold_size, ordered_parts, part_sizes


@given(rows=st.integers(2, 60), n=st.integers(2, 60), seed=st.none() | st.integers(0, 9))
def test_folds_leave_out_every_row_once(rows: int, n: int, seed: int | None) -> None:
    n = min(n, rows)
    pool = 3 * np.random.default_rng(rows).permutation(rows)
    parts = fold_parts(pool, n, seed)
    assert [len(part) for part in parts] == [fold_size(rows, n, i) for i in range(n)]
    order = np.concatenate(parts)
    assert sorted(order) == sorted(pool)
    if seed is None:
        assert order.tolist() == sorted(pool)


def test_folds_are_those_of_scikit_learn() -> None:
    from sklearn.model_selection import KFold

    pool = np.arange(23)
    parts = fold_parts(pool, 4, None)
    assert [part.tolist() for part in parts] == [part.tolist() for _, part in KFold(4).split(pool)]


@given(rows=st.integers(3, 60), n=st.integers(2, 59))
def test_ordered_folds_are_those_of_scikit_learn(rows: int, n: int) -> None:
    from sklearn.model_selection import TimeSeriesSplit

    n = min(n, rows - 1)
    pool = 3 * np.random.default_rng(rows).permutation(rows)
    parts = ordered_parts(pool, n)
    for index, (past, future) in enumerate(TimeSeriesSplit(n).split(pool)):
        assert np.concatenate(parts[: index + 1]).tolist() == [3 * row for row in past]
        assert parts[index + 1].tolist() == [3 * row for row in future]
        assert part_sizes(rows, n, index, ordered=True) == (len(past), len(future))


def keys(values: list[int]) -> Keys:
    texts = [str(value) for value in range(max(values) + 1)]
    return Keys([(np.array(values, np.uint32).tobytes(), texts)])


@given(
    values=st.lists(st.integers(0, 6), min_size=30, max_size=60),
    n=st.integers(2, 4),
    seed=st.none() | st.integers(0, 9),
)
def test_groups_stay_together(values: list[int], n: int, seed: int | None) -> None:
    pool = np.arange(0, len(values), 2)
    groups = {values[row] for row in pool}
    n = min(n, len(groups))
    parts = fold_parts(pool, n, seed, groups=keys(values))
    assert sorted(np.concatenate(parts)) == pool.tolist()
    found = [{values[row] for row in part} for part in parts]
    assert all(found)
    assert sum(map(len, found)) == len(groups)


@given(seed=st.none() | st.integers(0, 9), n=st.integers(2, 5))
def test_strata_have_their_share_of_each_part(seed: int | None, n: int) -> None:
    values = [0] * 37 + [1] * 11 + [2] * 5
    parts = fold_parts(np.arange(len(values)), n, seed, strata=keys(values))
    assert sorted(np.concatenate(parts)) == list(range(len(values)))
    for value in range(3):
        numbers = [sum(values[row] == value for row in part) for part in parts]
        assert max(numbers) - min(numbers) <= 1
    assert max(map(len, parts)) - min(map(len, parts)) <= 1
