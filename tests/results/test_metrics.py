"""The long table of metrics."""

from __future__ import annotations

import io
import math
import shutil
from typing import TYPE_CHECKING

import msgspec
import numpy as np
import polars
import pyarrow as pa
import pytest
from pyarrow import csv, parquet

from specplan._native import (
    MetricTable,
    Store,
    StoreReader,
    export_execution,
    export_metrics,
    read_metric_table,
)
from specplan.errors import RunError, StoreError
from specplan.results.metrics import SCHEMA, as_arrow
from specplan.results.open import Run, open_run
from specplan.results.table import plain_rows
from specplan.store.run_file import Status

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

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


def places(metrics: MetricTable) -> list[tuple[str, int | None, int | None, float]]:
    return [(row["name"], row["epoch"], row["batch"], row["value"]) for row in metrics.rows()]


def test_last_values_are_those_of_whole_epochs(run: Run) -> None:
    assert places(run.metric_rows().last({"train": 2})) == [
        ("mse", 2, None, 12.0),
        ("val_loss", 2, None, 22.0),
        ("eval_loss", 0, None, 0.5),
    ]


def test_last_values_are_those_of_the_kept_epoch(run: Run) -> None:
    assert places(run.metric_rows().last({"train": 1})) == [
        ("mse", 1, None, 11.0),
        ("val_loss", 1, None, 21.0),
        ("eval_loss", 0, None, 0.5),
    ]
    # Of an epoch that has no value, the last one counts.
    assert places(run.metric_rows(first=12).last({"train": 1})) == [
        ("mse", 2, None, 12.0),
        ("val_loss", 2, None, 22.0),
        ("eval_loss", 0, None, 0.5),
    ]


def test_last_values_of_a_series_of_batches_only(tmp_path: Path) -> None:
    store = Store.create(str(tmp_path / "records"), run_id="r")
    of_batches = store.metrics([("train", "MLP", "train", "mse")])
    for batch in range(4):
        of_batches.log(np.array([float(batch)]), 0, batch, batch)
    store.close()
    metrics = StoreReader.open(str(tmp_path / "records")).metrics(run_id="r")
    assert places(metrics.last({"train": 0})) == [("mse", 0, 3, 3.0)]


def test_last_values_of_nothing() -> None:
    nothing = MetricTable()
    assert len(nothing.last({"train": 1})) == 0
    assert (nothing.rows(), nothing.labels("name"), nothing.last_epochs()) == ([], [], {})
    assert as_arrow(nothing).equals(SCHEMA.empty_table())


def test_the_last_epochs_are_those_with_values(run: Run) -> None:
    assert run.metric_rows().last_epochs() == {"train": 2, "test.eval": 0}


def test_labels_are_those_of_rows_that_are_there(run: Run) -> None:
    metrics = run.metric_rows()
    assert metrics.labels("name") == ["mse", "val_loss", "eval_loss"]
    assert metrics.labels("node") == ["MLP"]
    assert metrics.select("phase", "test.eval").labels("split") == ["test"]
    with pytest.raises(ValueError, match="`value` is no label of metrics"):
        metrics.labels("value")  # type: ignore[arg-type]


LABELS = ["a", 'q"uote', "x,y", "line\nbreak", "", "größer als zwölf Bytes"]
VALUES = [
    *(0.1, 10.0, 1e9, 1234567890.5, 1e10, 1e16, -1.5, 1e-6, 1.5e-7, 1 / 3, 5e-324, 1e300, 0.0, -0.0),
    *(math.nan, math.inf, -math.inf),
]  # fmt: skip


@pytest.fixture
def odd(tmp_path: Path) -> Path:
    """A store with labels and values that are hard to write as text, of two sessions."""
    path = tmp_path / "records"
    store = Store.create(str(path), run_id="r")
    for label in LABELS:
        group = store.metrics([(label, label or None, label or None, label)])
        for step, value in enumerate(VALUES):
            group.log(np.array([value]), step - 1, -1, step)
    store.close()
    again = Store.open(str(path), session=2)
    again.metrics([("", None, None, "later")]).log(np.array([1.0]), -1, 7, 2**40)
    again.close()
    return path


def test_rows_are_those_of_arrow(odd: Path) -> None:
    metrics = StoreReader.open(str(odd)).metrics(run_id="r")
    plain = plain_rows(as_arrow(metrics))
    assert [list(row) for row in plain] == [COLUMNS] * len(metrics)
    assert repr(metrics.rows()) == repr(plain)
    assert {row["session"] for row in plain} == {1, 2}


def test_csv_is_that_of_arrow(odd: Path) -> None:
    metrics = StoreReader.open(str(odd)).metrics(run_id="r")
    expected = io.BytesIO()
    csv.write_csv(as_arrow(metrics), expected)
    assert metrics.csv() == expected.getvalue()


def test_a_written_table_is_read_as_it_was(odd: Path, tmp_path: Path) -> None:
    table = tmp_path / "metrics.parquet"
    export_metrics(str(odd), str(table), run_id="r")
    metrics = StoreReader.open(str(odd)).metrics(run_id="r")
    assert repr(read_metric_table(str(table)).rows()) == repr(metrics.rows())
    written = parquet.read_table(table)
    assert written.schema == SCHEMA
    assert repr(plain_rows(written)) == repr(metrics.rows())
    assert repr(read_metric_table(str(table), first=30).rows()) == repr(metrics.rows()[30:])
    assert len(read_metric_table(str(table), first=10**6)) == 0


def test_a_table_of_something_else_is_refused(run: Run, tmp_path: Path) -> None:
    table = tmp_path / "execution.parquet"
    export_execution(str(run.folder.records), "train", str(table), run_id=run.id)
    with pytest.raises(StoreError, match="column `split` is not that of a table of metrics"):
        read_metric_table(str(table))


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
