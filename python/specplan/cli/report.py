"""`mlx report`: a run as one HTML page."""

from __future__ import annotations

from pathlib import Path

import click

from specplan.cli.arguments import complete_runs, root_option


@click.command()
@click.argument("run", shell_complete=complete_runs)
@root_option
@click.option(
    "--to",
    "target",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="Where the page goes; by default EXPERIMENT-RUN.html in the current folder.",
)
def command(run: str, root: Path | None, target: Path | None) -> None:
    """Write RUN as one HTML page with its graph, curves, tables and environment.

    The page needs no other file and no network, and has no script. RUN is a run folder, EXPERIMENT/RUN, a
    run id, or an experiment (its newest run). A run that is still going shows what is committed.

    \b
    Example:
      mlx report digits
      mlx report digits/20260101-120000 --to digits.html
    """
    from specplan.results.open import open_run

    opened = open_run(run, root=root)
    experiment = opened.experiment.rpartition("/")[2]
    click.echo(opened.report(target or Path(f"{experiment}-{opened.id}.html")))
