"""The long table of metrics."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import msgspec
import polars
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from specplan._native import export_metrics
from specplan.errors import RunError, StoreError
from specplan.results.metrics import SCHEMA, last_values
from specplan.results.open import Run, open_run
from specplan.store.run_file import Status

if TYPE_CHECKING:
    from collections.abc import Callable

    from specplan.store.layout import RunFolder

COLUMNS = [
    *("run_id", "session", "phase", "node", "split", "name"),
    *("epoch", "batch", "step", "time", "value"),
]


def test_columns(run: Run) -> None:
    table = run.metrics()
    assert table.column_names == COLUMNS
    assert table.arrow.schema == SCHEMA
    assert table.num_rows == 3 * (4 + 2) + 1
    assert set(table.to_polars()["run_id"]) == {"20261121-100000"}
    assert set(table.to_polars()["session"]) == {1}


def test_nulls(run: Run) -> None:
    frame = run.metrics().to_polars()
    epochs = frame.filter(polars.col("name") == "mse", polars.col("batch").is_null())
    assert epochs["value"].to_list() == [10.0, 11.0, 12.0]
    assert frame.filter(polars.col("name") == "val_loss")["node"].to_list() == [None] * 3


def test_selection(run: Run) -> None:
    assert run.metrics(phase="test.eval").num_rows == 1
    assert run.metrics("mse", split="train").num_rows == 15
    assert run.metrics(phase="train", split="val").num_rows == 3


@pytest.mark.parametrize(
    ("labels", "said"),
    [
        ({"name": "valloss"}, "no metric `valloss` was logged; there: `mse`, `val_loss`, `eval_loss`; did you mean `val_loss`?"),
        ({"name": "mse", "phase": "test.eval"}, "no metric `mse` was logged in phase `test.eval`; there: `eval_loss`"),
        ({"name": "mse", "split": "val"}, "no metric `mse` was logged on split `val`; there: `val_loss`"),
        ({"split": "vall"}, "no split `vall` was logged; there: `train`, `val`, `test`; did you mean `val`?"),
        ({"phase": "trian"}, "the run has no phase `trian`; it has `train`, `test.eval`; did you mean `train`?"),
    ],
)  # fmt: skip
def test_what_was_not_logged_says_what_was(run: Run, labels: dict[str, str], said: str) -> None:
    with pytest.raises(RunError) as caught:
        run.metrics(**labels)
    assert str(caught.value) == said


def test_a_run_that_goes_on_may_have_it_later(
    folder: RunFolder, write_run_file: Callable[..., None]
) -> None:
    (session,) = Run(folder).run_file.sessions
    later = msgspec.structs.replace(session, started_at="2999-01-01T00:00:00Z")
    write_run_file(folder, Status.RUNNING, sessions=(later,))
    live = Run(folder)
    assert live.status is Status.RUNNING
    assert live.metrics("later").column_names == COLUMNS
    assert live.metrics("mse", phase="test.eval").num_rows == 0
    with pytest.raises(RunError, match="the run has no phase `trian`"):
        live.metrics(phase="trian")


def test_last_values_are_those_of_whole_epochs(run: Run) -> None:
    last = last_values(run.metrics().arrow, {"train": 2}).to_pylist()
    assert [(row["name"], row["epoch"], row["batch"], row["value"]) for row in last] == [
        ("mse", 2, None, 12.0),
        ("val_loss", 2, None, 22.0),
        ("eval_loss", 0, None, 0.5),
    ]


def test_last_values_are_those_of_the_kept_epoch(run: Run) -> None:
    metrics = run.metrics().arrow
    last = last_values(metrics, {"train": 1}).to_pylist()
    assert [(row["name"], row["epoch"], row["batch"], row["value"]) for row in last] == [
        ("mse", 1, None, 11.0),
        ("val_loss", 1, None, 21.0),
        ("eval_loss", 0, None, 0.5),
    ]
    seldom = metrics.filter(pc.greater(metrics.column("epoch"), 1))
    assert last_values(seldom, {"train": 1}).column("epoch").to_pylist() == [2, 2]


def test_last_values_of_a_series_of_batches_only(run: Run) -> None:
    batches = run.metrics("mse").arrow
    batches = batches.filter(batches.column("batch").is_valid())
    assert last_values(batches, {}).column("batch").to_pylist() == [3]


def test_last_values_of_nothing(run: Run) -> None:
    assert last_values(run.metrics().arrow.slice(0, 0), {"train": 1}).num_rows == 0


def test_without_records_the_written_table_is_read(run: Run, folder: RunFolder) -> None:
    folder.tables.mkdir()
    export_metrics(str(folder.records), str(folder.metrics_table), run_id=run.id)
    live = run.metrics().arrow
    folder.records.rename(folder.path / "away")
    written = Run(folder).metrics().arrow
    assert written.equals(live)


def test_times_are_utc(run: Run) -> None:
    assert run.metrics().arrow.schema.field("time").type == pa.timestamp("ns", "UTC")


def test_a_damaged_table_where_the_records_are_gone(run: Run) -> None:
    table = run.folder.metrics_table
    table.parent.mkdir(exist_ok=True)
    table.write_bytes(b"PAR1")
    shutil.rmtree(run.folder.records)
    with pytest.raises(StoreError, match=r"metrics\.parquet` is damaged"):
        open_run(run.folder.path).metrics()
