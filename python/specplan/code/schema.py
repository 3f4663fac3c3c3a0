"""The schema of specs with the components of installed packages beside those that are built in."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from specplan.code.signature import FILLED, check_use, signature
from specplan.code.source import find
from specplan.components.plugins import installed, plugins, said_of
from specplan.components.reference import OPEN_KINDS
from specplan.errors import CodeError

if TYPE_CHECKING:
    from specplan.code.signature import Parameter, Signature
    from specplan.components import Kind

Schema = dict[str, Any]


def with_plugins(schema: Schema) -> tuple[Schema, list[str]]:
    """`schema` with every installed component: its name, its parameters, its documentation.

    The second value says of each entry of a package that names nothing what is wrong with it.
    """
    schema = copy.deepcopy(schema)
    definitions: Schema = schema["$defs"]
    known = installed()
    broken = list(known.left_out)
    for kind in OPEN_KINDS:
        for name, reference in plugins(kind).items():
            entry = f"{kind}.{name}"
            try:
                source = find(reference, folder=Path(), pythonpath=())
                found = signature(source, kind)
                check_use(source, kind)
            except CodeError as error:
                broken.append(said_of(entry, known.packages[entry], str(error)))
            else:
                _add(definitions, kind, name, found)
    return schema, broken


def _add(definitions: Schema, kind: Kind, name: str, found: Signature) -> None:
    owner = definitions[kind]
    names = _names(owner["properties"]["use"])
    names["enum"].append(name)
    names["enumDescriptions"].append(found.documentation.partition("\n")[0] or f"`{found.name}`")
    beside = {key: True for key in owner["properties"] if key != "use"}
    filled = FILLED.get(kind, ())
    required = [
        parameter.name
        for parameter in found.parameters.values()
        if parameter.required and parameter.name not in filled
    ]
    parameters = {
        parameter.name: _value(parameter, definitions) for parameter in found.parameters.values()
    }
    definitions[f"{kind}.{name}"] = {
        "title": name,
        "description": found.documentation or f"`{found.name}`",
        "required": required,
        "additionalProperties": found.is_open,
        "properties": {"use": {"description": f"`{name}`", "const": name}, **beside, **parameters},
        "patternProperties": {"^x-": True},
    }
    condition = {"type": "object", "required": ["use"], "properties": {"use": {"const": name}}}
    owner["allOf"].append({"if": condition, "then": {"$ref": f"#/$defs/{kind}.{name}"}})


def _names(schema: Schema) -> Schema:
    """The part of the schema of `use` that lists names."""
    while "enum" not in schema:
        schema = schema["else"]
    return schema


def _value(parameter: Parameter, definitions: Schema) -> Schema:
    (schema,), shared = msgspec.json.schema_components(
        [parameter.type], ref_template="#/$defs/{name}"
    )
    definitions.update(shared)
    outer: Schema = {"description": parameter.annotation or parameter.name}
    if parameter.default is not msgspec.UNSET:
        outer["default"] = msgspec.to_builtins(parameter.default)
    reference = {"if": {"type": "object", "required": ["$"]}, "then": {"$ref": "#/$defs/reference"}}
    return {**outer, **reference, "else": schema}
