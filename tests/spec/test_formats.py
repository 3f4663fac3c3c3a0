"""Diagnostics for programs: JSON, SARIF and the workflow commands of GitHub."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest

from specplan.errors import SpecError
from specplan.spec.composition import Composition
from specplan.spec.diagnostics import Diagnostic, Origin
from specplan.spec.formats import as_github, as_json, as_sarif, pointer
from specplan.spec.load import from_mapping, load
from specplan.spec.validate import validate

SMALLEST = (Path(__file__).parent / "corpus/right/smallest.yaml").read_text(encoding="utf-8")
WRONG = (
    ("voltage]", "voltage] # Größe"),
    ("epochs", "epocs"),
    ("lr: 1e-3", 'lr: "1e-3"'),
    ("hidden_dim: 8", "hidden_dim: 8, hidden_dim: 9"),
)


@pytest.fixture
def found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Diagnostic, ...]:
    """An unknown key, a number in quotes, and a key that is there twice."""
    monkeypatch.chdir(tmp_path)
    text = SMALLEST
    for before, after in WRONG:
        text = text.replace(before, after)
    Path("spec.yaml").write_text(text, encoding="utf-8")
    return errors_of("spec.yaml")


def errors_of(name: str, *overrides: str) -> tuple[Diagnostic, ...]:
    with pytest.raises(SpecError) as caught:
        validate(load(name, Composition(overrides=overrides)))
    return caught.value.diagnostics


def plain(value: object) -> Any:
    """What a program reads."""
    return json.loads(msgspec.json.encode(value))


def test_json(found: tuple[Diagnostic, ...]) -> None:
    twice, rate, key = plain(as_json(found))
    text = Path("spec.yaml").read_bytes()
    assert [text[slice(*item["bytes"])] for item in (twice, rate, key)] == [
        b"hidden_dim",
        b'"1e-3"',
        b"epocs",
    ]
    assert rate == {
        "code": "SP202",
        "severity": "error",
        "message": 'expected number, found string "1e-3"',
        "file": "spec.yaml",
        "line": 14,
        "column": 30,
        "end_line": 14,
        "end_column": 36,
        "bytes": rate["bytes"],
        "pointer": "/graph/optimizer/lr",
        "hint": "remove the quotes",
        "labels": [],
        "fix": {
            "applicability": "safe",
            "edits": [
                {
                    "file": "spec.yaml",
                    "start": {"line": 14, "column": 30},
                    "end": {"line": 14, "column": 36},
                    "bytes": rate["bytes"],
                    "text": "1e-3",
                }
            ],
        },
    }
    assert key["fix"]["edits"][0]["text"] == "epochs"
    assert key["fix"]["applicability"] == "unsafe"
    (label,) = twice["labels"]
    assert (label["text"], label["line"], label["column"]) == ("first defined here", 11, 25)
    assert twice["fix"] is None


def test_the_edits_mend_the_spec(found: tuple[Diagnostic, ...]) -> None:
    file = Path("spec.yaml")
    text = file.read_bytes()
    edits = [edit for item in as_json(found) if item["fix"] for edit in item["fix"]["edits"]]
    for edit in sorted(edits, key=lambda edit: edit["bytes"], reverse=True):
        start, end = edit["bytes"]
        text = text[:start] + edit["text"].encode() + text[end:]
    file.write_bytes(text)
    assert [item.code for item in errors_of("spec.yaml")] == ["SP002"]


def test_what_is_in_no_file(found: tuple[Diagnostic, ...]) -> None:
    del found
    Path("spec.yaml").write_text(SMALLEST, encoding="utf-8")
    (fault,) = errors_of("spec.yaml", "plan.train.epochs=x")
    (item,) = as_json([fault])
    assert (item["file"], item["line"], item["column"], item["bytes"]) == ("-c", 1, 19, None)
    assert (
        "physicalLocation"
        not in as_sarif([fault], version="1")["runs"][0]["results"][0]["locations"][0]
    )
    assert as_github([fault]) == [
        '::error title=SP202::-c plan.train.epochs=x: expected integer, found string "x"'
    ]


def test_a_mapping_has_pointers_only() -> None:
    with pytest.raises(SpecError) as caught:
        validate(from_mapping({"data": {}, "graph": {"nodes": {}}, "plan": [{"a/b": 1}]}))
    (item,) = as_json(caught.value.diagnostics)
    assert (item["file"], item["line"], item["bytes"], item["pointer"]) == (
        None,
        None,
        None,
        "/plan/0",
    )
    assert as_github(caught.value.diagnostics)[0].startswith("::error title=SP204::")


@pytest.mark.parametrize(
    ("path", "text"), [((), ""), (("plan", 0, "a/b"), "/plan/0/a~1b"), (("~",), "/~0")]
)
def test_pointer(path: tuple[str | int, ...], text: str) -> None:
    assert pointer(path) == text


def test_sarif(found: tuple[Diagnostic, ...]) -> None:
    log = plain(as_sarif(found, version="1.2.3"))
    assert log["version"] == "2.1.0"
    assert log["$schema"].endswith("/sarif-schema-2.1.0.json")
    (run,) = log["runs"]
    rules = run["tool"]["driver"]["rules"]
    assert run["tool"]["driver"]["version"] == "1.2.3"
    assert [rule["id"] for rule in rules] == ["SP002", "SP201", "SP202"]
    assert all(rule["shortDescription"]["text"] for rule in rules)
    assert run["columnKind"] == "unicodeCodePoints"
    for result in run["results"]:
        assert rules[result["ruleIndex"]]["id"] == result["ruleId"]
        assert result["level"] in {"error", "warning"}
        (location,) = result["locations"]
        place = location["physicalLocation"]
        assert place["artifactLocation"] == {"uri": "spec.yaml"}
        assert set(place["region"]) == {"startLine", "startColumn", "endLine", "endColumn"}
        assert min(place["region"].values()) >= 1
    twice, rate, _ = run["results"]
    assert (
        rate["message"]["text"] == 'expected number, found string "1e-3"\nhint: remove the quotes'
    )
    assert rate["locations"][0]["logicalLocations"] == [
        {"fullyQualifiedName": "/graph/optimizer/lr"}
    ]
    (change,) = rate["fixes"][0]["artifactChanges"]
    (replacement,) = change["replacements"]
    assert replacement["insertedContent"] == {"text": "1e-3"}
    (related,) = twice["relatedLocations"]
    assert (related["id"], related["message"]) == (1, {"text": "first defined here"})


def test_sarif_of_a_right_spec() -> None:
    (run,) = as_sarif([], version="1")["runs"]
    assert run["results"] == []


def test_github(found: tuple[Diagnostic, ...]) -> None:
    twice, rate, _ = as_github(found)
    assert twice.startswith(
        "::error file=spec.yaml,line=11,col=40,endLine=11,endColumn=50,title=SP002::"
    )
    assert rate.endswith('::expected number, found string "1e-3"%0Ahint: remove the quotes')


def test_github_escapes() -> None:
    origin = Origin(file="a,b:c%.yaml", line=1, column=1, end_line=1, end_column=2)
    item = Diagnostic(code="SP001", message="100%\r\nno", origin=origin, severity="warning")
    assert as_github([item]) == [
        "::warning file=a%2Cb%3Ac%25.yaml,line=1,col=1,endLine=1,endColumn=2,title=SP001::100%25%0D%0Ano"
    ]
