"""Diagnostics for programs: JSON, SARIF 2.1.0, and the workflow commands of GitHub."""

from __future__ import annotations

import re
from pathlib import Path as FilePath
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from specplan.spec.codes import codes, look_up
from specplan.spec.render import line_of
from specplan.spec.suggestion import fix_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from specplan.spec.diagnostics import Diagnostic, Fix, Origin, Path

_SARIF = (
    "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
)
_LINE_BREAK = re.compile(rb"\r\n|\n|\r")


def as_json(diagnostics: Sequence[Diagnostic]) -> list[dict[str, Any]]:
    """One object for each diagnostic; every key is always there.

    Lines and columns count from 1, columns in characters, `bytes` from 0; ends are exclusive. What has no
    place in a text has null there, and only its `pointer`.
    """
    starts: dict[str, list[int]] = {}
    return [
        {
            "code": item.code,
            "severity": item.severity,
            "message": item.message,
            **_place(item.origin, starts),
            "hint": None if item.hint is None else str(item.hint),
            "labels": [
                {"text": label.text, **_place(label.origin, starts)} for label in item.labels
            ],
            "fix": _fix(_fix_of(item), starts),
        }
        for item in diagnostics
    ]


def _fix_of(item: Diagnostic) -> Fix | None:
    return item.fix or fix_of(item.hint, item.origin, line_of(item.origin))


def pointer(path: Path) -> str:
    """`("plan", 0, "a/b")` as RFC 6901 writes it, `/plan/0/a~1b`."""
    return "".join(f"/{str(part).replace('~', '~0').replace('/', '~1')}" for part in path)


def _place(origin: Origin, starts: dict[str, list[int]]) -> dict[str, Any]:
    placed = origin.file is not None and origin.line > 0
    return {
        "file": origin.file,
        "line": origin.line if placed else None,
        "column": origin.column if placed else None,
        "end_line": origin.end_line if placed else None,
        "end_column": origin.end_column if placed else None,
        "bytes": _bytes(origin, starts) if placed else None,
        "pointer": pointer(origin.path),
    }


def _bytes(origin: Origin, starts: dict[str, list[int]]) -> list[int] | None:
    """Where `origin` begins and ends in its file; None where there is no such file."""
    if origin.file is None or origin.text is not None:
        return None
    try:
        content = FilePath(origin.file).read_bytes()
    except OSError:
        return None
    if origin.file not in starts:
        breaks = (match.end() for match in _LINE_BREAK.finditer(content))
        starts[origin.file] = [0, *breaks, len(content)]
    lines = starts[origin.file]

    def offset(line: int, column: int) -> int:
        if line >= len(lines):
            return len(content)
        text = content[lines[line - 1] : lines[line]].decode(errors="replace")
        return lines[line - 1] + len(text[: column - 1].encode())

    return [offset(origin.line, origin.column), offset(origin.end_line, origin.end_column)]


def _fix(fix: Fix | None, starts: dict[str, list[int]]) -> dict[str, Any] | None:
    if fix is None:
        return None
    edits = [
        {
            "file": edit.origin.file,
            "start": {"line": edit.origin.line, "column": edit.origin.column},
            "end": {"line": edit.origin.end_line, "column": edit.origin.end_column},
            "bytes": _bytes(edit.origin, starts),
            "text": edit.text,
        }
        for edit in fix.edits
    ]
    return {"applicability": fix.applicability, "edits": edits}


def as_sarif(diagnostics: Sequence[Diagnostic], *, version: str) -> dict[str, Any]:
    """The log of one run, as code scanners read it."""
    rules = sorted({item.code for item in diagnostics})
    driver = {
        "name": "specplan",
        "version": version,
        "rules": [_rule(code) for code in rules],
    }
    run = {
        "tool": {"driver": driver},
        "columnKind": "unicodeCodePoints",
        "results": [_result(item, rules.index(item.code)) for item in diagnostics],
    }
    return {"$schema": _SARIF, "version": "2.1.0", "runs": [run]}


def _rule(code: str) -> dict[str, Any]:
    if code not in codes():
        return {"id": code}
    entry = look_up(code)
    return {
        "id": code,
        "shortDescription": {"text": entry.title},
        "fullDescription": {"text": entry.text.strip()},
        "defaultConfiguration": {"level": entry.severity},
    }


def _result(item: Diagnostic, rule: int) -> dict[str, Any]:
    hint = f"\nhint: {item.hint}" if item.hint else ""
    result: dict[str, Any] = {
        "ruleId": item.code,
        "ruleIndex": rule,
        "level": item.severity,
        "message": {"text": f"{item.message}{hint}"},
        "locations": [_location(item.origin)],
    }
    if item.labels:
        result["relatedLocations"] = [
            {"id": number, "message": {"text": label.text}, **_location(label.origin)}
            for number, label in enumerate(item.labels, 1)
        ]
    fix = _fix_of(item)
    if fix is not None and item.origin.text is None and fix.applicability != "display":
        description = {"text": str(item.hint)}
        result["fixes"] = [{"description": description, "artifactChanges": _changes(fix)}]
    return result


def _location(origin: Origin) -> dict[str, Any]:
    location: dict[str, Any] = {}
    if origin.file is not None and origin.text is None:
        location["physicalLocation"] = {"artifactLocation": _artifact(origin)}
        if origin.line:
            location["physicalLocation"]["region"] = _region(origin)
    if origin.path:
        location["logicalLocations"] = [{"fullyQualifiedName": pointer(origin.path)}]
    return location


def _artifact(origin: Origin) -> dict[str, str]:
    assert origin.file is not None
    path = FilePath(origin.file)
    return {"uri": path.as_uri() if path.is_absolute() else quote(path.as_posix())}


def _region(origin: Origin) -> dict[str, int]:
    return {
        "startLine": origin.line,
        "startColumn": origin.column,
        "endLine": origin.end_line,
        "endColumn": origin.end_column,
    }


def _changes(fix: Fix) -> list[dict[str, Any]]:
    return [
        {
            "artifactLocation": _artifact(edit.origin),
            "replacements": [
                {"deletedRegion": _region(edit.origin), "insertedContent": {"text": edit.text}}
            ],
        }
        for edit in fix.edits
    ]


def as_github(diagnostics: Sequence[Diagnostic]) -> list[str]:
    """One workflow command for each diagnostic, which marks the line in a pull request."""
    return [_command(item) for item in diagnostics]


def _command(item: Diagnostic) -> str:
    origin = item.origin
    properties: dict[str, str | int] = {}
    if origin.file is not None and origin.text is None:
        properties["file"] = origin.file
    if "file" in properties and origin.line:
        properties |= {"line": origin.line, "col": origin.column, "endLine": origin.end_line}
        if origin.line == origin.end_line:
            properties["endColumn"] = origin.end_column
    properties["title"] = item.code
    listed = ",".join(f"{name}={_property(value)}" for name, value in properties.items())
    hint = f"\nhint: {item.hint}" if item.hint else ""
    # An annotation without a file says itself which override it is about.
    where = f"{origin.file} {origin.text}: " if origin.file and origin.text is not None else ""
    return f"::{item.severity} {listed}::{_data(where + item.message + hint)}"


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(value: str | int) -> str:
    return _data(str(value)).replace(":", "%3A").replace(",", "%2C")
