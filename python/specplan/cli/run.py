"""`mlx run`: a spec or a plan, with progress."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

import click
import msgspec

from specplan.cli.arguments import root_option, spec_argument
from specplan.cli.diagnose import compile_or_exit
from specplan.cli.display import choose_display
from specplan.cli.show import summary, write_json, write_last_metrics, write_places

if TYPE_CHECKING:
    from pathlib import Path

    from specplan.plan.model import Compiled


@click.command()
@spec_argument
@root_option
@click.option("--quiet", is_flag=True, help="Show no progress.")
@click.option("--json", "as_json", is_flag=True, help="Print the outcome as one JSON object.")
def command(spec: Path, root: Path | None, quiet: bool, as_json: bool) -> None:
    """Run SPEC, a spec or a plan, and print its last metrics and where the results are.

    Ctrl-C ends a run cleanly: what was recorded until then is kept.

    \b
    Example:
      mlx run spec.json
      mlx run spec.plan.json --root results --quiet
    """
    from specplan.run.run import run_plan
    from specplan.store.root import runs_root

    compiled = _compiled(spec)
    place = runs_root(root, folder=compiled.folder, results=compiled.plan.results.dir)
    outcome = run_plan(compiled, root=place, display=choose_display(quiet=quiet))
    _write_outcome(outcome.folder.path, as_json=as_json)


def _compiled(path: Path) -> Compiled:
    from specplan.plan.canonical import is_plan, read_plan

    if path.suffix == ".json":
        # A spec that is not JSON after all is refused by the compiler, which says where.
        with contextlib.suppress(msgspec.DecodeError, UnicodeDecodeError):
            if is_plan(msgspec.json.decode(path.read_bytes())):
                return read_plan(path)
    return compile_or_exit(path, "human")


def _write_outcome(folder: Path, *, as_json: bool) -> None:
    from specplan.results.open import open_run

    run = open_run(folder)
    if as_json:
        write_json(summary(run))
    else:
        write_last_metrics(run)
        write_places(run)
