"""What runs leave is what the published schemas say."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow.parquet as pq
from jsonschema import Draft202012Validator

from specplan.results.metrics import SCHEMA

if TYPE_CHECKING:
    from specplan.store.layout import RunFolder

SCHEMAS = Path(__file__).parent.parent.parent / "schemas"
TYPES = {"string": "string", "int32": "integer", "int64": "integer", "double": "number"}


def schema_of(definition: str, name: str = "record") -> dict[str, Any]:
    schema: dict[str, Any] = json.loads((SCHEMAS / f"{name}.schema.json").read_text())
    return {**schema, "$ref": f"#/$defs/{definition}"}


def check(path: Path, definition: str, name: str = "record") -> None:
    validator = Draft202012Validator(schema_of(definition, name))
    errors = [error.message for error in validator.iter_errors(json.loads(path.read_text()))]
    assert errors == [], path
    assert json.loads(path.read_text()).keys() <= properties(definition, name).keys()


def properties(definition: str, name: str = "record") -> dict[str, Any]:
    found: dict[str, Any] = schema_of(definition, name)["$defs"][definition]["properties"]
    return found


def test_the_files_of_a_run(damaged: RunFolder) -> None:
    """Of the fixture before anything is damaged."""
    check(damaged.run_file, "RunFile")
    check(damaged.plan_file, "Plan", "plan")
    check(damaged.records / "store.json", "Store")
    channels = sorted(damaged.records.rglob("channel.json"))
    assert channels
    for channel in channels:
        check(channel, "Channel")


def test_the_columns_of_the_tables(damaged: RunFolder) -> None:
    described = properties("Metric")
    assert pq.read_schema(damaged.metrics_table).names == SCHEMA.names == list(described)
    for field in SCHEMA:
        kinds = described[field.name]["type"]
        nullable = ["string" if field.name == "time" else TYPES[str(field.type)], "null"]
        assert kinds == (nullable if field.nullable else nullable[0])
    tables = list(damaged.tables.glob("execution-*.parquet"))
    assert tables
    for table in tables:
        names = pq.read_schema(table).names
        columns = list(properties("Sample"))
        assert names[: len(columns)] == columns
        assert all("." in name for name in names[len(columns) :])
