from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from specplan.data.folds import fold_rows, fold_size


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
