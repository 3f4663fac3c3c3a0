"""Columns of every kind: found by their labels, and the same live as in the Parquet file."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch

from specplan._native import Store, export_execution
from specplan.errors import RunError
from specplan.results.open import Run
from specplan.results.ragged import Ragged
from specplan.results.texts import Texts
from specplan.store.layout import RunFolder

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

BATCHES, ROWS = 3, 4
LABELS = {"phase": "test.eval", "role": "default"}


def arrays(batch: int, dtype: str) -> list[torch.Tensor]:
    shapes = [(row, batch + 1) for row in range(ROWS)]
    return [torch.full(shape, batch).to(getattr(torch, dtype)) for shape in shapes]


@pytest.fixture
def folder(root: Path, write_run_file: Callable[..., None]) -> RunFolder:
    folder = RunFolder(root / "toy" / "20261121-120000")
    write_run_file(folder)
    return folder


@pytest.fixture
def store(folder: RunFolder) -> Iterator[Store]:
    store = Store.create(str(folder.records), run_id="20261121-120000")
    ids = store.tensor(**LABELS, node="Data", field="sample_id", dtype="int64", shape=())
    tensors = {
        dtype: store.tensor(**LABELS, node="Net", field=dtype, dtype=dtype, shape=(2,))
        for dtype in ("float32", "bool", "bfloat16", "float8_e5m2", "complex64")
    }
    flag = store.tensor(**LABELS, node="Net", field="flag", dtype="bool", shape=())
    ragged = {
        dtype: store.ragged(**LABELS, node="Net", field=f"r_{dtype}", dtype=dtype, dimensions=2)
        for dtype in ("float32", "bool", "bfloat16")
    }
    words = store.text(phase="test.eval", node="Net", role="default", field="words")
    facts = store.text(phase="test.eval", node="Net", role="default", field="facts", json=True)
    for batch in range(BATCHES):
        ids.record(np.arange(ROWS) + batch * ROWS, 0, batch)
        for dtype, channel in tensors.items():
            channel.record(torch.full((ROWS, 2), batch).to(getattr(torch, dtype)), 0, batch)
        flag.record(np.arange(ROWS) % 2 == batch % 2, 0, batch)
        for dtype, column in ragged.items():
            column.record(arrays(batch, dtype), 0, batch)
        words.record([f"é{row}" * row for row in range(ROWS)], 0, batch)
        facts.record([json.dumps({"row": row}) for row in range(ROWS)], 0, batch)
    store.sync()
    yield store
    store.close()


def test_ragged_columns(store: Store, folder: RunFolder) -> None:
    del store
    column = Run(folder).ragged("Net", "r_float32")
    assert isinstance(column, Ragged)
    assert (column.dtype, column.shape, len(column), column.rows) == (
        "float32",
        (None, None),
        3,
        12,
    )
    for (_, batch), found in column.items():
        for array, expected in zip(found, arrays(batch, "float32"), strict=True):
            np.testing.assert_array_equal(array, expected.numpy())
    assert column.arrow().to_pylist()[2] == {"data": [0.0, 0.0], "shape": [2, 1]}
    assert repr(column) == "Ragged(test.eval: Net.r_float32, float32 [?, ?], 3 batches, 12 rows)"
    with pytest.raises(KeyError, match="batch 7 of epoch 0 is not recorded; batches 0 to 2 are"):
        column[0, 7]


def test_texts(store: Store, folder: RunFolder) -> None:
    del store
    run = Run(folder)
    words = run.texts("Net", "words")
    assert isinstance(words, Texts)
    assert words[0, 1] == ["", "é1", "é2é2", "é3é3é3"]
    assert words.arrow().to_pylist() == words[0, 0] * 3
    assert repr(words) == "Texts(test.eval: Net.words, string, 3 batches, 12 rows)"
    facts = run.texts("Net", "facts")
    assert facts.dtype == "json"
    assert [json.loads(text)["row"] for text in facts[0, 2]] == [0, 1, 2, 3]


def test_a_column_of_another_kind_says_how_it_is_read(store: Store, folder: RunFolder) -> None:
    del store
    run = Run(folder)
    with pytest.raises(RunError, match=r'recorded as ragged\nhint: run.ragged\("Net", "r_bool"\)'):
        run.tensors("Net", "r_bool")
    with pytest.raises(RunError, match=r'recorded as tensors\nhint: run.tensors\("Net", "flag"\)'):
        run.texts("Net", "flag")
    with pytest.raises(RunError, match="`Net.points` is not recorded; recorded: .*`Net.words`"):
        run.ragged("Net", "points")


def test_a_live_table_is_that_of_the_parquet_file(store: Store, folder: RunFolder) -> None:
    live = Run(folder).execution("test.eval").arrow
    store.close()
    path = folder.path / "table.parquet"
    export_execution(str(folder.records), "test.eval", str(path), run_id="20261121-120000")
    written = pq.read_table(path)
    assert sorted(live.column_names) == sorted(written.column_names)
    live = live.select(written.column_names)
    for name in written.column_names:
        assert live.column(name).to_pylist() == written.column(name).to_pylist(), name
        assert live.column(name).type == written.column(name).type, name
    assert live.column("Net.bfloat16").to_pylist()[-1] == [2.0, 2.0]


def test_batches_that_lie_apart(store: Store, folder: RunFolder) -> None:
    again = store.tensor(**LABELS, node="Net", field="flag", dtype="bool", shape=())
    again.record(np.zeros(ROWS, bool), 0, 1)
    store.sync()
    table = Run(folder).execution("test.eval").to_polars()
    assert table["Net.flag"].to_list()[ROWS : 2 * ROWS] == [False] * ROWS
    assert table["Net.words"].to_list()[ROWS : 2 * ROWS] == ["", "é1", "é2é2", "é3é3é3"]
    assert table["Net.r_bfloat16"].struct.field("data").to_list()[-1] == [2.0] * 9
