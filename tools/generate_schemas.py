"""Write schemas/*.schema.json: the hand-written structure joined with the declared components.

python tools/generate_schemas.py            write the files
python tools/generate_schemas.py --check    exit with 1 if a file would change
"""

from __future__ import annotations

import argparse
import inspect
import json
import sys
from pathlib import Path
from typing import Any

import msgspec

from specplan.components import COMPONENTS, KINDS, Kind
from specplan.components.reference import OPEN_KINDS, REFERENCE
from specplan.plan.model import Plan
from specplan.spec.validate import SKLEARN_NAME
from specplan.store.artifacts import ArtifactRow
from specplan.store.run_file import RunFile

ROOT = Path(__file__).resolve().parent.parent
STRUCTURE = ROOT / "schemas/structure/experiment.json"
EXPERIMENT = "schemas/experiment.schema.json"
PLAN = "schemas/plan.schema.json"
RECORD = "schemas/record.schema.json"
PACKAGES = "python/specplan/_schemas"

DESCRIPTIONS = ROOT / "schemas/structure/plan.json"
RECORDS = ROOT / "schemas/structure/record.json"
DIALECT = "https://json-schema.org/draft/2020-12/schema"
PHASES = ("Train", "Eval", "Fit", "Call")

ANNOTATIONS = ("title", "description", "default", "examples")
NOT_REFERABLE = ("$schema", "specplan", "imports", "params")

Schema = dict[str, Any]


def experiment_schema() -> Schema:
    """The structure, with a definition for each component, and `{$: params.x}` for any value."""
    schema: Schema = json.loads(STRUCTURE.read_text())
    classes = [cls for by_name in COMPONENTS.values() for cls in by_name.values()]
    _, declared = msgspec.json.schema_components(classes, ref_template="#/$defs/{name}")
    for kind in KINDS:
        _add_components(schema["$defs"], kind, declared)
    inside = declared.keys() - {cls.__name__ for cls in classes}
    for name in sorted(inside):
        known = declared[name]["properties"]
        plain = {key: _without_union(value) for key, value in known.items()}
        schema["$defs"][name] = {**declared[name], "properties": plain}
    _admit_free_keys(schema)
    _admit_references(schema)
    return schema


def plan_schema() -> Schema:
    """The schema of a plan file, from its model and the descriptions of its fields."""
    descriptions: dict[str, dict[str, str]] = json.loads(DESCRIPTIONS.read_text())
    of_phases = descriptions.pop("Phase")
    for name in PHASES:
        descriptions[name] = {**of_phases, **descriptions[name]}
    schema = msgspec.json.schema(Plan)
    _describe(schema["$defs"], descriptions)
    return {"$schema": DIALECT, **schema}


def record_schema() -> Schema:
    """The schema of run.json; under `$defs`, those of the other files and tables of a run."""
    parts: Schema = json.loads(RECORDS.read_text())
    _, definitions = msgspec.json.schema_components(
        [RunFile, ArtifactRow], ref_template="#/$defs/{name}"
    )
    definitions["RunFile"]["properties"]["crc32"] = {"type": "integer"}
    _describe(definitions, parts["descriptions"])
    return {
        "$schema": DIALECT,
        "$ref": "#/$defs/RunFile",
        "$defs": definitions | parts["definitions"],
    }


def _describe(definitions: Schema, descriptions: dict[str, dict[str, str]]) -> None:
    """Give each property its description; raises ValueError where one is missing or too much."""
    for title, definition in definitions.items():
        properties = definition.get("properties", {})
        written = descriptions.get(title, {})
        if differing := properties.keys() ^ written.keys():
            names = ", ".join(f"{title}.{name}" for name in sorted(differing))
            msg = f"schemas/structure/ has no description, or one too much, of {names}"
            raise ValueError(msg)
        for name, value in properties.items():
            properties[name] = {"description": written[name], **value}


def _add_components(definitions: Schema, kind: Kind, declared: Schema) -> None:
    """Complete the definition of a kind, whose own keys stand beside those of each component."""
    owner = definitions[kind]
    beside = owner.get("properties", {})
    owner["required"] = ["use", *owner.get("required", [])]
    owner["properties"] = {"use": _use(kind), **beside}
    owner["allOf"] = []
    for use, cls in COMPONENTS[kind].items():
        name = f"{kind}.{use}"
        definitions[name] = _component(use, declared[cls.__name__], beside)
        condition = {
            "type": "object",
            "required": ["use"],
            "properties": {"use": {"const": use}},
        }
        owner["allOf"].append({"if": condition, "then": {"$ref": f"#/$defs/{name}"}})


def _use(kind: Kind) -> Schema:
    components = COMPONENTS[kind]
    names: Schema = {
        "enum": list(components),
        "enumDescriptions": [
            inspect.cleandoc(cls.__doc__ or "").partition("\n")[0] for cls in components.values()
        ],
    }
    description = f"Name of the {'splitter' if kind == 'split' else kind}."
    if kind in OPEN_KINDS:
        description += " Code of your own is `module:Class` or `./file.py:Class`."
        own = {"pattern": f"^{REFERENCE}$"}
        names = {"type": "string", "if": {"pattern": ":"}, "then": own, "else": names}
    if kind != "model":
        return {"description": description, **names}
    return {
        "description": f"{description} A scikit-learn estimator is `sklearn.MODULE:CLASS`.",
        "examples": ["mlp", "sklearn.linear_model:Ridge", "./nets.py:Net"],
        "type": "string",
        "if": {"pattern": "^sklearn"},
        "then": {"pattern": f"^{SKLEARN_NAME.pattern}$"},
        "else": names,
    }


def _component(use: str, declared: Schema, beside: Schema) -> Schema:
    parameters = {
        name: _without_union(parameter)
        for name, parameter in declared["properties"].items()
        if name != "use"
    }
    clash = parameters.keys() & beside.keys()
    if clash:
        msg = f"`{use}` declares {', '.join(clash)}, which its kind has already"
        raise ValueError(msg)
    return {
        "title": use,
        "description": declared["description"],
        "required": [name for name in declared["required"] if name != "use"],
        "additionalProperties": False,
        "properties": {
            "use": {"description": f"`{use}`", "const": use},
            **dict.fromkeys(beside, True),
            **parameters,
        },
    }


def _without_union(schema: Schema) -> Schema:
    """`X or null` as one schema, inside it too: with `anyOf`, a validator cannot say what is wrong."""
    for keyword in ("items", "additionalProperties"):
        if isinstance(schema.get(keyword), dict):
            schema = {**schema, keyword: _without_union(schema[keyword])}
    members = schema.get("anyOf")
    if members is None:
        return schema
    merged: Schema = {}
    types = []
    for member in members:
        merged |= _without_union(member)
        types.append(member["type"])
    rest = {key: value for key, value in schema.items() if key != "anyOf"}
    described = {key: rest.pop(key) for key in ("description",) if key in rest}
    return {**described, **merged, "type": types, **rest}


def _admit_free_keys(schema: Any) -> None:
    """Let every object have keys that begin with `x-`."""
    if isinstance(schema, dict):
        if "additionalProperties" in schema:
            schema["patternProperties"] = {"^x-": True}
        for part in schema.values():
            _admit_free_keys(part)
    elif isinstance(schema, list):
        for part in schema:
            _admit_free_keys(part)


def _admit_references(schema: Schema) -> None:
    """Let a reference stand for the value of each key and for each item."""
    for name, definition in schema["$defs"].items():
        if name != "reference":
            _wrap_values(definition)
    _wrap_values(schema, but=NOT_REFERABLE)


def _wrap_values(schema: Schema, *, but: tuple[str, ...] = ()) -> None:
    properties = schema.get("properties", {})
    for key, value in properties.items():
        if key not in but:
            properties[key] = _or_reference(value)
    for keyword in ("items", "additionalProperties"):
        if keyword in schema:
            schema[keyword] = _or_reference(schema[keyword])
    if "prefixItems" in schema:
        schema["prefixItems"] = [_or_reference(item) for item in schema["prefixItems"]]
    branches = [schema[keyword] for keyword in ("then", "else") if keyword in schema]
    for part in (*schema.get("allOf", []), *branches):
        _wrap_values(part)


def _or_reference(schema: Any) -> Any:
    if isinstance(schema, bool) or "const" in schema:
        return schema
    _wrap_values(schema)
    outer = {key: schema[key] for key in ANNOTATIONS if key in schema}
    # Some editors offer nothing but the default and examples of a value that may also be a reference.
    usual = outer.get("default")
    if "enum" in schema:
        outer["examples"] = [value for value in schema["enum"] if value != usual]
    elif schema.get("type") == "boolean":
        outer["examples"] = [value for value in (True, False) if value is not usual]
    inner = {key: value for key, value in schema.items() if key not in ANNOTATIONS}
    return {
        **outer,
        "if": {"type": "object", "required": ["$"]},
        "then": {"$ref": "#/$defs/reference"},
        "else": inner,
    }


def _text(schema: Schema) -> str:
    return json.dumps(schema, indent=2, ensure_ascii=False) + "\n"


def main() -> int:
    """Write, or with `--check` compare."""
    parser = argparse.ArgumentParser(description="Write schemas/*.schema.json.")
    parser.add_argument("--check", action="store_true", help="change nothing, report drift")
    check: bool = parser.parse_args().check
    schemas = {EXPERIMENT: experiment_schema(), PLAN: plan_schema(), RECORD: record_schema()}
    texts = {name: _text(schema) for name, schema in schemas.items()}
    texts |= {f"{PACKAGES}/{Path(name).name}": text for name, text in texts.items()}
    stale = []
    for name, text in texts.items():
        file = ROOT / name
        if not file.is_file() or file.read_text() != text:
            stale.append(name)
            if not check:
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_text(text)
    for name in stale:
        state = "is out of date; run tools/generate_schemas.py" if check else "written"
        sys.stderr.write(f"{name} {state}\n")
    return 1 if check and stale else 0


if __name__ == "__main__":
    sys.exit(main())
