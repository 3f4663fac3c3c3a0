"""`mlx init`: a first spec, and the schema that editors check it by."""

from __future__ import annotations

import json
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING

import click

from specplan.cli.arguments import ExistingFile
from specplan.cli.example import Data, example_data, example_spec, id_for

if TYPE_CHECKING:
    from collections.abc import Callable

SCHEMA = "experiment.schema.json"


@click.command()
@click.argument("spec", type=click.Path(dir_okay=False, path_type=Path), default="spec.yaml")
@click.option(
    "--data",
    type=ExistingFile(),
    metavar="FILE",
    help="A Parquet or Arrow file whose columns are filled in. [default: an example is written]",
)
@click.option("--target", metavar="COLUMN", help="Column to predict. [default: the last]")
@click.option("--force", is_flag=True, help="Write over files that are there.")
def command(spec: Path, data: Path | None, target: str | None, force: bool) -> None:
    """Write a commented example: SPEC (YAML, or JSON if it ends in .json) and its schema beside it.

    Editors that know JSON schemas complete and check the spec then, without an extension of ours.

    \b
    Example:
      mlx init
      mlx init experiments/first.json --data data/sensor.parquet --target soh
    """
    folder = spec.parent
    table = None if data is None else Data.of(data, spec=spec, target=target)
    if table is None and target is not None:
        raise click.UsageError("--target names a column of --data FILE")
    text = example_spec(
        table or Data.example(), name=id_for(spec), schema=SCHEMA, as_json=spec.suffix == ".json"
    )
    schema = files("specplan").joinpath("_schemas", SCHEMA).read_bytes()
    writes: dict[Path, Callable[[Path], object]] = {
        spec: lambda path: path.write_text(text, encoding="utf-8"),
        folder / SCHEMA: lambda path: path.write_bytes(schema),
    }
    if table is None:
        writes[folder / Data.example().path] = example_data
    for path in writes:
        if path.exists() and path.name != SCHEMA and not force:
            raise click.ClickException(
                f"`{path}` is there already\nhint: name another file, or write over it with --force"
            )
    for path, write in writes.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        write(path)
        click.echo(f"wrote {path}", err=True)
    if table is not None and table.left_out:
        names = ", ".join(f"`{name}`" for name in table.left_out)
        click.echo(f"left out, as they are not numbers of one shape: {names}", err=True)
    click.echo(f"next: mlx run {json.dumps(str(spec)) if ' ' in str(spec) else spec}", err=True)
