"""Keys that are missing, and keys that a mapping does not have."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from specplan.components import COMPONENTS
from specplan.spec import hints
from specplan.spec.defaults import spec_schema
from specplan.spec.diagnostics import Diagnostic
from specplan.spec.hints import READERS
from specplan.spec.levels import belongs, labelled_parts
from specplan.spec.suggest import closest, near
from specplan.spec.suggestion import Suggestion
from specplan.spec.wording import did_you_mean, quoted, with_article

if TYPE_CHECKING:
    from collections.abc import Iterator

    from specplan.spec.diagnostics import Path
    from specplan.spec.document import Document
    from specplan.spec.fault import Fault

_PHASES = ("train", "eval", "fit")


def without_labels(document: Document) -> Iterator[Diagnostic]:
    """Parts that stand where their label is wanted, as `data: {source: ...}`."""
    for path, item in labelled_parts(spec_schema()):
        value = document.value
        for key in path:
            value = value.get(key) if isinstance(value, dict) else None
        if not isinstance(value, dict):
            continue
        needed = {"use", *item["required"]} & item["properties"].keys()
        own = [key for key in value if key in needed and not _is_part(value[key], needed)]
        if not own:
            continue
        title = item["title"]
        name = f"My{title}" if title[0].isupper() else f"my_{title}"
        yield Diagnostic(
            code="SP204",
            message=f"`{path[-1]}` holds {with_article(title)} under each label; "
            f"`{own[0]}` is a key of {with_article(title)}, the label is missing",
            origin=document.origin((*path, own[0]), key=True),
            hint=f"put a label above, such as `{name}`, and indent this below it",
        )


def _is_part(value: object, needed: set[str]) -> bool:
    return isinstance(value, dict) and bool(needed & value.keys())


def missing_keys(fault: Fault, misspelt: set[tuple[Path, str | None]]) -> Iterator[Diagnostic]:
    """What a mapping needs and does not have; `misspelt` keys are there under another name."""
    missing = [
        key
        for key in fault.expected
        if key not in fault.value and (fault.path, key) not in misspelt
    ]
    # Where one of two keys is needed, either may be the one that is misspelt.
    either = re.findall(r"`(\w+)`", fault.schema.get("errorMessage", ""))
    if any((fault.path, key) in misspelt for key in either):
        return
    around = [
        key
        for key, nested in _nested(fault.value, fault.schema).items()
        if nested.keys() & set(missing)
    ]
    if around:
        if fault.schema.get("additionalProperties") is not False:
            # Which keys there may be depends on one that is missing, so nothing else speaks of them.
            yield _unknown_around(fault, around[0])
        missing = [key for key in missing if not any(key in fault.value[name] for name in around)]
    if not missing:
        return
    title = fault.schema.get("title", "mapping")
    owner = f"`{title}`" if fault.component is not None else with_article(title)
    meant = next(_meant_as(fault, missing), None)
    origin = fault.head
    if meant is not None:
        origin = fault.document.origin((*fault.path, meant[0]), key=True)
    yield fault.diagnostic(
        "SP204",
        f"{owner} needs {quoted(missing)}",
        origin=origin,
        hint=meant[1] if meant is not None else _what_is_missing(fault, missing),
    )


def _unknown_around(fault: Fault, key: str) -> Diagnostic:
    return fault.diagnostic(
        "SP201",
        f"unknown key `{key}` in {with_article(fault.schema.get('title', 'mapping'))}",
        origin=fault.document.origin((*fault.path, key), key=True),
        hint=f"write {quoted(fault.value[key])} without `{key}` around",
    )


def _meant_as(fault: Fault, missing: list[str]) -> Iterator[tuple[str, str]]:
    """Keys that may be meant as a missing one, where unknown keys are not reported by themselves."""
    for key in fault.value:
        if key in fault.schema.get("properties", {}):
            continue
        name, colon, rest = key.partition(":")
        if colon and rest and name in missing and fault.value[key] is None:
            yield key, _with_space(key)
        elif "use" in missing and fault.value[key] in _known_names(fault):
            yield key, Suggestion(f"write `use: {fault.value[key]}`", text="use", replaces=key)
        elif (meant := closest(key, missing)) is not None:
            words = f"`{key}` may be meant as `{meant}`"
            yield key, Suggestion(words, text=meant, replaces=key)


def _with_space(key: str) -> Suggestion:
    name, _, rest = key.partition(":")
    text = f"{name}: {rest}"
    words = f"a space follows the colon: write `{text}`"
    return Suggestion(words, text=text, replaces=key, applicability="safe")


def _what_is_missing(fault: Fault, missing: list[str]) -> str | None:
    if "specplan" in missing:
        return "add `specplan: 1`"
    for key, inner in fault.value.items():
        if missing == ["use"] and key in COMPONENTS.get(fault.kind or "", {}):  # type: ignore[call-overload]
            component = {"use": key, **(inner if isinstance(inner, dict) else {})}
            return f"write `{fault.written(component)}`"
        if missing == ["phase"] and closest(key, _PHASES) is not None:
            return f"the kind of a phase is one of its keys: write `phase: {closest(key, _PHASES)}`"
    if missing == ["use"]:
        return _use_for(fault)
    if missing[0] == "model" and isinstance(fault.value.get("input"), list):
        return f"several inputs are joined by `merge: {fault.written({'use': 'concat'})}`"
    example = _example(fault, missing[0])
    return None if example is None else f"such as `{missing[0]}: {fault.written(example)}`"


def _example(fault: Fault, key: str) -> object:
    """What could stand under a key that is missing; None where nothing is likely."""
    if key == "sampler":
        return {"use": "simple", "batch_size": 32}
    if key == "losses" and isinstance(losses := fault.document.value.get("losses"), dict):
        return list(losses)[:1] or None
    if key == "node":
        return next(iter(_learning(fault.document)), None)
    return None


def _learning(document: Document) -> Iterator[str]:
    """The nodes that have a target, as they are written."""
    graph = document.value.get("graph")
    nodes = graph.get("nodes") if isinstance(graph, dict) else None
    for label, node in (nodes if isinstance(nodes, dict) else {}).items():
        if isinstance(node, dict) and "target" in node:
            yield label


def _use_for(fault: Fault) -> str | None:
    """What `use` may be, by the arguments beside it."""
    known = COMPONENTS.get(fault.kind or "", {})  # type: ignore[call-overload]  # kinds are literals
    ending = str(fault.value.get("path", "")).rpartition(".")[2].lower()
    if fault.kind == "source" and ending in READERS:
        return f"add `use: {READERS[ending]}`"
    fitting = [
        name
        for name, component in known.items()
        if fault.value.keys() <= set(component.__struct_fields__)
    ]
    if len(fitting) == 1:
        return f"add `use: {fitting[0]}`"
    return f"`use` is one of {quoted(fitting)}" if fitting else None


def _known_names(fault: Fault) -> list[str]:
    return list(COMPONENTS.get(fault.kind or "", {}))  # type: ignore[call-overload]  # kinds are literals


def _nested(value: dict[str, Any], schema: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Mappings under keys of their own whose keys belong beside those, as `with: {lr: 0.1}`."""
    known = schema.get("properties", {})
    return {
        key: item
        for key, item in value.items()
        if key not in known and isinstance(item, dict) and item and item.keys() <= known.keys()
    }


def hollow_parts(fault: Fault) -> dict[str, list[str]]:
    """Parts below which nothing stands, and the unknown keys beside each that belong below it."""
    hollow: dict[str, list[str]] = {}
    for name in (name for name, item in fault.value.items() if item is None):
        kinds = _kinds_of(fault.schema["properties"].get(name))
        below = [key for key in fault.unknown_keys if any(_has_key(kind, key) for kind in kinds)]
        if below:
            hollow[name] = below
    return hollow


def _kinds_of(schema: Any) -> list[str]:
    """The definitions that a property refers to."""
    if not isinstance(schema, dict):
        return []
    parts = [schema, schema.get("else", {}), *schema.get("anyOf", ())]
    return [part["$ref"].removeprefix("#/$defs/") for part in parts if "$ref" in part]


def _has_key(kind: str, key: str) -> bool:
    """Whether a definition, or a component of that kind, has a key."""
    return any(
        key in definition.get("properties", {})
        for name, definition in spec_schema()["$defs"].items()
        if name == kind or name.startswith(f"{kind}.")
    )


def unknown_keys(fault: Fault, hollow: dict[str, list[str]]) -> Iterator[Diagnostic]:
    """What a mapping has and its schema does not; `hollow` are parts below which some of it belongs."""
    for name, below in hollow.items():
        yield fault.diagnostic(
            "SP202",
            f"nothing stands below `{name}`",
            origin=fault.document.origin((*fault.path, name), key=True),
            hint=f"indent {quoted(below)} more than `{name}`",
        )
    moved = {key for below in hollow.values() for key in below}
    known = fault.known_keys
    listed = f"known: {', '.join(known)}" if known else "it takes none"
    level = _level_below(fault)
    for key in fault.unknown_keys:
        if key in moved:
            continue
        if fault.component is None:
            code, what = "SP201", f"unknown key `{key}`"
        else:
            code, what = "SP403", f"unknown argument `{key}` of `{fault.component}`"
        hint = _meaning_of_key(fault, key) if level is None else level
        yield fault.diagnostic(
            code,
            f"{what}; {listed}",
            origin=fault.document.origin((*fault.path, key), key=True),
            hint=hint,
        )
        if level is not None:
            return


def _meaning_of_key(fault: Fault, key: str) -> str | None:
    value = fault.value[key]
    if value is None and key.partition(":")[2]:
        return _with_space(key)
    if value is None and re.fullmatch(r"\w+\s*=\s*\S+", key):
        return hints.for_null(key, None)
    if key in _nested(fault.value, fault.schema):
        if fault.component is not None:
            component = {"use": fault.component, **value}
            return f"arguments stand beside `use`: write `{fault.written(component)}`"
        return f"write {quoted(value)} without `{key}` around"
    if key == "phase" and fault.schema.get("title") == "group":
        return "a group is no phase: its phases stand in `do`"
    if (hint := hints.for_size_of_input(_kind_of(fault.component), key)) is not None:
        return hint
    others = _takers(fault, key)
    if near(key, fault.free_keys) is None and others:
        return f"`{key}` is an argument of {quoted(others)}"
    if near(key, fault.free_keys) is None:
        hint = belongs(spec_schema(), key, fault.schema)
        if hint is not None:
            return hint
    if (lacking := _lacking(fault, key)) is not None and closest(key, fault.free_keys) is None:
        return Suggestion(f"`{lacking}` is missing: did you mean it?", text=lacking, replaces=key)
    return did_you_mean(key, fault.free_keys) or _there_already(fault, key)


def _lacking(fault: Fault, key: str) -> str | None:
    """The only key that is missing, where `key` is the only unknown one and holds what could stand there."""
    missing = [name for name in fault.schema.get("required", ()) if name not in fault.value]
    if len(missing) != 1 or fault.unknown_keys != [key] or missing[0] in ("use", "phase"):
        return None
    wanted = fault.schema["properties"][missing[0]]
    found = {dict: "object", list: "array", int: "integer"}.get(type(fault.value[key]))
    return missing[0] if found == wanted.get("else", wanted).get("type", "") else None


def _kind_of(component: str | None) -> str | None:
    kinds = (kind for kind, known in COMPONENTS.items() if component in known)
    return next(kinds, None)


def _takers(fault: Fault, key: str) -> list[str]:
    """The components of the same kind that take an argument."""
    return [
        name
        for components in COMPONENTS.values()
        if fault.component in components
        for name, component in components.items()
        if key in component.__struct_fields__
    ]


def _there_already(fault: Fault, key: str) -> str | None:
    meant = near(key, [known for known in fault.known_keys if known in fault.value])
    if meant is None:
        return None
    return f"did you mean `{meant}`, which is there already?"


def meant_key(fault: Fault, key: str) -> str | None:
    """The key of this mapping that is not missing, because `key` is meant as it."""
    if _level_below(fault) is not None:
        return next(iter(_labels_below(fault)), None)
    if fault.value[key] is None and ":" in key:
        return key.partition(":")[0]
    return closest(key, fault.free_keys) or _lacking(fault, key) or _part_with(fault, key)


def _part_with(fault: Fault, key: str) -> str | None:
    """A part that is not there and would have `key`, as `graph` has `nodes`."""
    for name in fault.free_keys:
        kinds = _kinds_of(fault.schema["properties"][name])
        if any(_has_key(kind, key) for kind in kinds if kind in spec_schema()["$defs"]):
            return name
    return None


def _level_below(fault: Fault) -> str | None:
    """The hint where the unknown keys are labels of what belongs one level deeper, as nodes in `graph`."""
    for name, needed in _labels_below(fault).items():
        if all(_is_part(fault.value[key], needed) for key in fault.unknown_keys):
            labels = quoted(fault.unknown_keys)
            return f"{labels} may belong under `{name}`"
    return None


def _labels_below(fault: Fault) -> dict[str, set[str]]:
    start = () if fault.schema is spec_schema() else ("graph",)
    if start and fault.schema.get("title") != "graph":
        return {}
    return {
        path[-1]: {"use", *item["required"]} & item["properties"].keys()
        for path, item in labelled_parts(spec_schema())
        if path[:-1] == start and path[-1] in fault.free_keys
    }
