"""The ways to keep ten numbers of every step that `scalars.py` compares: ours, the limits, files and trackers."""

from __future__ import annotations

import csv
import json
import logging
import os
import sqlite3
from array import array
from typing import TYPE_CHECKING, Any, NamedTuple

from specplan._native import Store, export_metrics

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

    Values = dict[str, float]
    Row = NDArray[np.float64]
    Open = Callable[[Path], "Logger"]

NAMES = [f"metric_{number}" for number in range(10)]
BATCH = 1000
"""Calls that the contenders which write in batches keep back."""


def _nothing() -> None:
    pass


class Logger(NamedTuple):
    """One open contender.

    Attributes:
        log: takes the step, and its values as a dict and as a row of float64.
        readable: returns when another process can read everything that was logged.
        close: ends it; the files are complete then.
    """

    log: Callable[[int, Values, Row], object]
    readable: Callable[[], object] = _nothing
    close: Callable[[], object] = _nothing


# ---- limits -------------------------------------------------------------------------------------


def empty(_folder: Path) -> Logger:
    """A call of a Python function: what the clock and the loop cost."""

    def log(_step: int, _values: Values, _row: Row) -> None:
        pass

    return Logger(log)


def in_memory(_folder: Path) -> Logger:
    """A list of the dicts, lost when the process ends."""
    kept: list[tuple[int, Values]] = []

    def log(step: int, values: Values, _row: Row) -> None:
        kept.append((step, values))

    return Logger(log)


# ---- ours ---------------------------------------------------------------------------------------


def _store(folder: Path) -> tuple[Store, Callable[..., int]]:
    store = Store.create(str(folder / "records"), run_id="bench")
    return store, store.metrics([("train", "MLP", "train", name) for name in NAMES]).log


def specplan_row(folder: Path) -> Logger:
    """A group of ten series, logged from a row of float64 as a plan does."""
    store, group_log = _store(folder)

    def log(step: int, _values: Values, row: Row) -> None:
        group_log(row, 0, step, step)

    return Logger(log, readable=store.sync, close=store.close)


def specplan_dict(folder: Path) -> Logger:
    """The same from a dict, and compacted to Parquet at the end."""
    store, group_log = _store(folder)

    def log(step: int, values: Values, _row: Row) -> None:
        group_log(array("d", values.values()), 0, step, step)

    def close() -> None:
        store.close()
        export_metrics(str(folder / "records"), str(folder / "metrics.parquet"), run_id="bench")
        for path in sorted((folder / "records").rglob("*"), reverse=True):
            path.rmdir() if path.is_dir() else path.unlink()

    return Logger(log, readable=store.sync, close=close)


# ---- files --------------------------------------------------------------------------------------


def csv_lines(folder: Path) -> Logger:
    """A line for each step."""
    file = (folder / "metrics.csv").open("w", newline="")
    writer = csv.writer(file)
    writer.writerow(["step", *NAMES])

    def log(step: int, values: Values, _row: Row) -> None:
        writer.writerow([step, *values.values()])

    return Logger(log, readable=file.flush, close=file.close)


def json_lines(folder: Path) -> Logger:
    """An object for each step."""
    file = (folder / "metrics.jsonl").open("w")

    def log(step: int, values: Values, _row: Row) -> None:
        file.write(json.dumps({"step": step, **values}) + "\n")

    return Logger(log, readable=file.flush, close=file.close)


def orjson_lines(folder: Path) -> Logger:
    """An object for each step."""
    import orjson

    file = (folder / "metrics.jsonl").open("wb")

    def log(step: int, values: Values, _row: Row) -> None:
        file.write(orjson.dumps({"step": step, **values}, option=orjson.OPT_APPEND_NEWLINE))

    return Logger(log, readable=file.flush, close=file.close)


def _sqlite(folder: Path, *, every: int) -> Logger:
    connection = sqlite3.connect(folder / "metrics.db")
    connection.execute("pragma journal_mode = wal")
    connection.execute("pragma synchronous = normal")
    connection.execute("create table metrics (step integer, name text, value real)")
    insert = "insert into metrics values (?, ?, ?)"

    def log(step: int, values: Values, _row: Row) -> None:
        connection.executemany(insert, [(step, name, value) for name, value in values.items()])
        if step % every == 0:
            connection.commit()

    return Logger(log, readable=connection.commit, close=connection.close)


def sqlite_batches(folder: Path) -> Logger:
    """A row for each value, a transaction for each thousand calls."""
    return _sqlite(folder, every=BATCH)


def sqlite_each(folder: Path) -> Logger:
    """A row for each value, a transaction for each call."""
    return _sqlite(folder, every=1)


def _arrow(folder: Path, *, to_parquet: bool) -> Logger:
    import pyarrow as pa
    import pyarrow.parquet as pq

    schema = pa.schema([("step", pa.int64()), *[(name, pa.float64()) for name in NAMES]])
    pa.array([0.0])  # the first one imports pandas
    columns: list[list[Any]] = [[] for _ in schema]
    appends = [column.append for column in columns]
    if to_parquet:
        writer = pq.ParquetWriter(folder / "metrics.parquet", schema, compression="zstd")
    else:
        writer = pa.ipc.new_stream(str(folder / "metrics.arrow"), schema)

    def flush() -> None:
        if columns[0]:
            writer.write_batch(
                pa.RecordBatch.from_arrays(list(map(pa.array, columns)), schema=schema)
            )
            for column in columns:
                column.clear()

    def log(step: int, values: Values, _row: Row) -> None:
        for append, value in zip(appends, (step, *values.values()), strict=True):
            append(value)
        if len(columns[0]) == BATCH:
            flush()

    return Logger(log, readable=flush, close=writer.close)


def arrow_stream(folder: Path) -> Logger:
    """Columns in lists, a record batch for each thousand calls."""
    return _arrow(folder, to_parquet=False)


def parquet(folder: Path) -> Logger:
    """Columns in lists, a row group for each thousand calls; readable only when closed."""
    logger = _arrow(folder, to_parquet=True)

    def end() -> None:
        logger.readable()
        logger.close()

    return Logger(logger.log, readable=end)


# ---- trackers -----------------------------------------------------------------------------------


def tensorboard(folder: Path) -> Logger:
    """torch's SummaryWriter: a call for each value."""
    from torch.utils.tensorboard import SummaryWriter

    writer = SummaryWriter(str(folder))

    def log(step: int, values: Values, _row: Row) -> None:
        for name, value in values.items():
            writer.add_scalar(name, value, step)

    return Logger(log, readable=writer.flush, close=writer.close)


def _mlflow(uri: str) -> Logger:
    import mlflow

    logging.getLogger("mlflow").setLevel(logging.ERROR)
    logging.getLogger("alembic").setLevel(logging.ERROR)
    mlflow.set_tracking_uri(uri)
    mlflow.set_experiment("bench")
    mlflow.start_run()

    def log(step: int, values: Values, _row: Row) -> None:
        mlflow.log_metrics(values, step=step)

    return Logger(log, close=mlflow.end_run)


def mlflow_sqlite(folder: Path) -> Logger:
    """log_metrics into sqlite."""
    return _mlflow(f"sqlite:///{folder}/mlflow.db")


def mlflow_files(folder: Path) -> Logger:
    """log_metrics into the file store."""
    os.environ["MLFLOW_ALLOW_FILE_STORE"] = "true"
    return _mlflow(f"file://{folder}/mlruns")


def wandb(folder: Path) -> Logger:
    """A run that is offline."""
    import wandb

    settings = wandb.Settings(silent=True, console="off", x_disable_stats=True)
    run = wandb.init(mode="offline", dir=str(folder), project="bench", settings=settings)

    def log(step: int, values: Values, _row: Row) -> None:
        run.log(values, step=step)

    return Logger(log, readable=run.finish)


def aim(folder: Path) -> Logger:
    """A run in a local repository."""
    from aim import Run

    run = Run(repo=str(folder), system_tracking_interval=None, capture_terminal_logs=False)

    def log(step: int, values: Values, _row: Row) -> None:
        run.track(values, step=step)

    return Logger(log, readable=run.close)


def trackio(folder: Path) -> Logger:
    """A local project."""
    os.environ.update(TRACKIO_DIR=str(folder), HF_HUB_OFFLINE="1", GRADIO_ANALYTICS_ENABLED="False")
    import trackio

    trackio.init(project=folder.name, embed=False)

    def log(step: int, values: Values, _row: Row) -> None:
        trackio.log(values, step=step)

    return Logger(log, readable=trackio.finish)


def dvclive(folder: Path) -> Logger:
    """A call for each value, then next_step, which rewrites the summary."""
    from dvclive import Live

    live = Live(str(folder / "dvclive"), save_dvc_exp=False, report=None, dvcyaml=None)

    def log(_step: int, values: Values, _row: Row) -> None:
        for name, value in values.items():
            live.log_metric(name, value)
        live.next_step()

    return Logger(log, close=live.end)


EMPTY = "limit: an empty call"
LIST = "limit: list.append"
OURS = "**specplan, a row of ten**"
OURS_DICT = "**specplan, a dict of ten; then compacted**"

LOGGERS: dict[str, tuple[Open, str | None]] = {
    EMPTY: (empty, None),
    LIST: (in_memory, None),
    OURS: (specplan_row, None),
    OURS_DICT: (specplan_dict, None),
    "pyarrow columns, IPC stream": (arrow_stream, None),
    "pyarrow columns, Parquet zstd": (parquet, None),
    "orjson lines": (orjson_lines, "orjson"),
    "json lines": (json_lines, None),
    "csv": (csv_lines, None),
    "sqlite WAL, commit each 1,000 calls": (sqlite_batches, None),
    "sqlite WAL, commit each call": (sqlite_each, None),
    "TensorBoard (torch)": (tensorboard, "tensorboard"),
    "trackio": (trackio, "trackio"),
    "W&B offline": (wandb, "wandb"),
    "Aim": (aim, "aim"),
    "MLflow, sqlite": (mlflow_sqlite, "mlflow"),
    "MLflow, file store": (mlflow_files, "mlflow"),
    "dvclive": (dvclive, "dvclive"),
}
TRACKERS = list(LOGGERS)[list(LOGGERS).index("TensorBoard (torch)") :]
