"""The command as a whole: help, exit codes, what is loaded, pipes and signals."""

from __future__ import annotations

import importlib
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any

import click
import pytest

from specplan.cli.main import VERBS, group, module_of

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    Mlx = Callable[..., subprocess.CompletedProcess[str]]

HELP = """\
Usage: mlx [OPTIONS] COMMAND [ARGS]...

  Compile and run machine-learning experiments.

  Example:
    mlx compile spec.json --explain
    mlx run spec.json
    mlx metrics RUN

Options:
  --version   Show the version and exit.
  --debug     Show the traceback of an error.
  -h, --help  Show this message and exit.

Commands:
  init            Write a first spec, with the schema for editors.
  compile         Turn a spec into a plan.
  explain         Print what a spec or a plan would run.
  plan            Print what a run will take.
  diff            Say what differs between two specs, plans or runs.
  validate        Check a spec, also without its data.
  schema          Print the JSON schema of specs.
  trust           Trust code of your own, so that runs may execute it.
  run             Run a spec or a plan.
  sweep           Run a spec with many values.
  resume          Go on with a run that was stopped or killed.
  run-experiment  Run a function of your own with a YAML file.
  experiments     List experiments, or watch them.
  list            List the runs below a root.
  tag             Tag runs, to find them by.
  show            Show how a run stands and what it recorded.
  env             Show what a run ran with, or compare it with now.
  metrics         Print the metrics of a run.
  compare         Show runs side by side.
  best            Rank runs by a metric.
  query           Ask a question in SQL about runs.
  report          Write a run as one HTML page.
  export          Write the tables of a run, or all of it for another tool.
  import          Make run folders of the runs of other tools.
  sync            Send runs to MLflow or TensorBoard.
  serve           Take the runs of programs over the network.
  verify          Compare every file of a run with its digests.
  rm              Remove runs.
  gc              Remove what nobody needs.
  archive         Write a run as one file, or put it back.
  repair          Save what is whole of a damaged run into a copy.
  doctor          Say what specplan finds here, and what is wrong with it.
  completion      Print the script by which a shell completes.
"""


@pytest.mark.parametrize("option", ["-h", "--help"])
def test_help(mlx: Mlx, option: str) -> None:
    result = mlx(option)
    assert (result.returncode, result.stdout, result.stderr) == (0, HELP, "")


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_has_help_with_an_example(verb: str) -> None:
    command = group.get_command(click.Context(group), verb)
    assert command is importlib.import_module(f"specplan.cli.{module_of(verb)}").command
    with click.Context(command, info_name=f"mlx {verb}") as context:
        text = command.get_help(context)
    assert f"  Example:\n    mlx {verb}" in text
    assert "--debug" in text


def test_version(mlx: Mlx) -> None:
    result = mlx("--version")
    assert result.returncode == 0
    assert result.stdout.startswith("mlx 0.")


def test_an_unknown_verb_is_wrong_usage(mlx: Mlx) -> None:
    result = mlx("complie", "spec.json")
    assert (result.returncode, result.stdout) == (2, "")
    assert result.stderr.endswith(
        f"Error: unknown command `complie`; known: {', '.join(VERBS)}\nhint: did you mean `compile`?\n"
    )


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ("report", "line", "--output", "x"),
            "`--root`, `--to`, `--debug`\nhint: did you mean `--to`?",
        ),
        (("tag", "line", "--jsno"), "`--root`, `--json`, `--debug`\nhint: did you mean `--json`?"),
        (("show", "line", "--quick"), "`--root`, `--json`, `--debug`"),
        (("--verion",), "`--version`, `--debug`\nhint: did you mean `--version`?"),
    ],
)
def test_an_unknown_option_is_wrong_usage(
    mlx: Mlx, arguments: tuple[str, ...], message: str
) -> None:
    unknown = next(each for each in arguments if each.startswith("--"))
    result = mlx(*arguments)
    assert (result.returncode, result.stdout) == (2, "")
    assert result.stderr.endswith(f"Error: no option `{unknown}`; there: {message}\n")


def test_a_metric_is_asked_for_by_an_option(mlx: Mlx) -> None:
    result = mlx("metrics", "line", "mse")
    assert (result.returncode, result.stdout) == (2, "")
    assert result.stderr.endswith(
        "Error: one RUN, not also `mse`\nhint: did you mean `--name mse`?\n"
    )


def test_an_unknown_file_is_wrong_usage(mlx: Mlx, project: Path) -> None:
    result = mlx("compile", "lime.json", folder=project)
    assert (result.returncode, result.stdout) == (2, "")
    assert result.stderr.endswith(
        "Error: Invalid value for 'SPEC': no file `lime.json`\nhint: did you mean `line.json`?\n"
    )


def test_an_error_is_one_line(mlx: Mlx, tmp_path: Path) -> None:
    result = mlx("show", "nothing", folder=tmp_path)
    assert (result.returncode, result.stdout) == (1, "")
    assert result.stderr == "error: no run `nothing`: there are no runs below `runs`\n"


@pytest.mark.parametrize("order", [("--debug", "show", "nothing"), ("show", "nothing", "--debug")])
def test_debug_shows_the_traceback(mlx: Mlx, tmp_path: Path, order: tuple[str, ...]) -> None:
    result = mlx(*order, folder=tmp_path)
    assert result.returncode == 1
    assert result.stderr.startswith("Traceback (most recent call last):\n")
    assert result.stderr.endswith("error: no run `nothing`: there are no runs below `runs`\n")


@pytest.mark.parametrize(
    ("arguments", "unwanted"),
    [
        (("--help",), ("msgspec", "numpy", "pyarrow", "rich")),
        (("schema",), ("numpy", "pyarrow")),
        (
            ("validate", "line.json"),
            ("difflib", "json", "jsonschema", "numpy", "pyarrow", "tempfile"),
        ),
        (("compile", "line.json", "--explain"), ("pyarrow",)),
        (("list", "--where", "params.lr < 1 or not tags.x"), ("numpy", "pyarrow")),
        (("tag", "line"), ("numpy", "pyarrow")),
        (("gc", "--status", "failed"), ("numpy", "pyarrow")),
        (("doctor",), ("numpy", "pyarrow")),
        (("completion", "bash"), ("msgspec", "numpy", "pyarrow")),
        (("show", "line"), ("numpy", "pyarrow")),
        (("show", "line", "--json"), ("numpy", "pyarrow")),
        (("metrics", "line", "--all"), ("numpy", "pyarrow")),
        (("metrics", "line", "--format", "csv"), ("numpy", "pyarrow")),
        (("compare", "line"), ("numpy", "pyarrow")),
        (("best", "train_loss", "line"), ("numpy", "pyarrow")),
        (("best", "train_loss"), ("numpy", "pyarrow")),
        (("diff", "line", "line"), ("numpy", "pyarrow")),
        (("plan", "line.json"), ("numpy", "pyarrow")),
        (("explain", "line.json", "plan.train.epochs"), ("numpy", "pyarrow")),
    ],
    ids=" ".join,
)
def test_what_is_not_loaded(
    finished: Path, arguments: tuple[str, ...], unwanted: tuple[str, ...]
) -> None:
    program = (
        "import atexit, os, sys\n"
        "from specplan.cli.main import main\n"
        "atexit.register(lambda: print(*sys.modules, file=sys.stderr))\n"
        "main(sys.argv[1:])"
    )
    result = subprocess.run(
        [sys.executable, "-c", program, *arguments],
        cwd=finished,
        capture_output=True,
        text=True,
        check=True,
    )
    loaded = set(result.stderr.split())
    heavy = {"torch", "sklearn", "pandas", "polars", "matplotlib", "duckdb"}
    assert (heavy | set(unwanted)) & loaded == set()


@pytest.mark.parametrize("arguments", [("--help",), ("metrics", "line", "--all"), ("schema",)])
def test_a_closed_pipe_is_silent(finished: Path, arguments: tuple[str, ...]) -> None:
    with subprocess.Popen(
        [sys.executable, "-m", "specplan.cli.main", *arguments],
        cwd=finished,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        assert process.stderr.read() == ""
    assert process.returncode == 141


@pytest.mark.timeout(180)  # a new process imports torch
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_a_run_that_can_be_resumed(
    mlx: Mlx, project: Path, spec: dict[str, Any], number: signal.Signals
) -> None:
    import json

    spec["plan"][0] |= {"epochs": 1_000_000, "record": "all"}
    (project / "long.json").write_text(json.dumps(spec))
    with subprocess.Popen(
        [sys.executable, "-m", "specplan.cli.main", "run", "long.json"],
        cwd=project,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stderr is not None
        assert any(": epoch " in line and "train_loss" in line for line in process.stderr)
        time.sleep(0.2)
        process.send_signal(number)
        _, errors = process.communicate()
    assert process.returncode == 75, errors
    assert "Traceback" not in errors
    assert "interrupted; what was recorded is in runs/line/" in errors
    assert list(project.glob("runs/line/*/checkpoints/*/checkpoint.json"))
    shown = mlx("show", "line", "--json", folder=project)
    summary = json.loads(shown.stdout)
    assert summary["status"] == "interrupted"
    assert summary["records"][0]["rows"] > 0
    assert summary["tables"]


def test_stdout_that_the_shell_closed(finished: Path) -> None:
    command = [sys.executable, "-m", "specplan.cli.main", "list"]
    shell = ["sh", "-c", 'exec "$@" >&-', "sh", *command]
    result = subprocess.run(shell, cwd=finished, capture_output=True, text=True, check=False)
    assert (result.returncode, result.stderr) == (0, "")


def test_an_interrupt_while_the_command_is_imported(tmp_path: Path) -> None:
    # A module of the command that is interrupted halfway through its own import.
    program = (
        "import os, signal, sys\n"
        "class Interrupted:\n"
        "    def find_spec(self, name, path, target=None):\n"
        "        if name == 'click':\n"
        "            os.kill(os.getpid(), signal.SIGINT)\n"
        "sys.meta_path.insert(0, Interrupted())\n"
        "from specplan.cli.start import main\n"
        "main()\n"
    )
    result = subprocess.run(
        [sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert (result.returncode, result.stdout, result.stderr) == (130, "", "")


def test_an_interrupt_after_that_is_left_to_the_verb() -> None:
    program = (
        "import atexit, signal, sys\n"
        "from specplan.cli.start import main\n"
        "usual = signal.getsignal(signal.SIGINT)\n"
        "atexit.register(lambda: print(signal.getsignal(signal.SIGINT) is usual, file=sys.stderr))\n"
        "main()\n"
    )
    result = subprocess.run(
        [sys.executable, "-c", program, "list", "--root", "no"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.stderr == "there are no runs below `no`\nTrue\n"
