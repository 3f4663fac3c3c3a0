"""One row for each sample of a phase."""

from __future__ import annotations

from typing import TYPE_CHECKING

import duckdb
import numpy as np
import pandas
import polars
import pytest

from specplan._native import export_execution
from specplan.errors import RunError, StoreError
from specplan.results.open import Run

if TYPE_CHECKING:
    from collections.abc import Callable

    from specplan.store.layout import RunFolder

COLUMNS = ["run_id", "phase", "epoch", "batch", "sample_id", "MLP.outputs", "MLP.targets"]


def test_live_rows(run: Run, batch_of: Callable[[int, int], np.ndarray]) -> None:
    table = run.execution("train")
    assert table.column_names == COLUMNS
    frame = table.to_polars()
    assert frame.height == 60
    rows = frame.filter(polars.col("epoch") == 1, polars.col("batch") == 2)
    assert rows["sample_id"].to_list() == list(range(10, 15))
    np.testing.assert_array_equal(rows["MLP.outputs"].to_numpy(), batch_of(1, 2))
    assert set(frame["phase"]) == {"train"}
    assert set(frame["run_id"]) == {run.id}


def test_a_tensor_says_its_shape(run: Run) -> None:
    field = run.execution("train").arrow.schema.field("MLP.outputs")
    assert field.metadata == {b"specplan.dtype": b"float32", b"specplan.shape": b"[2]"}


def test_written_rows_equal_live_ones(run: Run, folder: RunFolder) -> None:
    live = run.execution("train").arrow
    folder.tables.mkdir()
    path = folder.execution_table("train")
    export_execution(str(folder.records), "train", str(path), run_id=run.id)
    written = run.execution("train").arrow
    assert written.schema.equals(live.schema, check_metadata=True)
    assert written.equals(live)
    assert pandas.read_parquet(path)["sample_id"].to_list() == live["sample_id"].to_pylist()
    assert polars.scan_parquet(path).collect().columns == COLUMNS
    differences = duckdb.read_parquet(str(path)).aggregate(
        """sum("MLP.outputs"[1] - "MLP.targets")"""
    )
    assert differences.fetchall()[0][0] > 0


def test_the_kept_epoch_only(
    run: Run, folder: RunFolder, write_run_file: Callable[..., None]
) -> None:
    everything = run.execution("train").to_polars()
    write_run_file(folder, kept_epochs={"train": 1})
    kept = Run(folder).execution("train").to_polars()
    assert kept.equals(everything.filter(polars.col("epoch") == 1))
    folder.tables.mkdir()
    path = folder.execution_table("train")
    export_execution(str(folder.records), "train", str(path), run_id=run.id, epoch=1)
    assert Run(folder).execution("train").to_polars().equals(kept)


def test_an_unknown_phase_lists_the_others(run: Run) -> None:
    with pytest.raises(RunError) as error:
        run.execution("eval")
    assert str(error.value) == "no phase `eval` with records; known: train, test.eval"


def test_a_damaged_table_is_named(run: Run) -> None:
    table = run.folder.execution_table("train")
    table.parent.mkdir(exist_ok=True)
    table.write_bytes(b"PAR1")
    with pytest.raises(StoreError, match=r"execution-train\.parquet` is damaged"):
        run.execution("train")
