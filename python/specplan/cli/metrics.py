"""`mlx metrics`: the metrics of a run as a table, JSON or CSV."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from specplan.cli.arguments import complete_runs, root_option
from specplan.cli.show import write_spreads
from specplan.cli.tables import format_option, write_json, write_table

if TYPE_CHECKING:
    from pathlib import Path

    from specplan._native import MetricTable

SHOWN = ("phase", "node", "split", "name", "epoch", "batch", "step", "value")


@click.command(context_settings={"allow_extra_args": True})
@click.argument("run", shell_complete=complete_runs)
@root_option
@click.option("--name", metavar="NAME", help="Only this metric.")
@click.option("--phase", metavar="PATH", help="Only this phase.")
@click.option("--split", metavar="SPLIT", help="Only values of this split.")
@click.option("--all", "everything", is_flag=True, help="Every value, not only the last ones.")
@format_option("json", "csv")
@click.pass_context
def command(
    context: click.Context,
    run: str,
    root: Path | None,
    name: str | None,
    phase: str | None,
    split: str | None,
    everything: bool,
    table_format: str,
) -> None:
    """Print the metrics of RUN: the last value of each series, or all values.

    Where the weights of an earlier epoch were put back, the last values are those of that epoch.

    RUN is a run folder, EXPERIMENT/RUN, a run id, or an experiment (its newest run). A run that is
    still going shows what is committed.

    \b
    Example:
      mlx metrics digits
      mlx metrics digits --name train_loss --all --format csv
    """
    if context.args:
        name_hint = f"hint: did you mean `--name {context.args[0]}`?"
        raise click.UsageError(f"one RUN, not also `{' '.join(context.args)}`\n{name_hint}")
    from specplan.results.open import open_run
    from specplan.results.summary import Summary

    opened = open_run(run, root=root)
    table = opened.metric_table(name, phase, split)
    if not len(table):
        names = opened.metric_rows().labels("name")
        click.echo(f"no such metrics; recorded: {', '.join(names) or 'none'}", err=True)
    if not everything:
        table = table.last(opened.run_file.kept_epochs)
    WRITERS[table_format](table)
    if table_format == "table" and not everything and (name, phase, split) == (None, None, None):
        write_spreads(Summary(opened))


def _write_table(table: MetricTable) -> None:
    from specplan.results.summary import cells

    write_table(SHOWN, cells(table.rows(), SHOWN))


def _write_json(table: MetricTable) -> None:
    write_json(table.rows())


def _write_csv(table: MetricTable) -> None:
    sys.stdout.flush()
    sys.stdout.buffer.write(table.csv())


WRITERS = {"table": _write_table, "json": _write_json, "csv": _write_csv}
