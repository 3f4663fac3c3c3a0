"""The published schema in the two language servers that editors use: what they complete, show and refuse."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from specplan.cli.main import main
from tests.editor.language_server import LanguageServer

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.editor

SERVERS = Path(__file__).parents[2] / "tools/editors/node_modules/.bin"
FORMATS = ["yaml", "json"]


@pytest.fixture(params=FORMATS)
def language(request: pytest.FixtureRequest) -> str:
    """yaml or json."""
    found: str = request.param
    return found


@pytest.fixture
def server(language: str) -> Iterator[LanguageServer]:
    """The language server that VS Code runs for this language."""
    name = {"yaml": "yaml-language-server", "json": "vscode-json-language-server"}[language]
    settings = {
        "yaml": {"validate": True, "completion": True, "hover": True},
        "json": {"validate": {"enable": True}},
    }
    with LanguageServer([str(SERVERS / name), "--stdio"], settings=settings) as running:
        yield running


@pytest.fixture
def spec(language: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """What `mlx init` writes."""
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as ending:
        main(["init", f"spec.{language}"])
    assert ending.value.code == 0
    return tmp_path / f"spec.{language}"


def place(file: Path, text: str) -> tuple[int, int]:
    """Line and column, from 1, of the first place where a text stands."""
    before = file.read_text().partition(text)[0]
    assert len(before) < len(file.read_text())
    return before.count("\n") + 1, len(before) - before.rfind("\n")


def changed(file: Path, old: str, new: str) -> None:
    text = file.read_text()
    assert text.count(old) == 1
    file.write_text(text.replace(old, new))


def key(language: str, name: str) -> str:
    return f'"{name}":' if language == "json" else f"{name}:"


def test_what_init_writes_is_right(server: LanguageServer, language: str, spec: Path) -> None:
    assert server.open(spec, language) == []


def test_wrong_keys_and_values_are_underlined(
    server: LanguageServer, language: str, spec: Path
) -> None:
    changed(spec, key(language, "epochs"), key(language, "epocs"))
    changed(spec, key(language, "hidden_dim"), key(language, "hiden"))
    changed(spec, "adam", "adm")
    found = {
        (one["range"]["start"]["line"] + 1, one["message"].partition("\n")[0])
        for one in server.open(spec, language)
    }
    assert (place(spec, "epocs")[0], "Property epocs is not allowed.") in found
    assert (place(spec, "hiden")[0], "Property hiden is not allowed.") in found
    line, message = next(one for one in found if "adamw" in one[1])
    assert (line, len(found)) == (place(spec, "adm")[0], 3)
    assert "sgd" in message


def test_components_and_their_arguments_are_completed(
    server: LanguageServer, language: str, spec: Path
) -> None:
    server.open(spec, language)
    line, column = place(spec, "adam")
    names = server.completions(spec, line, column)
    assert {"adam", "adamw"} <= names.keys()
    line, column = place(spec, key(language, "lr"))
    arguments = server.completions(spec, line, column + (language == "json"))
    assert {"lr", "betas", "eps", "weight_decay", "amsgrad"} <= arguments.keys()
    assert "hidden_dim" not in arguments
    assert "Decay rates" in str(arguments["betas"].get("documentation"))


def test_what_a_key_means_is_shown(server: LanguageServer, language: str, spec: Path) -> None:
    server.open(spec, language)
    line, column = place(spec, key(language, "patience"))
    shown = server.hover(spec, line, column + 2)
    assert "Epochs without improvement after which to stop" in shown


def test_the_words_of_an_argument_are_offered(
    server: LanguageServer, language: str, spec: Path
) -> None:
    """Also where a value may be a reference to a parameter, and where an entry of the plan begins."""
    name = key(language, "record")
    line, column = place(spec, name)
    after = {"yaml": "", "json": '"",'}[language]
    lines = spec.read_text().splitlines(keepends=True)
    lines[line - 1] = f"{' ' * (column - 1)}{name} {after}\n"
    spec.write_text("".join(lines))
    server.open(spec, language)
    column += len(name) + (2 if language == "json" else 1)
    assert {"all", "last", "none"} <= server.completions(spec, line, column).keys()
    if language == "yaml":
        again = spec.with_name("more.yaml")
        again.write_text(spec.read_text().partition("\nresults:")[0] + "  - \n")
        server.open(again, language)
        entries = server.completions(again, again.read_text().count("\n"), 5)
        assert {"phase", "group", "do"} <= entries.keys()
