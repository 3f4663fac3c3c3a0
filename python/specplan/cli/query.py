"""`mlx query`: SQL over runs."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from specplan.cli.arguments import complete_runs, root_option
from specplan.cli.tables import format_option, write_json, write_table

if TYPE_CHECKING:
    from pathlib import Path

    from specplan.results.table import Table


@click.command()
@click.argument("runs", nargs=-1, shell_complete=complete_runs)
@click.argument("sql")
@root_option
@format_option("json", "csv")
def command(runs: tuple[str, ...], sql: str, root: Path | None, table_format: str) -> None:
    """Ask a question in SQL about RUNS, which may still be going.

    Tables: `runs`, `params`, `metrics`, and `execution_<phase>` of each phase that records.
    RUNS are run folders, EXPERIMENT/RUN, run ids, experiments (all of their runs) or patterns with `*`; all runs
    where none is named. It needs duckdb.

    \b
    Example:
      mlx query digits "select name, max(value) from metrics group by name"
      mlx query "digits/*" "select run_id, avg(value) from metrics where name = 'accuracy' group by 1"
    """
    from specplan.results.catalogue import find_runs
    from specplan.results.query import query
    from specplan.store.root import runs_root

    table = query(find_runs(runs, runs_root(root)), sql)
    WRITERS[table_format](table)


def _write_table(table: Table) -> None:
    from specplan.results.table import cell_text, plain_rows

    rows = [[cell_text(value) for value in row.values()] for row in plain_rows(table.arrow)]
    write_table(table.column_names, rows)
    if not rows:
        click.echo(f"no rows of {', '.join(table.column_names)}", err=True)


def _write_json(table: Table) -> None:
    from specplan.results.table import plain_rows

    write_json(plain_rows(table.arrow))


def _write_csv(table: Table) -> None:
    from pyarrow import csv

    sys.stdout.flush()
    csv.write_csv(table.arrow, sys.stdout.buffer)


WRITERS = {"table": _write_table, "json": _write_json, "csv": _write_csv}
