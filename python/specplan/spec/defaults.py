"""What the language and its components say of a value that a spec does not have to give."""

from __future__ import annotations

import functools
import re
from pathlib import Path as FilePath
from typing import TYPE_CHECKING, Any

import msgspec

if TYPE_CHECKING:
    from collections.abc import Iterator

    from specplan.spec.diagnostics import Path

Schema = dict[str, Any]


class Declared(msgspec.Struct, frozen=True, kw_only=True):
    """A key that a mapping of a spec can have.

    Attributes:
        owner: what has the key: a part of the language, or a component as in "sampler `simple`".
        default: UNSET where the key has none.
    """

    owner: str
    description: str
    default: Any = msgspec.UNSET


def declared(value: Any, path: Path) -> dict[str, Declared]:
    """The keys that the mapping at `path` can have by its schema, where `value` is the whole spec.

    None for what is no mapping, or one whose keys are labels.
    """
    found = [("spec", spec_schema())]
    for part in path:
        found = [inner for owner, schema in found for inner in _inside(owner, schema, value, part)]
        value = _item(value, part)
    return {
        key: _declared(owner, property_)
        for owner, schema in (member for pair in found for member in _members(*pair, value))
        for key, property_ in schema.get("properties", {}).items()
        if isinstance(property_, dict) and key != "$schema"
    }


def _declared(owner: str, schema: Schema) -> Declared:
    members = [member for _, member in _members(owner, schema, msgspec.UNSET)]
    defaults = [member["default"] for member in members if "default" in member]
    descriptions = [member["description"] for member in members if "description" in member]
    return Declared(
        owner=owner,
        description=descriptions[0] if descriptions else "",
        default=defaults[0] if defaults else msgspec.UNSET,
    )


@functools.cache
def spec_schema() -> Schema:
    """The schema of specs."""
    file = FilePath(__file__).parents[1] / "_schemas" / "experiment.schema.json"
    return msgspec.json.decode(file.read_bytes(), type=Schema)


def _inside(
    owner: str, schema: Schema, value: Any, part: str | int
) -> Iterator[tuple[str, Schema]]:
    for name, member in _members(owner, schema, value):
        if isinstance(part, int):
            inner = member.get("items")
        else:
            inner = member.get("properties", {}).get(part, member.get("additionalProperties"))
        if isinstance(inner, dict):
            yield name, inner


def _members(owner: str, schema: Schema, value: Any) -> Iterator[tuple[str, Schema]]:
    """The schemas that hold for `value`, each with the name of what it describes."""
    yield owner, schema
    if "$ref" in schema:
        name = schema["$ref"].removeprefix("#/$defs/")
        definition = spec_schema()["$defs"][name]
        kind, _, use = name.partition(".")
        owner = f"{kind} `{use}`" if use else definition.get("title", name)
        yield from _members(owner, definition, value)
    if "if" in schema:
        branch = schema.get("then" if _holds(schema["if"], value) else "else", {})
        yield from _members(owner, branch, value)
    for member in schema.get("allOf", ()):
        yield from _members(owner, member, value)


def _holds(condition: Schema, value: Any) -> bool:
    """Whether a value meets a condition of our schema, which knows few words."""
    if "pattern" in condition:
        return isinstance(value, str) and re.search(condition["pattern"], value) is not None
    if not isinstance(value, dict):
        return False
    constants = {
        key: rule["const"]
        for key, rule in condition.get("properties", {}).items()
        if "const" in rule
    }
    required = all(key in value for key in condition.get("required", ()))
    return required and all(value.get(key) == constant for key, constant in constants.items())


def _item(value: Any, part: str | int) -> Any:
    if isinstance(value, dict):
        return value.get(part)
    if isinstance(value, list) and isinstance(part, int) and part < len(value):
        return value[part]
    return None
