"""SQL over runs, those that go on included."""

from __future__ import annotations

import re
from functools import partial
from typing import TYPE_CHECKING, Any

import msgspec
import pyarrow as pa

from specplan.errors import RunError
from specplan.plan.by_feed import tables_of
from specplan.results.metrics import SCHEMA
from specplan.results.settings import settings
from specplan.results.table import Table
from specplan.spec.wording import quoted

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from specplan.results.open import Run


def query(runs: Sequence[Run], sql: str) -> Table:
    """Answer a question to DuckDB.

    Tables are `runs` (run_id, experiment, version, status, created_at, plan_id, folder), `params` (run_id,
    name, value, number), `metrics` (as of `Run.metrics`), and for each table of a phase `execution_<table>`,
    with `_` for what a name of SQL cannot have.

    Raises:
        ImportError: duckdb is not installed.
        RunError: DuckDB does not understand the question.
    """
    try:
        import duckdb
    except ImportError as error:
        raise ImportError("SQL needs duckdb: pip install 'specplan[duckdb]'") from error
    tables = _tables(runs)
    connection = duckdb.connect()
    try:
        for name, make in tables.items():
            if re.search(rf"\b{re.escape(name)}\b", sql, re.IGNORECASE):
                connection.register(name, make())
        return Table(connection.sql(sql).to_arrow_table())
    except duckdb.CatalogException as error:
        # DuckDB's own guess is among tables of its own, as those of runs are made only where they are asked for.
        said = str(error).partition("\nDid you mean")[0]
        raise RunError(f"{said}\nhint: tables of these runs: {quoted(tables)}") from error
    except duckdb.Error as error:
        raise RunError(str(error)) from error
    finally:
        connection.close()


def table_name(phase: str) -> str:
    """The table that holds what a phase recorded."""
    return "execution_" + re.sub(r"\W", "_", phase)


def _tables(runs: Sequence[Run]) -> dict[str, Callable[[], pa.Table]]:
    tables: dict[str, Callable[[], pa.Table]] = {
        "runs": lambda: _runs(runs),
        "params": lambda: _params(runs),
        "metrics": lambda: pa.concat_tables(
            [SCHEMA.empty_table(), *(run.metrics().arrow for run in runs)]
        ),
    }
    for table in dict.fromkeys(table for run in runs for table in _planned_tables(run)):
        tables[table_name(table)] = partial(_execution, runs, table)
    return tables


def _runs(runs: Sequence[Run]) -> pa.Table:
    rows = [
        {
            "run_id": run.id,
            "experiment": run.experiment,
            "version": run.version,
            "status": str(run.status),
            "created_at": run.run_file.created_at,
            "plan_id": run.run_file.plan_id,
            "folder": str(run.folder.place),
        }
        for run in runs
    ]
    return pa.Table.from_pylist(rows)


def _params(runs: Sequence[Run]) -> pa.Table:
    rows = [
        {"run_id": run.id, "name": name, "value": _text(value), "number": _number(value)}
        for run in runs
        for name, value in settings(run.folder).items()
    ]
    names = [("run_id", pa.string()), ("name", pa.string()), ("value", pa.string())]
    return pa.Table.from_pylist(rows, schema=pa.schema([*names, ("number", pa.float64())]))


def _planned_tables(run: Run) -> list[str]:
    return [table for phase in run.plan.phases for table in tables_of(run.plan.graph, phase)]


def _execution(runs: Sequence[Run], table: str) -> pa.Table:
    tables = [run.execution(table).arrow for run in runs if table in run.execution_tables()]
    if not tables:
        raise RunError(f"phase `{table}` recorded nothing")
    return pa.concat_tables(tables, promote_options="default")


def _text(value: Any) -> str:
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()


def _number(value: Any) -> float | None:
    return float(value) if isinstance(value, int | float) else None
