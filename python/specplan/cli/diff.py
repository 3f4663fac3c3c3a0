"""`mlx diff`: what differs between two specs, plans or runs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click
import msgspec

from specplan.cli.arguments import composition_options, root_option
from specplan.cli.diagnose import read_or_compile
from specplan.cli.tables import write_fields, write_json, write_section
from specplan.errors import RunError
from specplan.spec.composition import NOTHING_ADDED

if TYPE_CHECKING:
    from collections.abc import Sequence

    from specplan.plan.diff import Change, PlanDiff
    from specplan.plan.model import Plan
    from specplan.results.compare import Measured
    from specplan.results.open import Run
    from specplan.spec.composition import Composition


class Subject(msgspec.Struct, frozen=True):
    """What one of the two words means: a plan, the folder where its paths start, and the run that it is of."""

    word: str
    plan: Plan
    folder: Path
    run: Run | None = None


class Compared(msgspec.Struct, frozen=True):
    """The answer as one JSON object. `a` and `b` have what was asked for and the ids of the plans."""

    same: bool
    a: dict[str, str]
    b: dict[str, str]
    numbers: Sequence[Change]
    names: Sequence[Change]
    environment: Sequence[Change] = ()
    metrics: Sequence[Measured] = ()


@click.command()
@click.argument("a", metavar="A")
@click.argument("b", metavar="B")
@composition_options
@root_option
@click.option("--json", "as_json", is_flag=True, help="Print the differences as one JSON object.")
def command(a: str, b: str, composition: Composition, root: Path | None, as_json: bool) -> None:
    """Say what differs between A and B: each a spec, a plan or a run.

    What can change a result is told from names and places. Of two runs it also says what they ran in, and
    shows their last metrics. -c, --pre-yaml and --post-yaml are for B, a spec. The exit code is 0 if the
    plans have the same id, 1 if they have not.

    \b
    Example:
      mlx diff spec.yaml other.yaml
      mlx diff spec.yaml spec.yaml -c plan.train.epochs=5
      mlx diff spec.yaml line/20260101-120000
    """
    from specplan.plan.canonical import moved_plan
    from specplan.plan.diff import diff

    before, after = _subject(a, root, NOTHING_ADDED), _subject(b, root, composition)
    # Plans of two folders say in two ways where the same file is.
    moved = moved_plan(after.plan, after.folder, before.folder)
    found = diff(before.plan, moved)
    same = before.plan.id == after.plan.id
    environment: tuple[Change, ...] = ()
    metrics: list[Measured] = []
    if before.run is not None and after.run is not None:
        from specplan.results.compare import compare_environments, compare_metrics

        environment = tuple(compare_environments(before.run, after.run))
        metrics = compare_metrics(before.run, after.run)
    if as_json:
        write_json(
            Compared(
                same, _ids(before), _ids(after), found.numbers, found.names, environment, metrics
            )
        )
    else:
        _write(before, after, found)
        _write_changes("environment", environment)
        _write_metrics(metrics)
    raise click.exceptions.Exit(0 if same else 1)


def _subject(word: str, root: Path | None, composition: Composition) -> Subject:
    from specplan.results.locate import find_run, is_archive

    if Path(word).is_file() and not is_archive(word):
        compiled = read_or_compile(Path(word), composition)
        return Subject(word, compiled.plan, compiled.folder)
    from specplan.results.open import Run
    from specplan.store.root import runs_root

    try:
        folder = find_run(word, runs_root(root), archives=True)
    except RunError as error:
        # Not 1, which says that two plans differ.
        raise click.UsageError(f"no file `{word}`, and {error}") from error
    if composition:
        raise click.UsageError(f"`{word}` is a run; -c, --pre-yaml and --post-yaml are for specs")
    run = Run(folder)
    return Subject(word, run.plan, folder.path, run)


def _ids(subject: Subject) -> dict[str, str]:
    run = {} if subject.run is None else {"run": f"{subject.run.experiment}/{subject.run.id}"}
    return {"name": subject.word, "plan": subject.plan.id, **run}


def _write(before: Subject, after: Subject, found: PlanDiff) -> None:
    write_fields([(subject.word, subject.plan.id) for subject in (before, after)])
    if found.numbers:
        _write_changes("changes the numbers", found.numbers)
    else:
        click.echo("\nthe plans have the same id: nothing that changes numbers differs")
    _write_changes("names and places only", found.names)


def _write_changes(title: str, changes: Sequence[Change]) -> None:
    if changes:
        click.echo(f"\n{title}")
        click.echo("\n".join(f"  {change}" for change in changes))


def _write_metrics(metrics: Sequence[Measured]) -> None:
    from specplan.results.table import cell_text

    header = ("phase", "split", "node", "name", "a", "b")
    rows = [[*map(cell_text, msgspec.structs.astuple(each))] for each in metrics]
    write_section("metrics", header, rows)
