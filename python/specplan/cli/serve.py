"""`mlx serve`: a server that takes the runs of programs."""

from __future__ import annotations

from pathlib import Path

import click
import msgspec


@click.command()
@click.argument("root", required=False, type=click.Path(file_okay=False, path_type=Path))
@click.option(
    "--host", default="127.0.0.1", show_default=True, metavar="ADDRESS", help="Where to listen."
)
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=8470,
    show_default=True,
    help="The port; 0 for any that is free.",
)
@click.option(
    "--token-file",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="The file that holds the token; made, for your eyes only, where it is not there. "
    "[default: $SPECPLAN_TOKEN, else a new token that is printed]",
)
@click.option(
    "--allow-host",
    "allowed",
    multiple=True,
    metavar="NAME",
    help="A further name by which clients may call the server, such as that of a proxy. May be repeated.",
)
@click.option("--json", "as_json", is_flag=True, help="Print where it listens as a JSON object.")
def command(
    root: Path | None,
    host: str,
    port: int,
    token_file: Path | None,
    allowed: tuple[str, ...],
    as_json: bool,
) -> None:
    """Take the runs of programs into the folder ROOT, and show them to browsers, until Ctrl-C.

    Experiments with `dash_url` and `mlx sync` send their runs here, and all commands read them below ROOT
    ($SPECPLAN_HOME or ./runs where it is not given). Every request needs the token; a browser asks for it once.

    \b
    Example:
      mlx serve runs --token-file token
      SPECPLAN_TOKEN=$(cat token) python train.py
    """
    from specplan.serve.server import listen, serve, server_token
    from specplan.store.root import runs_root

    place = runs_root(root)
    token, origin = server_token(token_file)
    place.mkdir(parents=True, exist_ok=True)
    listening = listen(host, port)
    shown = f"[{host}]" if ":" in host else host
    url = f"http://{shown}:{listening.getsockname()[1]}"
    if as_json:
        told = {"url": url, "root": str(place), "token": token if origin == "made" else None}
        click.echo(msgspec.json.encode(told))
    else:
        click.echo(f"taking runs into {place} at {url}")
        click.echo(f"token: {token}" if origin == "made" else f"token: that of {_of(origin)}")
        click.echo("its pages are at that address, in a browser; Ctrl-C ends it")
    serve(place, listening, token, allowed)


def _of(origin: str) -> str:
    return "$SPECPLAN_TOKEN" if origin == "environment" else origin
