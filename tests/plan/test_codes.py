"""The catalogue of codes: every code has a wrong spec that yields it, alone, and a right one that yields nothing.

`UPDATE_GOLDEN=1 pytest tests/plan/test_codes.py` writes the texts anew; then `make generate` writes docs/errors.md.
"""

from __future__ import annotations

import itertools
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from specplan.errors import DataError, SpecError
from specplan.plan.compile import compile_path
from specplan.spec.codes import codes, look_up
from specplan.spec.composition import Composition
from specplan.spec.render import render

if TYPE_CHECKING:
    from collections.abc import Iterator

    from specplan.plan.model import Compiled
    from specplan.spec.codes import Code
    from specplan.spec.diagnostics import Diagnostic

ROOT = Path(__file__).parents[2]
GOLDEN = ROOT / "tests/golden/codes"
CODES = codes()
WITHOUT_EXAMPLE = {
    "SP808": "it needs a disk that takes nothing: tests/run/test_checkpoints.py",
    "SP900": "no spec is known that has it",
}
CHANGING = {
    # Digests of plans and data change with what has nothing to do with the example.
    r"b3:[0-9a-f]+…?": "b3:…",
    r"it has: .*": "it has: cpu",
    r"\d{8}-\d{6}": "20260101-000000",
    r"[\d.]+ .iB are free in `[^`]*`": "60.0 GiB are free in `runs`",
}
"""What is another at each time or on each machine, and what stands for it."""
BESIDE_PROGRESS = {"SP806", "SP807"}
"""Told by a run among the lines that say how it gets on."""
EXAMPLES = [code for code in CODES if code not in WITHOUT_EXAMPLE]


def sources() -> Iterator[str]:
    for folder, pattern in (("python/specplan", "*.py"), ("rust/python/src/text", "*.rs")):
        for file in (ROOT / folder).rglob(pattern):
            yield file.read_text(encoding="utf-8")


@pytest.mark.parametrize("code", EXAMPLES)
def test_what_is_right_is_whole_entries(code: str) -> None:
    lines = look_up(code).right.strip("\n").splitlines()
    indents = [len(line) - len(line.lstrip()) for line in lines]
    assert min(indents) == indents[0]


def compiled(
    entry: Code, excerpt: str, spec: str
) -> tuple[Compiled | None, tuple[Diagnostic, ...]]:
    """What is said of an example: of a file, or of the base spec with an override."""
    overrides: tuple[str, ...] = ()
    for before, after in entry.given:
        assert before in spec, before
        spec = spec.replace(before, after)
    if entry.command:
        assert excerpt.startswith("mlx compile spec.yaml -c ")
        overrides = (excerpt.rpartition(" -c ")[2].strip(),)
    elif entry.name:
        spec = excerpt
    else:
        assert spec.count(entry.right) == 1, entry.right
        spec = spec.replace(entry.right, excerpt)
    for name, text in entry.files.items():
        Path(name).write_text(text, encoding="utf-8")
    name = entry.name or "spec.yaml"
    Path(name).write_text(spec, encoding=entry.encoding)
    try:
        result = compile_path(name, Composition(overrides=overrides))
    except SpecError as error:
        return None, error.diagnostics
    return result, result.warnings


def shell(entry: Code, script: str, spec: str) -> tuple[int, str]:
    """Exit code and stderr of an example that is lines for a shell."""
    for before, after in entry.given:
        assert before in spec, before
        spec = spec.replace(before, after)
    for name, text in {**entry.files, "spec.yaml": spec}.items():
        Path(name).write_text(text, encoding="utf-8")
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    done = subprocess.run(
        ["sh", "-ec", script],
        env={**os.environ, "PATH": path},
        capture_output=True,
        text=True,
        check=False,
    )
    said = done.stderr
    for changing, written in CHANGING.items():
        said = re.sub(changing, written, said)
    return done.returncode, said


def fault_in(said: str) -> str:
    """The lines of the fault, without those that say how a run gets on."""
    lines = said.splitlines()
    first = next((at for at, line in enumerate(lines) if re.search(r"\[SP\d{3}\]", line)), 0)
    rest = itertools.takewhile(lambda line: re.match(r" |hint:", line), lines[first + 1 :])
    return "\n".join([lines[first], *rest]) + "\n"


def refusal_of_run(plan: Compiled) -> str:
    from specplan.run.display import Silent
    from specplan.run.run import run_plan

    with pytest.raises(DataError) as caught:
        run_plan(plan, root=Path("runs"), display=Silent())
    return str(caught.value)


@pytest.mark.parametrize("code", EXAMPLES)
def test_wrong_example(
    code: str, folder: Path, spec_text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder)
    entry = look_up(code)
    if entry.script:
        ended, rendered = shell(entry, entry.wrong, spec_text)
        assert bool(ended) == (entry.severity == "error")
        assert re.findall(r"\bSP\d{3}\b", rendered) == [code], rendered
        compare(code, fault_in(rendered) if code in BESIDE_PROGRESS else rendered)
        return
    result, found = compiled(entry, entry.wrong, spec_text)
    if entry.run:
        assert found == ()
        assert result is not None
        rendered = f"{refusal_of_run(result)}\n"
        assert entry.code in rendered
    else:
        found = tuple(item for item in found if item.severity == entry.severity)
        assert [item.code for item in found] == [code]
        rendered = render(found[0]) + "\n"
    compare(code, rendered)


def compare(code: str, rendered: str) -> None:
    golden = GOLDEN / f"{code}.txt"
    if os.environ.get("UPDATE_GOLDEN"):
        golden.write_text(rendered, encoding="utf-8")
    assert rendered == golden.read_text(encoding="utf-8")


@pytest.mark.parametrize("code", EXAMPLES)
def test_right_example(
    code: str, folder: Path, spec_text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder)
    entry = look_up(code)
    if entry.script:
        ended, said = shell(entry, entry.right, spec_text)
        assert (ended, re.findall(r"SP\d{3}", said)) == (0, []), said
        return
    result, found = compiled(entry, entry.right, spec_text)
    assert result is not None, found
    assert code not in {item.code for item in found}


def test_every_code_that_is_raised_is_in_the_catalogue() -> None:
    raised = {code for text in sources() for code in re.findall(r'"(SP\d{3})\b', text)}
    assert sorted(raised) == CODES


def test_every_code_has_an_example() -> None:
    shown = {code for code in CODES if look_up(code).wrong}
    assert {code for code in CODES if code not in shown} == set(WITHOUT_EXAMPLE)
    assert {file.stem for file in GOLDEN.iterdir()} == shown


@pytest.mark.parametrize("code", CODES)
def test_an_entry_is_written_for_people(code: str) -> None:
    entry = look_up(code)
    assert not entry.title.endswith(".")
    assert len(entry.text.split()) >= 10
    assert all(len(line) <= 125 for line in entry.text.splitlines())
