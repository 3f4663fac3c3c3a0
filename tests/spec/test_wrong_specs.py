"""Every wrong spec of the corpus against the text that a person reads.

`UPDATE_GOLDEN=1 pytest tests/spec/test_wrong_specs.py` writes the texts anew.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from specplan.errors import SpecError
from specplan.spec.load import load
from specplan.spec.render import render
from specplan.spec.validate import validate

WRONG = Path(__file__).parent / "corpus/wrong"
GOLDEN = Path(__file__).parent.parent / "golden/errors"
FILES = sorted(file.name for file in WRONG.iterdir() if file.is_file())


def errors_of(name: str) -> SpecError:
    with pytest.raises(SpecError) as caught:
        validate(load(name))
    return caught.value


@pytest.fixture(autouse=True)
def _beside_the_specs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(WRONG)


@pytest.mark.parametrize("name", FILES)
def test_rendered_text(name: str) -> None:
    texts = [render(diagnostic) for diagnostic in errors_of(name).diagnostics]
    rendered = "\n\n".join(texts) + "\n"
    golden = GOLDEN / f"{name}.txt"
    if os.environ.get("UPDATE_GOLDEN"):
        golden.write_text(rendered, encoding="utf-8")
    assert rendered == golden.read_text(encoding="utf-8")


@pytest.mark.parametrize("name", [name for name in FILES if name.startswith("SP")])
def test_one_fault_is_one_error(name: str) -> None:
    assert [diagnostic.code for diagnostic in errors_of(name).diagnostics] == [name[:5]]


def test_no_text_without_its_spec() -> None:
    assert sorted(file.stem for file in GOLDEN.iterdir()) == FILES


@pytest.mark.parametrize("name", FILES)
def test_caret_is_under_what_the_place_names(name: str) -> None:
    lines = re.split("\r\n|\n|\r", Path(name).read_bytes().decode(errors="replace"))
    for diagnostic in errors_of(name).diagnostics:
        origin = diagnostic.origin
        if origin.file != name:
            continue
        assert 1 <= origin.line <= len(lines)
        assert 1 <= origin.column <= len(lines[origin.line - 1]) + 1
        assert (origin.end_line, origin.end_column) >= (origin.line, origin.column)


@pytest.mark.parametrize("name", FILES)
def test_messages_end_without_a_full_stop(name: str) -> None:
    for diagnostic in errors_of(name).diagnostics:
        assert not diagnostic.message.endswith(".")
        assert not (diagnostic.hint or "").endswith(".")
