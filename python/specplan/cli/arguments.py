"""Arguments and options that several verbs share."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, cast

import click

from specplan.spec.composition import Composition

if TYPE_CHECKING:
    from collections.abc import Callable

F = TypeVar("F", bound="Callable[..., Any]")


class ExistingFile(click.ParamType[Path]):
    """The path of a file that is there."""

    name = "file"

    def convert(
        self, value: str | Path, param: click.Parameter | None, ctx: click.Context | None
    ) -> Path:
        path = Path(value)
        if path.is_file():
            return path
        if path.is_dir():
            self.fail(f"`{path}` is a folder, not a file", param, ctx)
        if not path.parent.is_dir():
            self.fail(f"no file `{path}`: there is no folder `{path.parent}`", param, ctx)
        from specplan.spec.suggest import closest

        near = closest(
            path.name, sorted(entry.name for entry in path.parent.iterdir() if entry.is_file())
        )
        hint = f"\nhint: did you mean `{path.parent / near}`?" if near else ""
        return self.fail(f"no file `{path}`{hint}", param, ctx)


def complete_runs(context: click.Context, _: click.Parameter, incomplete: str) -> list[str]:
    """Names of experiments and runs for a shell; of runs once a part of their name is there."""
    from specplan.results.walk import walk
    from specplan.store.root import runs_root

    experiments: dict[str, None] = {}
    runs = []
    for found in walk(runs_root(context.params.get("root"))):
        experiments[found.experiment] = None
        runs += [found.key, found.name] if incomplete else []
    return [name for name in (*experiments, *runs) if name.startswith(incomplete)]


def spec_argument(function: F) -> F:
    """SPEC, a file that exists."""
    return click.argument("spec", type=ExistingFile(), metavar="SPEC")(function)


def composition_options(function: F) -> F:
    """-c, --pre-yaml and --post-yaml: what is laid over and under SPEC, as the argument `composition`."""

    @click.option(
        "-c",
        "--conf",
        "overrides",
        multiple=True,
        metavar="KEY=VALUE",
        help="Replace a value of the spec, as in `-c plan.train.epochs=5`. May be repeated.",
    )
    @click.option(
        "--pre-yaml",
        "pre",
        type=ExistingFile(),
        multiple=True,
        metavar="FILE",
        help="A file that SPEC is laid over. May be repeated.",
    )
    @click.option(
        "--post-yaml",
        "post",
        type=ExistingFile(),
        multiple=True,
        metavar="FILE",
        help="A file that is laid over SPEC. May be repeated.",
    )
    @functools.wraps(function)
    def composed(
        *arguments: Any,
        overrides: tuple[str, ...],
        pre: tuple[Path, ...],
        post: tuple[Path, ...],
        **options: Any,
    ) -> Any:
        composition = Composition(pre=pre, post=post, overrides=overrides)
        return function(*arguments, composition=composition, **options)

    return cast("F", composed)


def error_format_option(function: F) -> F:
    """--format, how the errors of a spec are written."""
    return click.option(
        "--format",
        "error_format",
        type=click.Choice(["human", "json", "sarif", "github"]),
        default="human",
        show_default=True,
        help="How errors are written: for people on stderr, or on stdout as one JSON array, as SARIF 2.1.0, "
        "or as workflow commands of GitHub.",
    )(function)


def trust_option(function: F) -> F:
    """--trust, that code of the user may run."""
    return click.option(
        "--trust",
        is_flag=True,
        help="Trust the code that SPEC names, for this call only. `mlx trust` is for longer.",
    )(function)


def code_options(function: F) -> F:
    """--check-imports and --trust: what may be done with code of the user, as the argument `code`."""

    @click.option(
        "--check-imports",
        is_flag=True,
        help="Also run models of your own on a few rows, in another process. They have to be trusted.",
    )
    @trust_option
    @functools.wraps(function)
    def allowed(*arguments: Any, check_imports: bool, trust: bool, **options: Any) -> Any:
        from specplan.plan.passes.context import CodeUse

        code = CodeUse(imports="always" if check_imports else "never", trust=trust)
        return function(*arguments, code=code, **options)

    return cast("F", allowed)


def check_data_option(function: F) -> F:
    """--check-data, which looks at every row."""
    return click.option(
        "--check-data",
        is_flag=True,
        help="Look at every row of large files too: equal rows in several splits, NaN.",
    )(function)


def strict_option(function: F) -> F:
    """--strict, warnings are errors."""
    return click.option("--strict", is_flag=True, help="Treat warnings as errors.")(function)


def root_option(function: F) -> F:
    """--root, the folder of all runs."""
    return click.option(
        "--root",
        type=click.Path(file_okay=False, path_type=Path),
        metavar="DIR",
        help="Folder of all runs. [default: $SPECPLAN_HOME, else what `results.dir` of a spec says, else ./runs]",
    )(function)


def jobs_option(function: F) -> F:
    """-j, how many jobs of an experiment run at a time."""
    return click.option(
        "-j",
        "--jobs",
        type=click.IntRange(min=1),
        default=1,
        show_default=True,
        help="Jobs of `helper.xp` at a time, each in a process of its own.",
    )(function)
