from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from specplan.spec.diagnostics import Diagnostic, Label, Origin
from specplan.spec.load import from_mapping, load
from specplan.spec.render import render

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def on(line: int, start: int, end: int, *, end_line: int | None = None) -> Origin:
    return Origin(
        file="spec.yaml", line=line, column=start, end_line=end_line or line, end_column=end
    )


def test_everything(tmp_path: Path) -> None:
    (tmp_path / "spec.yaml").write_text("a: 1\nb: 2\n")
    diagnostic = Diagnostic(
        code="SP999",
        message="`b` is 2",
        origin=on(2, 4, 5),
        hint="write `1`",
        labels=(Label(origin=on(1, 4, 5), text="because of this"),),
    )
    expected = """\
spec.yaml:2:4: error[SP999]: `b` is 2
    2 | b: 2
      |    ^
spec.yaml:1:4: because of this
    1 | a: 1
      |    ^
hint: write `1`"""
    assert render(diagnostic) == expected
    assert render(diagnostic, load("spec.yaml")) == expected


@pytest.mark.parametrize(
    ("line", "start", "end", "shown", "carets"),
    [
        ("\ta: b", 5, 6, "    a: b", "       ^"),
        ("電池: [a]", 5, 8, "電池: [a]", "      ^^^"),
        ("a: 電池", 4, 6, "a: 電池", "   ^^^^"),
        ("e\u0301: x", 5, 6, "e\u0301: x", "   ^"),
        ("a:", 3, 3, "a:", "  ^"),
    ],
)
def test_caret_is_below(
    tmp_path: Path, line: str, start: int, end: int, shown: str, carets: str
) -> None:
    (tmp_path / "spec.yaml").write_text(line, encoding="utf-8")
    diagnostic = Diagnostic(code="SP999", message="wrong", origin=on(1, start, end))
    assert render(diagnostic).splitlines()[1:] == [f"    1 | {shown}", f"      | {carets}"]


def test_caret_of_several_lines_ends_with_the_first(tmp_path: Path) -> None:
    (tmp_path / "spec.yaml").write_text("a: [1,\n  2]\n")
    diagnostic = Diagnostic(code="SP999", message="wrong", origin=on(1, 4, 5, end_line=2))
    assert render(diagnostic).splitlines()[2] == "      |    ^^^"


@pytest.mark.parametrize(
    ("before", "shown", "caret"),
    [
        (0, "x" + "." * 159 + "…", "^"),
        (500, "…" + "." * 80 + "x" + "." * 79 + "…", " " * 81 + "^"),
        (999, "…" + "." * 159 + "x", " " * 160 + "^"),
    ],
)
def test_only_the_surroundings_of_a_very_long_line(
    tmp_path: Path, before: int, shown: str, caret: str
) -> None:
    (tmp_path / "spec.yaml").write_text("." * before + "x" + "." * (999 - before))
    diagnostic = Diagnostic(code="SP999", message="wrong", origin=on(1, before + 1, before + 2))
    assert render(diagnostic).splitlines()[1:] == [f"    1 | {shown}", f"      | {caret}"]


def test_without_a_text() -> None:
    document = from_mapping({"run": {"seed": "a"}})
    origin = document.origin(("run", "seed"))
    diagnostic = Diagnostic(code="SP999", message="wrong", origin=origin, severity="warning")
    assert render(diagnostic, document) == "run.seed: warning[SP999]: wrong"
    assert render(diagnostic) == str(diagnostic)


def test_the_file_as_a_whole_or_gone() -> None:
    whole = Diagnostic(code="SP999", message="wrong", origin=Origin(file="spec.yaml"))
    assert render(whole) == "spec.yaml: error[SP999]: wrong"
    gone = Diagnostic(code="SP999", message="wrong", origin=on(3, 1, 2))
    assert render(gone) == "spec.yaml:3:1: error[SP999]: wrong"


def test_what_controls_a_terminal_does_not_reach_it(tmp_path: Path) -> None:
    (tmp_path / "spec.yaml").write_text("a:\t\x1b[31m\x00 b")
    diagnostic = Diagnostic(code="SP001", message="no", severity="error", origin=on(1, 11, 12))
    shown = render(diagnostic).splitlines()[1:]
    assert shown == [
        "    1 | a:    \N{REPLACEMENT CHARACTER}[31m\N{REPLACEMENT CHARACTER} b",
        "      |              ^",
    ]


def test_colours_change_nothing_but_colours(tmp_path: Path) -> None:
    (tmp_path / "spec.yaml").write_text("a: ^\nb: 2\n")
    diagnostic = Diagnostic(
        code="SP999",
        message="wrong",
        origin=on(1, 4, 5),
        hint="write `1`",
        labels=(Label(origin=on(2, 4, 5), text="because"),),
    )
    coloured = render(diagnostic, colour=True)
    assert coloured.count("\x1b[1;31m") == 2
    assert re.sub(r"\x1b\[[\d;]*m", "", coloured) == render(diagnostic)
