"""`mlx tag`: words to find runs by."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import click

from specplan.cli.arguments import complete_runs, root_option
from specplan.cli.tables import write_json

if TYPE_CHECKING:
    from pathlib import Path

    from specplan.store.layout import RunFolder

_MINUS = "\0"
"""Stands for the `-` of a tag to remove while options are told from it."""
_REMOVAL = re.compile(r"-[^-].*", re.DOTALL)
_HELP = "-h"


class _Command(click.Command):
    """A command whose words may begin with `-`."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        words = [
            _MINUS + word[1:] if _REMOVAL.fullmatch(word) and word != _HELP else word
            for word in args
        ]
        return super().parse_args(ctx, words)


@click.command(cls=_Command)
@click.argument("run", shell_complete=complete_runs)
@click.argument("changes", nargs=-1, metavar="[+NAME | NAME=VALUE | -NAME]...")
@root_option
@click.option("--json", "as_json", is_flag=True, help="Print a JSON array, an object for each run.")
def command(run: str, changes: tuple[str, ...], root: Path | None, as_json: bool) -> None:
    """Add tags to RUN, or take them away; print what it has then.

    RUN is a run folder, EXPERIMENT/RUN, a run id, an experiment (its newest run), or a pattern such as `digits/2026*`.
    Tags may change while a run goes on. What else is in its folder stays as it is.

    \b
    Example:
      mlx tag digits +baseline fold=3
      mlx tag "digits/2026*" -baseline
      mlx list --tag baseline
    """
    from specplan.results.catalogue import find_folders
    from specplan.results.summary import tags_text
    from specplan.store.root import runs_root
    from specplan.store.tags import change_tags, read_tags

    added, removed = _divided(changes)
    found = {
        _name(folder): change_tags(folder, added, removed) if changes else read_tags(folder)
        for folder in find_folders([run], runs_root(root), newest=True)
    }
    if as_json:
        write_json([{"run": name, "tags": tags} for name, tags in found.items()])
        return
    for name, tags in found.items():
        click.echo(f"{name}  {tags_text(tags)}".rstrip())


def _divided(changes: tuple[str, ...]) -> tuple[dict[str, str | None], list[str]]:
    added: dict[str, str | None] = {}
    removed = []
    for change in changes:
        sign, name = change[:1], change[1:]
        if sign == _MINUS:
            removed.append(name)
            continue
        name, divided, value = (name if sign == "+" else change).partition("=")
        if not divided and sign != "+":
            raise click.UsageError(
                f"what is `{change}`? `+{change}` adds a tag, `{change}=VALUE` one with a value, "
                f"`-{change}` takes it away"
            )
        if not name.strip() or not (name + value).isprintable():
            raise click.UsageError(f"{change!r} has no name of a tag, or cannot be printed")
        added[name] = value if divided else None
    return added, removed


def _name(folder: RunFolder) -> str:
    from specplan.results.status import read_run_file

    run_file = read_run_file(folder)
    return f"{run_file.experiment}/{run_file.run_id}"
