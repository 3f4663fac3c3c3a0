"""`mlx env`: what a run ran with, and whether that is what there is now."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click
import msgspec

from specplan.cli.arguments import complete_runs, root_option
from specplan.cli.tables import write_fields, write_json

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from specplan.run.surroundings import EnvironmentChanges


@click.command()
@click.argument("run", shell_complete=complete_runs)
@root_option
@click.option("--verify", is_flag=True, help="Compare it with what there is now.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.pass_context
def command(
    context: click.Context, run: str, root: Path | None, verify: bool, as_json: bool
) -> None:
    """Print what RUN ran with: packages, host, process, variables and repository.

    With --verify, print what is not so in this environment: versions that changed, packages that are
    missing or extra, another machine or other variables. Exit code 1 if anything differs.

    \b
    Example:
      mlx env digits/20260101-120000
      mlx env digits --verify --json
    """
    from specplan.errors import RunError
    from specplan.results.compare import environment_of
    from specplan.results.open import open_run

    opened = open_run(run, root=root)
    then = environment_of(opened)
    if not then:
        raise RunError(f"run `{opened.folder.place}` has no environment.json")
    if not verify:
        _write(then, as_json=as_json)
        return
    from specplan.run.environment import environment, versions
    from specplan.run.surroundings import environment_changes

    changes = environment_changes(then, environment(None, versions()))
    if as_json:
        write_json({"run": opened.id, "same": not changes, **msgspec.to_builtins(changes)})
    else:
        for line in _lines(changes):
            click.echo(line)
    context.exit(1 if changes else 0)


def _write(environment: Mapping[str, Any], *, as_json: bool) -> None:
    if as_json:
        write_json(environment)
        return
    blank = ""
    for name, section in environment.items():
        if fields := [*_leaves(section)]:
            click.secho(f"{blank}{name}", bold=True)
            write_fields(fields)
            blank = "\n"


def _leaves(value: Any, key: str = "") -> Iterator[tuple[str, str]]:
    if isinstance(value, dict):
        for inner, each in value.items():
            yield from _leaves(each, f"{key}.{inner}" if key else str(inner))
    elif isinstance(value, list) and value:
        words = [
            msgspec.json.encode(each).decode() if isinstance(each, dict) else str(each)
            for each in value
        ]
        yield key, " ".join(words)
    elif value not in (None, []):
        yield key, str(value)


def _lines(changes: EnvironmentChanges) -> Iterator[str]:
    from specplan.run.surroundings import told

    for name, each in changes.version_changes.items():
        yield told(name, each)
    for name, version in changes.missing.items():
        yield f"{name}: {version} then, missing now"
    for name, version in changes.extra.items():
        yield f"{name}: {version} now, not there then"
    for name, each in changes.other.items():
        yield told(name, each)
    if not changes:
        yield "this environment is the one that the run had"
