"""`mlx archive`: a run as one file, and back."""

from __future__ import annotations

from pathlib import Path

import click

from specplan.cli.arguments import complete_runs, root_option
from specplan.cli.tables import write_json


@click.command()
@click.argument("run", shell_complete=complete_runs)
@root_option
@click.option(
    "--to",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Where; it gets the suffix .run.mml. [default: EXPERIMENT-RUN.run.mml]",
)
@click.option("--force", is_flag=True, help="Replace a file that is there.")
@click.option("--extract", is_flag=True, help="RUN is an archive: put its run below the root.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def command(
    run: str, root: Path | None, to: Path | None, force: bool, extract: bool, as_json: bool
) -> None:
    """Write RUN, which is over, as one file that can be kept or sent; or put it back.

    The file has every byte of the run folder, with digests, and no code. It does not remove the run: `mlx rm` does.

    \b
    Example:
      mlx archive digits/20260101-120000 --to digits.run.mml
      mlx archive digits.run.mml --extract --root elsewhere
    """
    from specplan.results.locate import find_run
    from specplan.results.run_archive import archive_run, extract_run
    from specplan.store.root import runs_root

    place = runs_root(root)
    if extract:
        if to is not None or force:
            raise click.UsageError("--extract takes neither --to nor --force; --root says where")
        written = extract_run(Path(run), place).path
    else:
        folder = find_run(run, place)
        name = f"{folder.path.parent.name}-{folder.path.name}"
        try:
            written = archive_run(folder, to or Path(name), overwrite=force)
        except FileExistsError as error:
            raise click.UsageError(
                f"`{error.args[0].split('`')[1]}` is there; --force replaces it"
            ) from error
    if as_json:
        write_json({"path": str(written)})
    else:
        click.echo(written)
