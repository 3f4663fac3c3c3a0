"""`mlx trust`: which code of the user may run."""

from __future__ import annotations

from pathlib import Path

import click


@click.command()
@click.argument("path", required=False, type=click.Path(path_type=Path), metavar="PATH")
@click.option("--list", "as_list", is_flag=True, help="List what is trusted.")
@click.option("--remove", is_flag=True, help="Take the trust in PATH back.")
def command(path: Path | None, as_list: bool, remove: bool) -> None:
    """Trust a Python file, or all Python files below a folder, as they are now.

    A run executes code that its spec names, `use: ./nets.py:Net`, only where you said so. Read it before. When it
    changes, it has to be trusted again. A spec cannot trust anything itself.

    \b
    Example:
      mlx trust nets.py
      mlx trust .
      mlx trust --list
      mlx trust --remove nets.py
    """
    from specplan.code.trust import distrust, trust

    if as_list:
        if path is not None or remove:
            raise click.UsageError("--list takes nothing else")
        _write_list()
        return
    if path is None:
        raise click.UsageError("say what to trust: a Python file or a folder")
    if remove:
        if not distrust(path):
            raise click.ClickException(f"`{path}` is not trusted; `mlx trust --list` says what is")
        click.echo(f"{path} is not trusted any more", err=True)
        return
    if not path.exists():
        raise click.UsageError(f"no file or folder `{path}`")
    count = trust(path)
    click.echo(f"trusted {path}: {count} {'file' if count == 1 else 'files'}", err=True)


def _write_list() -> None:
    from specplan.code.trust import digest, pins

    for place, found in sorted(pins().items()):
        state = "missing" if not place.exists() else "" if digest(place) == found else "changed"
        click.echo(f"{place}  {state}".rstrip())
