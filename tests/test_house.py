"""What holds for the repository as a whole. Everything that a linter can see is left to `make check`."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import specplan
from specplan import errors
from specplan.cli.doctor import VARIABLES

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "python/specplan"

LAYERS = (
    "cli",
    "exchange",
    "serve",
    "objects",
    "track",
    "sweep",
    "run",
    "results",
    "store",
    "plan",
    "data",
    "models",
    "archive",
    "code",
    "spec",
    "components",
    "base",
    "errors",
)
"""A layer may import those after it. Documented module names outside them belong to `experiment`."""

HOMES = {
    "torch": (
        "models/torch/",
        "run/",
        "store/device.py",
        "store/torch_memory.py",
    ),
    "sklearn": ("models/sklearn/",),
}
"""The only folders and files that may import a heavy library."""

MODULES = sorted(PACKAGE.rglob("*.py"))
INDEX = "registry+https://github.com/rust-lang/crates.io-index"


def tracked_files() -> list[Path]:
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    )
    return [ROOT / line for line in listed.stdout.splitlines() if (ROOT / line).is_file()]


def runtime_imports(module: Path) -> Iterator[str]:
    pending: list[ast.AST] = [ast.parse(module.read_text())]
    while pending:
        node = pending.pop()
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            pending.extend(node.orelse)
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module == "specplan":
            yield from (f"specplan.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.module is not None, f"{module}: relative import"
            yield node.module
        else:
            pending.extend(ast.iter_child_nodes(node))


def layer(name: str) -> int:
    return LAYERS.index(name if name in LAYERS else "objects")


@pytest.mark.parametrize(
    "module",
    [module for module in MODULES if module.parent != PACKAGE or module.stem in LAYERS],
    ids=lambda module: str(module.relative_to(PACKAGE)),
)
def test_a_layer_imports_only_those_below_it(module: Path) -> None:
    own = module.relative_to(PACKAGE).parts[0].removesuffix(".py")
    imported = {
        name.split(".")[1] for name in runtime_imports(module) if name.startswith("specplan.")
    } - {"_native"}
    assert [name for name in sorted(imported) if layer(name) < layer(own)] == []


@pytest.mark.parametrize("library", HOMES)
def test_a_heavy_library_is_imported_only_in_its_home(library: str) -> None:
    importers = {
        str(module.relative_to(PACKAGE))
        for module in MODULES
        if any(name.partition(".")[0] == library for name in runtime_imports(module))
    }
    assert [name for name in sorted(importers) if not name.startswith(HOMES[library])] == []


@pytest.mark.parametrize("module", ["specplan", "specplan.cli.main"])
def test_importing_loads_nothing_heavy(module: str) -> None:
    program = f"import sys, {module}; print(*sys.modules)"
    loaded = subprocess.run(
        [sys.executable, "-c", program], check=True, capture_output=True, text=True
    )
    heavy = {"torch", "sklearn", "pandas", "polars", "pyarrow", "duckdb", "matplotlib"}
    assert heavy & set(loaded.stdout.split()) == set()


def test_constraints_name_no_host() -> None:
    text = (ROOT / "constraints.txt").read_text()
    assert "://" not in text
    assert [line for line in text.splitlines() if line.startswith("-")] == []


def test_constraints_pin_what_the_project_needs() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    needed = project["dependencies"] + project["optional-dependencies"]["dev"]
    names = {re.split(r"[^A-Za-z0-9_-]", requirement)[0] for requirement in needed} - {"specplan"}
    pinned = set(re.findall(r"^([a-z0-9-]+)==", (ROOT / "constraints.txt").read_text(), re.M))
    assert names - pinned == set()


def test_cargo_lock_names_no_host() -> None:
    lock = tomllib.loads((ROOT / "Cargo.lock").read_text())
    assert {package.get("source", INDEX) for package in lock["package"]} == {INDEX}


def test_files_name_no_machine() -> None:
    machine = re.compile(
        rb"(?<![\w.$}])/(?:root|home|work|tmp|Users)/\w"
        rb"|https?://[^\s/]*(?:pypi|pythonhosted|npmjs|static\.crates)"
    )
    found = {
        f"{path.relative_to(ROOT)}: {match[0]!r}"
        for path in tracked_files()
        for match in machine.finditer(path.read_bytes())
    }
    assert found == set()


def test_packaged_schemas_are_copies() -> None:
    for packaged in (PACKAGE / "_schemas").glob("*.json"):
        assert packaged.read_bytes() == (ROOT / "schemas" / packaged.name).read_bytes()


def test_the_page_of_commands_has_every_variable_of_the_environment() -> None:
    variable = re.compile(r'"((?:SPECPLAN|DASH|ML_DASH)_[A-Z_]+)"')
    used = {
        name
        for path in (ROOT / "python").rglob("*.py")
        for name in variable.findall(path.read_text("utf-8"))
    }
    page = (ROOT / "docs" / "commands.md").read_text("utf-8")
    assert used == {*VARIABLES}
    assert {name for name in used if f"`{name}`" not in page} == set()


def test_the_tree_of_errors_has_every_error() -> None:
    drawn = re.findall(r"(?:─ |^ {4})([A-Z]\w+)", errors.__doc__ or "", re.MULTILINE)
    below = [errors.SpecplanError]
    for each in below:
        below.extend(sorted(each.__subclasses__(), key=lambda error: error.__name__))
    ours = {each.__name__ for each in below if each.__module__ == errors.__name__}
    assert set(drawn) == ours
    assert ours <= set(dir(specplan))


def test_nothing_lies_at_the_top_but_what_the_project_is() -> None:
    found = {path.relative_to(ROOT).parts[0] for path in tracked_files()}
    folders = {"benches", "docs", "examples", "python", "rust", "schemas", "tests", "tools"}
    files = "CHANGELOG.md CONTRIBUTING.md Cargo.lock Cargo.toml LICENSE Makefile README.md"
    settings = ".ci .editorconfig .gitignore clippy.toml constraints.txt pyproject.toml"
    assert found == folders | {*files.split(), *settings.split()}
