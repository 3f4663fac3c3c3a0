"""The command `mlx`: which verbs there are, and how each way to end becomes an exit code."""

from __future__ import annotations

import errno
import gc
import importlib
import os
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import click

from specplan.errors import CAN_BE_RESUMED, DataError, GracefulTimeout, RunStopped, SpecplanError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import FrameType

    from click.shell_completion import CompletionItem

VERBS = {
    "init": "Write a first spec, with the schema for editors.",
    "compile": "Turn a spec into a plan.",
    "explain": "Print what a spec or a plan would run.",
    "plan": "Print what a run will take.",
    "diff": "Say what differs between two specs, plans or runs.",
    "validate": "Check a spec, also without its data.",
    "schema": "Print the JSON schema of specs.",
    "trust": "Trust code of your own, so that runs may execute it.",
    "run": "Run a spec or a plan.",
    "sweep": "Run a spec with many values.",
    "resume": "Go on with a run that was stopped or killed.",
    "run-experiment": "Run a function of your own with a YAML file.",
    "experiments": "List experiments, or watch them.",
    "list": "List the runs below a root.",
    "tag": "Tag runs, to find them by.",
    "show": "Show how a run stands and what it recorded.",
    "env": "Show what a run ran with, or compare it with now.",
    "metrics": "Print the metrics of a run.",
    "compare": "Show runs side by side.",
    "best": "Rank runs by a metric.",
    "query": "Ask a question in SQL about runs.",
    "report": "Write a run as one HTML page.",
    "export": "Write the tables of a run, or all of it for another tool.",
    "import": "Make run folders of the runs of other tools.",
    "sync": "Send runs to MLflow or TensorBoard.",
    "serve": "Take the runs of programs over the network.",
    "verify": "Compare every file of a run with its digests.",
    "rm": "Remove runs.",
    "gc": "Remove what nobody needs.",
    "archive": "Write a run as one file, or put it back.",
    "repair": "Save what is whole of a damaged run into a copy.",
    "doctor": "Say what specplan finds here, and what is wrong with it.",
    "completion": "Print the script by which a shell completes.",
}
"""Each verb is the `command` of the module with its name, imported when it is called."""
MODULES = {"import": "import_runs"}
"""The modules of verbs whose names no module can have."""

_READING = ("compile", "diff", "explain", "plan", "schema", "validate")
"""Verbs that read and write texts: nothing that they make is large, and little of it is garbage."""

OTHER_WORDS = {
    "--output": ("--to", "-o"),
    "--out": ("--to", "-o"),
    "--filter": ("--where",),
    "--order": ("--sort",),
    "--yes": ("--perform",),
    "--force": ("--perform",),
    "--dir": ("--root",),
}
"""What options are called elsewhere, and here."""

COMPLETE = "_MLX_COMPLETE"
"""The variable by which the script of a shell asks for words."""

BROKEN_PIPE = 128 + 13


class Verbs(click.Group):
    """A group that imports a verb only when it is called, so that `mlx --help` stays quick."""

    def list_commands(self, _ctx: click.Context) -> list[str]:
        return list(VERBS)

    def get_command(self, _ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in VERBS:
            return None
        gc.enable()
        if cmd_name in _READING:
            gc.set_threshold(10_000, 50, 50)
        command: click.Command = importlib.import_module(
            f"specplan.cli.{module_of(cmd_name)}"
        ).command
        if DEBUG not in command.params:
            command.params.append(DEBUG)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        name = args[0]
        if name not in VERBS and not name.startswith("-"):
            from specplan.spec.suggest import closest

            near = closest(name, VERBS)
            hint = f"\nhint: did you mean `{near}`?" if near else ""
            ctx.fail(f"unknown command `{name}`; known: {', '.join(VERBS)}{hint}")
        return super().resolve_command(ctx, args)

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """The verbs, without importing them, or the options."""
        from click.shell_completion import CompletionItem

        verbs = [CompletionItem(name, help=VERBS[name]) for name in VERBS]
        found = [item for item in verbs if item.value.startswith(incomplete)]
        return found or click.Command.shell_complete(self, ctx, incomplete)

    def format_commands(self, _ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(VERBS.items()))


def module_of(verb: str) -> str:
    """The module of a verb in this package."""
    return MODULES.get(verb, verb.replace("-", "_"))


def _turn_debug_on(ctx: click.Context, _: click.Parameter, value: bool) -> None:
    if value:
        ctx.find_root().meta["specplan.debug"] = True


DEBUG = click.Option(
    ["--debug"],
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_turn_debug_on,
    help="Show the traceback of an error.",
)


def _print_version(ctx: click.Context, _: click.Parameter, value: bool) -> None:
    if not value:
        return
    from specplan._native import __version__

    click.echo(f"mlx {__version__}")
    ctx.exit()


VERSION = click.Option(
    ["--version"],
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_print_version,
    help="Show the version and exit.",
)

group = Verbs(
    name="mlx",
    help="""Compile and run machine-learning experiments.

    \b
    Example:
      mlx compile spec.json --explain
      mlx run spec.json
      mlx metrics RUN
    """,
    params=[VERSION, DEBUG],
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    no_args_is_help=True,
)


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run one verb and exit: 0 done, 1 what was asked turned out wrong, 2 wrong usage."""
    signal.signal(signal.SIGTERM, _terminate)
    if sys.stdout is None:  # closed by the shell, as in `mlx list >&-`
        sys.stdout = Path(os.devnull).open("w", encoding="utf-8")  # noqa: SIM115 -- lives as long as we
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    if COMPLETE in os.environ:
        from click.shell_completion import shell_complete

        sys.exit(shell_complete(group, {}, "mlx", COMPLETE, os.environ[COMPLETE]))
    try:
        code = _invoke(arguments)
        sys.stdout.flush()
    except OSError as error:
        if error.errno != errno.EPIPE:
            raise
        code = _abandon_stdout()
    sys.exit(code)


def _terminate(signum: int, _frame: FrameType | None) -> NoReturn:
    raise SystemExit(128 + signum)


def _invoke(arguments: list[str]) -> int:
    meta: dict[str, object] = {}
    try:
        # None lets click look whether somebody reads it on a terminal.
        colour = False if os.environ.get("NO_COLOR") else None
        with group.make_context("mlx", arguments, color=colour) as context:
            meta = context.meta
            group.invoke(context)
            return 0
    except click.exceptions.Exit as request:
        return request.exit_code
    except click.ClickException as error:
        _with_options(error).show()
        return error.exit_code
    except RunStopped:
        click.echo(err=True)
        return CAN_BE_RESUMED
    except KeyboardInterrupt:
        click.echo(err=True)
        return 128 + signal.SIGINT
    except GracefulTimeout as error:
        click.echo(f"interrupted: {error}", err=True)
        return CAN_BE_RESUMED
    except DataError as error:
        message = _data_fault(error)
        cause: BaseException = error
    except SpecplanError as error:
        message = f"error: {error}"
        cause = error
    except OSError as error:
        if error.errno == errno.EPIPE:
            raise
        said = f"{error.filename}: {error.strerror}" if error.filename else str(error)
        message = f"error: {said}"
        cause = error
    except Exception as error:  # noqa: BLE001 - the one place where a fault of ours meets the user
        message = (
            f"error: internal error: {type(error).__name__}: {error}\nhint: --debug shows where"
        )
        cause = error
    if meta.get("specplan.debug"):
        import traceback

        traceback.print_exception(cause)
    click.echo(message, err=True)
    return 1


def _with_options(error: click.ClickException) -> click.ClickException:
    """Where an option is unknown: with those that there are, and the one that was meant."""
    if not isinstance(error, click.NoSuchOption) or error.ctx is None:
        return error
    from specplan.spec.suggest import closest
    from specplan.spec.wording import quoted

    name, command = error.option_name, error.ctx.command
    options = [each for option in command.params for each in option.opts if each.startswith("-")]
    near = next((each for each in OTHER_WORDS.get(name, ()) if each in options), None)
    near = near or closest(name, options)
    hint = f"\nhint: did you mean `{near}`?" if near else ""
    return click.UsageError(f"no option `{name}`; there: {quoted(options)}{hint}", error.ctx)


def _data_fault(error: DataError) -> str:
    """With the line of the spec that it concerns, as a fault of the spec has it."""
    if error.diagnostic is None:
        return f"error: {error}"
    from specplan.spec.render import render

    return render(error.diagnostic)


def _abandon_stdout() -> int:
    # What is still buffered would be flushed, and fail again, when the interpreter ends.
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return BROKEN_PIPE


if __name__ == "__main__":
    main()
