"""What holds for every command: what programs can rely on, and when there are colours."""

from __future__ import annotations

import os
import pty
import re
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click
import pytest

from specplan.cli.main import VERBS, group

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    Mlx = Callable[..., subprocess.CompletedProcess[str]]

COMMANDS = Path(__file__).parents[2] / "docs/commands.md"
PRINTS_NO_DATA = {
    "completion",
    "experiments monitor",
    "init",
    "report",
    "schema",
    "trust",
    *("compile", "validate"),  # --format json: their errors
    "export",
}
"""Commands that write files, or print what is in a form of its own."""


def commands() -> Iterator[tuple[str, click.Command]]:
    for verb in VERBS:
        command = group.get_command(click.Context(group), verb)
        assert command is not None
        if isinstance(command, click.Group):
            yield from ((f"{verb} {name}", each) for name, each in command.commands.items())
        else:
            yield verb, command


def test_what_prints_data_prints_json() -> None:
    without = {
        name
        for name, command in commands()
        if not any("--json" in option.opts for option in command.params)
    }
    assert without == PRINTS_NO_DATA


def test_every_command_is_documented() -> None:
    text = COMMANDS.read_text()
    assert [name for name, _ in commands() if f"| `mlx {name}" not in text] == []


def test_every_exit_code_is_documented() -> None:
    _, _, table = COMMANDS.read_text().partition("## Exit codes\n")
    codes = re.findall(r"^\| ([\d, ]+) \|", table.partition("\n## ")[0], re.M)
    assert codes == ["0", "1", "2", "75", "130, 143", "141"]


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (("list",), 0),
        (("list", "nothing"), 0),
        (("gc",), 0),
        (("show", "line"), 0),
        (("show", "nothing"), 1),
        (("metrics", "line", "--name", "nothing"), 1),
        (("rm", "nothing"), 1),
        (("tag", "nothing", "+a"), 1),
        (("compare", "nothing"), 1),
        (("archive", "nothing"), 1),
        (("archive", "nothing.run.mml", "--extract"), 1),
        (("verify", "nothing"), 1),
        (("explain", "nothing.yaml"), 2),
        (("list", "--where", "nothing"), 2),
        (("best", "nothing"), 2),
        (("completion", "tcsh"), 2),
        (("lits",), 2),
        (("list", "--nothing"), 2),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else None,
)
def test_exit_codes(mlx: Mlx, finished: Path, words: tuple[str, ...], code: int) -> None:
    result = mlx(*words, folder=finished)
    assert result.returncode == code, result.stderr
    assert "Traceback" not in result.stderr
    assert bool(result.stderr) or code == 0


@pytest.mark.parametrize(("variable", "coloured"), [("", True), ("1", False)])
def test_colours_are_for_a_terminal(finished: Path, variable: str, coloured: bool) -> None:
    ours, theirs = pty.openpty()
    environment = {**os.environ, "NO_COLOR": variable, "TERM": "xterm"}
    command = [sys.executable, "-m", "specplan.cli.main", "list"]
    subprocess.run(command, cwd=finished, env=environment, stdout=theirs, check=True)
    os.close(theirs)
    shown = os.read(ours, 100_000)
    os.close(ours)
    assert (b"\x1b[" in shown) is coloured
    piped = subprocess.run(command, cwd=finished, env=environment, capture_output=True, check=True)
    assert b"\x1b[" not in piped.stdout
