from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from jsonschema import Draft202012Validator

from specplan._native import parse_text
from specplan.components import COMPONENTS
from specplan.spec import faults

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parent.parent.parent
SCHEMAS = ROOT / "schemas"
RIGHT = sorted((Path(__file__).parent / "corpus/right").iterdir())


def schema(name: str) -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads((SCHEMAS / name).read_text(encoding="utf-8"))
    return loaded


def parts(value: Any) -> Iterator[dict[str, Any]]:
    """Every mapping in a schema."""
    if isinstance(value, dict):
        yield value
        for part in value.values():
            yield from parts(part)
    elif isinstance(value, list):
        for part in value:
            yield from parts(part)


SCHEMA_NAMES = ["experiment.schema.json", "plan.schema.json", "record.schema.json"]


@pytest.mark.parametrize(
    "tool",
    [
        "generate_schemas.py",
        "generate_components_page.py",
        "generate_errors_page.py",
        "generate_fields_page.py",
    ],
)
def test_generated_files_are_up_to_date(tool: str) -> None:
    command = [sys.executable, str(ROOT / "tools" / tool), "--check"]
    finished = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (finished.returncode, finished.stderr) == (0, "")


@pytest.mark.parametrize("name", SCHEMA_NAMES)
def test_the_package_has_the_same_schema(name: str) -> None:
    packaged = ROOT / "python/specplan/_schemas" / name
    assert packaged.read_bytes() == (SCHEMAS / name).read_bytes()


@pytest.mark.parametrize("name", SCHEMA_NAMES)
def test_schemas_are_schemas(name: str) -> None:
    Draft202012Validator.check_schema(schema(name))


@pytest.mark.parametrize("file", RIGHT, ids=lambda file: file.name)
def test_editors_accept_specs_before_composition(file: Path) -> None:
    value = parse_text(
        file.read_text(encoding="utf-8"), "json" if file.suffix == ".json" else "yaml"
    )
    errors = Draft202012Validator(schema("experiment.schema.json")).iter_errors(value.value)
    assert [error.message for error in errors] == []


def test_every_property_is_described() -> None:
    experiment = schema("experiment.schema.json")
    definitions = experiment["$defs"]
    for owner in [experiment, *definitions.values()]:
        for name, value in owner.get("properties", {}).items():
            if value is True:
                continue
            inner = value.get("else", value)
            referred = definitions[inner["$ref"].rpartition("/")[2]] if "$ref" in inner else {}
            assert value.get("description") or referred.get("description"), (owner["title"], name)


def test_every_property_has_an_example() -> None:
    experiment = schema("experiment.schema.json")
    definitions = experiment["$defs"]

    def shows_itself(value: dict[str, Any]) -> bool:
        """Whether the schema lists the values, or refers to one that says what goes in."""
        return bool(
            value.keys() & {"examples", "const", "enum"}
            or value.get("type") == "boolean"
            or ("else" in value and shows_itself(value["else"]))
            or "$ref" in value
        )

    for owner in [experiment, *definitions.values()]:
        for name, value in owner.get("properties", {}).items():
            assert value is True or shows_itself(value), (owner["title"], name)


def test_examples_are_what_they_illustrate() -> None:
    experiment = schema("experiment.schema.json")
    definitions = experiment["$defs"]
    for part in parts(experiment):
        validator = Draft202012Validator({"$defs": definitions, **part})
        for example in part.get("examples", []):
            assert [error.message for error in validator.iter_errors(example)] == []


@pytest.mark.parametrize("name", SCHEMA_NAMES[1:])
def test_every_field_of_plans_and_records_is_described(name: str) -> None:
    for title, definition in schema(name)["$defs"].items():
        for field, value in definition.get("properties", {}).items():
            assert value.get("description", "").endswith("."), (title, field)


def test_unions_are_told_apart_by_a_name() -> None:
    keywords = {key for part in parts(schema("experiment.schema.json")) for key in part}
    assert not keywords & {"oneOf", "anyOf"}


def test_every_component_is_in_the_schema() -> None:
    definitions = schema("experiment.schema.json")["$defs"]
    for kind, by_name in COMPONENTS.items():
        for use in by_name:
            assert definitions[f"{kind}.{use}"]["additionalProperties"] is False


def test_every_name_of_a_component_is_described() -> None:
    definitions = schema("experiment.schema.json")["$defs"]
    for kind in COMPONENTS:
        use = definitions[kind]["properties"]["use"]
        names = next(part for part in parts(use) if "enum" in part)
        assert len(names["enum"]) == len(names["enumDescriptions"])
        assert all(names["enumDescriptions"])


def test_every_rule_has_words() -> None:
    silent = {
        # Unknown keys are told of together with parts below which nothing stands.
        "additionalProperties", "$comment", "$defs", "$ref", "$schema", "allOf", "const", "default", "description", "else",
        "enumDescriptions", "errorMessage", "examples", "if", "patternProperties", "prefixItems",
        "properties", "propertyNames", "required", "then", "title",
    }  # fmt: skip
    experiment = schema("experiment.schema.json")
    rules: set[str] = set()
    waiting: list[Any] = [experiment]
    while waiting:
        part = waiting.pop()
        rules |= part.keys()
        waiting += part.get("allOf", []) + part.get("prefixItems", [])
        for keyword in ("properties", "$defs"):
            waiting += [value for value in part.get(keyword, {}).values() if value is not True]
        for keyword in ("then", "else", "items", "additionalProperties", "propertyNames"):
            if isinstance(part.get(keyword), dict):
                waiting.append(part[keyword])
    assert rules - silent == faults._TRANSLATIONS.keys()
