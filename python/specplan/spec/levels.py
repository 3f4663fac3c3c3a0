"""Where in a spec a key belongs that stands at the wrong place."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from specplan.spec.wording import with_article

if TYPE_CHECKING:
    from collections.abc import Iterator

Schema = dict[str, Any]

_MOST_PLACES = 3
_ROOT = ""


def belongs(schema: Schema, key: str, below: Schema) -> str | None:
    """The hint for `key`, which the part `below` of the schema does not have; None where nothing has it.

    What stands inside that part comes before what stands in a list inside of it, and that before the rest.
    """
    parents = _parents(schema)
    here = _name_of(schema, below)
    places: dict[str, int] = {}
    for name in _owners(schema, key):
        above = [several for owner, _, several in parents.get(_kind(name), ()) if owner == here]
        words = _words(schema, parents, name, here)
        distance = (1 if all(above) else 0) if above else 2
        places[words] = min(places.get(words, distance), distance)
    nearest = [words for words in places if places[words] == min(places.values())]
    if not nearest or len(nearest) > _MOST_PLACES:
        return None
    *others, last = nearest
    listed = f"{', '.join(others)} or {last}" if others else last
    return f"`{key}` belongs to {listed}"


def _kind(name: str) -> str:
    return name.partition(".")[0]


def _owners(schema: Schema, key: str) -> Iterator[str]:
    if key in schema["properties"]:
        yield _ROOT
    kinds = set()
    for name, definition in schema["$defs"].items():
        kind, _, component = name.partition(".")
        if key == "use" or key not in definition.get("properties", {}):
            continue
        if component and key in schema["$defs"][kind]["properties"]:
            continue
        if component and _of_all_components(schema, kind, key):
            if kind not in kinds:
                yield kind
            kinds.add(kind)
        else:
            yield name


def _of_all_components(schema: Schema, kind: str, key: str) -> bool:
    components = [d for n, d in schema["$defs"].items() if n.startswith(f"{kind}.")]
    return all(key in component["properties"] for component in components)


Parents = dict[str, list[tuple[str, str, bool]]]
"""For each definition: who has it, under which key, and whether as one of several."""


def _parents(schema: Schema) -> Parents:
    parents: Parents = {}
    owners = {_ROOT: schema, **schema["$defs"]}
    for owner, definition in owners.items():
        for key, value in definition.get("properties", {}).items():
            for name, several in _referred(value):
                parents.setdefault(name, []).append((owner, key, several))
    return parents


def _referred(value: Any, several: bool = False) -> Iterator[tuple[str, bool]]:  # noqa: FBT001, FBT002
    if not isinstance(value, dict):
        return
    name = value.get("$ref", "").removeprefix("#/$defs/")
    if name and name != "reference":
        yield name, several
    yield from _referred(value.get("else"), several)
    for keyword in ("items", "additionalProperties"):
        yield from _referred(value.get(keyword), several=True)


def _name_of(schema: Schema, part: Schema) -> str | None:
    if part.get("title") == schema.get("title"):
        return _ROOT
    names = (name for name, known in schema["$defs"].items() if known is part)
    return next(names, None)


def _words(schema: Schema, parents: Parents, name: str, here: str | None) -> str:
    if name == _ROOT:
        return "the top of the spec"
    kind, _, component = name.partition(".")
    if component and not _of_one_place(parents, kind):
        return f"the {kind} `{component}`"
    for owner, key, several in parents.get(kind, ()):
        if several:
            break
        if owner in {_ROOT, here}:
            return f"`{key}`"
        return f"`{key}` of {_words(schema, parents, owner, here)}"
    return with_article(schema["$defs"][kind].get("title", kind))


def _of_one_place(parents: Parents, kind: str) -> bool:
    return not any(several for _, _, several in parents.get(kind, ()))


def labelled_parts(schema: Schema) -> Iterator[tuple[tuple[str, ...], Schema]]:
    """Every mapping of labels: the keys that lead to it, and the schema of what each label has."""
    owners = {(): schema, ("graph",): schema["$defs"]["graph"]}
    for path, owner in owners.items():
        for key, value in owner["properties"].items():
            part = value.get("else", value)
            names = [name for name, several in _referred(part) if several]
            if "propertyNames" in part and names:
                yield (*path, key), schema["$defs"][names[0]]
