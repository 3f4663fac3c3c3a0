"""The vocabulary of records has one home, and its page has all of it."""

from __future__ import annotations

import re
from pathlib import Path

import specplan
from specplan.store import fields

ROOT = Path(__file__).resolve().parents[2]
FIELDS = {value for name, value in vars(fields).items() if name.isupper()}
SPELLED = re.compile(
    r"(?:record_text|record_document|documents|channels?_of|count|text_nodes|texts)"
    r"\((?:\w+, )?\"(\w+)\"|field=\"(\w+)\"|\.field [!=]= \"(\w+)\""
)


def test_the_page_has_every_field_and_no_other() -> None:
    page = (ROOT / "docs/format.md").read_text()
    _, _, part = page.partition("## Documents\n")
    rows = re.findall(r"^\| `(\w+)` \|", part.partition("\n## ")[0], re.MULTILINE)
    assert set(rows) == FIELDS
    assert sorted(set(rows)) == rows


def test_nobody_spells_a_field_by_hand() -> None:
    package = Path(specplan.__file__).parent
    spelled = {
        f"{path.relative_to(package)}: {name}"
        for path in package.rglob("*.py")
        for names in SPELLED.findall(path.read_text())
        for name in names
        if name in FIELDS
    }
    assert spelled == set()
    assert SPELLED.findall('run.documents("log", most=1)') == [("log", "", "")]
