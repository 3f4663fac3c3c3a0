"""What a JSON Schema validator objects to, as diagnostics that say what to do."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from msgspec import UNSET
from msgspec.structs import replace

from specplan.components import COMPONENTS
from specplan.components.plugins import plugins
from specplan.components.reference import OPEN_KINDS, parse
from specplan.spec import hints
from specplan.spec.defaults import declared
from specplan.spec.diagnostics import Diagnostic
from specplan.spec.fault import objections
from specplan.spec.key_faults import (
    hollow_parts,
    meant_key,
    missing_keys,
    unknown_keys,
    without_labels,
)
from specplan.spec.model import SPEC_VERSION
from specplan.spec.suggest import closest, near
from specplan.spec.suggestion import Suggestion
from specplan.spec.wording import did_you_mean, kind_of, shown, with_article

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from specplan.components import Kind
    from specplan.spec.diagnostics import Path
    from specplan.spec.document import Document
    from specplan.spec.fault import Fault


def schema_faults(document: Document) -> Iterator[Diagnostic]:
    """Every fault of the document's structure, one for each cause, in no particular order."""
    unlabelled = list(without_labels(document))
    yield from unlabelled
    broken = [diagnostic.origin.path[:-1] for diagnostic in unlabelled]
    yield from _version(document)
    faults = [
        fault for fault in objections(document) if not any(_within(fault, path) for path in broken)
    ]
    strangers = [fault for fault in faults if fault.rule == "additionalProperties"]
    hollow = {fault.path: hollow_parts(fault) for fault in strangers}
    misspelt = {
        (fault.path, meant_key(fault, key)) for fault in strangers for key in fault.unknown_keys
    }
    diagnosed = set()
    faults = list(_percentages_together(faults))
    for fault in faults:
        if fault.path[-1:] and fault.path[-1] in hollow.get(fault.path[:-1], {}):
            continue
        if fault.rule == "additionalProperties":
            yield from unknown_keys(fault, hollow[fault.path])
        elif fault.rule == "required":
            # The validator reports each missing key by itself, always with the same schema.
            cause = (fault.path, tuple(fault.expected))
            if cause not in diagnosed:
                diagnosed.add(cause)
                yield from missing_keys(fault, misspelt)
        else:
            yield from _TRANSLATIONS[fault.rule](fault)


def _percentages_together(faults: Iterable[Fault]) -> Iterator[Fault]:
    """The faults, but of several shares of rows that are percentages only the first, as one of all of them."""
    told: set[Path] = set()
    for fault in faults:
        ratios = fault.path[:-1]
        if fault.rule != "maximum" or ratios[-1:] != ("ratios",):
            yield fault
            continue
        written = fault.document.value_at(ratios)
        numbers = [share for share in written.values() if isinstance(share, int | float)]
        if len(numbers) < len(written) or sum(numbers) != 100:
            yield fault
        elif ratios not in told:
            told.add(ratios)
            yield replace(fault, path=ratios, value=written)


def _version(document: Document) -> Iterator[Diagnostic]:
    # To JSON Schema, 1.0 and true are members of [1].
    version = document.value.get("specplan")
    if type(version) is not int and version == SPEC_VERSION:
        path = ("specplan",)
        yield Diagnostic(
            code="SP203",
            message=f"`specplan` is {shown(version)}; expected {SPEC_VERSION}",
            origin=document.origin(path),
            hint=f"write `{SPEC_VERSION}`",
        )


def _within(fault: Fault, path: Path) -> bool:
    return fault.path[: len(path)] == path


def _wrong_type(fault: Fault) -> Iterator[Diagnostic]:
    kind = _kind_of_names(fault.schema) if fault.path[-1:] == ("use",) else None
    if kind is not None:
        yield _unknown_component(fault, kind)
        return
    names = [fault.expected] if isinstance(fault.expected, str) else list(fault.expected)
    wanted = " or ".join(_TYPE_NAMES.get(name, name) for name in names)
    if fault.kind is not None:
        wanted = f"{_kind_name(fault.kind)}, a mapping with `use`"
    yield fault.diagnostic(
        "SP202",
        f"expected {wanted}, found {kind_of(fault.value)}",
        hint=_conversion(fault, set(names)),
    )


def _conversion(fault: Fault, expected: set[str]) -> str | None:
    value = fault.value
    if fault.kind is not None:
        return hints.for_component(value, fault.kind, fault.written)
    if "array" in expected:
        if isinstance(value, dict) and "use" in value and (section := _labelled(fault.path)):
            return hints.for_label_of(section, value)
        if (several := _of_list(fault)) is not None:
            return several
        return hints.for_list(
            value,
            fault.written,
            of_phases=fault.path[-1:] in _LISTS_OF_PHASES,
            kind="callback" if fault.path[-1:] == ("callbacks",) else None,
        )
    if "object" in expected:
        said = hints.for_mapping(fault.path[-1] if fault.path else "spec", value)
        return said or _as_mapping(fault)
    if isinstance(value, list) and isinstance(fault.path[-1], int):
        return hints.for_nested_list(value)
    if isinstance(value, dict) and (section := _labelled(fault.path[:-1])):
        return hints.for_label_of(section, value)
    return hints.for_scalar(value, expected, fault.written) or _meaning(fault)


def _of_list(fault: Fault) -> Suggestion | None:
    """The hint where one value stands in place of a list of choices, or of a list of several values."""
    choices = fault.schema.get("items", {})
    choices = choices.get("enum", ()) if isinstance(choices, dict) else ()
    if isinstance(fault.value, str) and (same := closest(fault.value, choices)) is not None:
        text = fault.written([same])
        return Suggestion(f"write `{text}`", text=text)
    name = fault.path[-1] if fault.path else None
    key = declared(fault.document.value, fault.path[:-1]).get(str(name)) if name else None
    default = None if key is None else key.default
    if isinstance(default, list | tuple) and len(default) > 1 and not isinstance(fault.value, dict):
        text = fault.written(list(default))
        return Suggestion(f"it is a list of {len(default)}, such as `{text}`", text=text)
    return None


def _as_mapping(fault: Fault) -> str | None:
    """The hint where a mapping is wanted, and the value of one of its keys stands there."""
    number = isinstance(fault.value, int | float) and not isinstance(fault.value, bool)
    fitting = [
        fault.written({key: fault.value})
        for key, schema in fault.schema.get("properties", {}).items()
        for written in [schema.get("else", schema)]
        if fault.value in written.get("enum", ())
        or (number and "number" in written.get("type", ()))
    ]
    if len(fitting) == 1:
        return Suggestion(f"write `{fitting[0]}`", text=fitting[0])
    return "such as " + " or ".join(f"`{each}`" for each in fitting) if fitting else None


def _labelled(path: Path) -> str | None:
    """The section of the spec that has what a list names by labels; None for any other place."""
    last = path[-1] if len(path) > 1 else None
    return str(last) if last in ("losses", "metrics") else None


def _meaning(fault: Fault) -> str | None:
    """What an argument is, where nothing better can be said of a value that it cannot have."""
    name = fault.path[-1]
    key = declared(fault.document.value, fault.path[:-1]).get(str(name))
    if isinstance(name, str) and hints.is_null(fault.value):
        default = UNSET if key is None else key.default
        written = None if default in (UNSET, None) else fault.written(default)
        return hints.for_null(name, written)
    if isinstance(name, int) or key is None:
        return None
    if not isinstance(fault.value, list | dict):
        return None
    described = key.description.partition(". ")[0].removesuffix(".")
    return f"`{name}`: {described[0].lower()}{described[1:]}" if described else None


def _not_a_choice(fault: Fault) -> Iterator[Diagnostic]:
    value, choices = fault.value, [str(choice) for choice in fault.expected]
    if fault.path[-1] == "use":
        known = _kind_of_names(fault.schema)
        assert known is not None, choices
        if not isinstance(value, str) or value not in plugins(known):
            yield _unknown_component(fault, known)
        return
    listed = choices[0] if len(choices) == 1 else f"one of {', '.join(choices)}"
    hint = _choice(value, choices) or (_meaning(fault) if hints.is_null(value) else None)
    yield fault.diagnostic("SP203", f"{fault.name} is {shown(value)}; expected {listed}", hint=hint)


def _kind_of_names(schema: dict[str, Any]) -> Kind | None:
    """The kind whose components the schema of a `use` lists; None where it lists none."""
    while "enum" not in schema and "else" in schema:
        schema = schema["else"]
    names = schema.get("enum")
    return next((kind for kind, known in COMPONENTS.items() if list(known) == names), None)


def _choice(value: object, choices: list[str]) -> str | None:
    if isinstance(value, str) and value in choices:
        return Suggestion("remove the quotes", text=value, applicability="safe")
    if isinstance(value, bool | int | float):
        same = closest(shown(value).removesuffix(".0"), choices)
        return None if same is None else Suggestion(f"write `{same}`", text=same)
    if isinstance(value, list) and len(value) == 1 and value[0] in choices:
        return Suggestion(f"it is one word, not a list: write `{value[0]}`", text=str(value[0]))
    if isinstance(value, str) and parse(value) is not None:
        return f"code of your own stands where `use` does: {_OF_A_MODEL}"
    return did_you_mean(value, choices) if isinstance(value, str) else None


_OF_A_MODEL = "a model of your own can have any layers, a callback can set any learning rate"


_OWN = "`module:Class` or `./file.py:Class`"
_CLOSED: Mapping[str, str] = {
    "source": "a plan names its data by their bytes: write them to a file, or bind a table in Python",
    "repetition": "a plan lists every pass: `folds` and `seeds` are counted before it runs",
    "method": "points are chosen where no code of yours runs: list them with `use: grid`",
    "pruner": "runs are compared where no code of yours runs: choose one that is built in",
}
"""Why code of one's own cannot be a component of some kinds, and what can be done instead."""


def _unknown_component(fault: Fault, kind: Kind) -> Diagnostic:
    value = fault.value
    known, installed = list(COMPONENTS[kind]), list(plugins(kind))
    hint = None
    if not isinstance(value, str):
        message = f"`use` is {kind_of(value)}, not the name of {_kind_name(kind)}"
    elif ":" in value:
        message = f"`{value}`: {_kind_name(kind)} cannot be code of your own"
        hint = _CLOSED.get(kind)
    elif set(value) & set("/.") and kind in OPEN_KINDS:
        message = f"`{value}` is not {_kind_name(kind)}"
        hint = hints.for_module_of_torch(value, kind) or f"code of your own is {_OWN}"
    else:
        message = f"`{value}` is not {_kind_name(kind)}"
        hint = (
            did_you_mean(value, [*known, *installed])
            or _of_another_kind(value)
            or hints.for_section(value)
            or (hints.for_unknown_source(value, fault.beside("path")) if kind == "source" else None)
            or (hints.for_unknown_model(value) if kind == "model" else None)
            or hints.for_other_of_kind(kind, value)
        )
    more = f"; installed: {', '.join(installed)}" if installed else ""
    return fault.diagnostic("SP401", f"{message}; built in: {', '.join(known)}{more}", hint=hint)


def _of_another_kind(name: str) -> str | None:
    kinds = [_kind_name(kind) for kind, by_name in COMPONENTS.items() if name in by_name]
    if kinds:
        return f"`{name}` is {' and '.join(kinds)}"
    repeated = near(name, COMPONENTS["repetition"])
    if repeated is None:
        return None
    return f"a group has what is done for each: `for_each: {{use: {repeated}, n: 5}}`"


def _kind_name(kind: str) -> str:
    return with_article("splitter" if kind == "split" else kind)


def _wrong_pattern(fault: Fault) -> Iterator[Diagnostic]:
    if fault.path and fault.path[-1] == "use" and fault.value.startswith("live:"):
        message = f"`{fault.value}` does not name an object of a Python program: `live:NAME`"
        yield fault.diagnostic("SP401", message)
        return
    if fault.path and fault.path[-1] == "use" and not fault.value.startswith("sklearn"):
        message = f"`{fault.value}` is not code of your own: {_OWN}"
        meant = f"./{fault.value}".replace("././", "./")
        file, _, name = fault.value.rpartition(":")
        if "/" in file and not file.endswith(".py"):
            meant = f"{file}.py:{name}" if file.startswith((".", "/")) else f"./{file}.py:{name}"
        hint = f"did you mean `{meant}`?" if parse(meant) else "for example `./nets.py:Net`"
        yield fault.diagnostic("SP401", message, hint=hint)
        return
    if fault.path and fault.path[-1] == "use":
        yield fault.diagnostic(
            "SP401",
            f"`{fault.value}` is not the name of a scikit-learn class: `sklearn.MODULE:CLASS`",
            hint=hints.for_estimator(fault.value),
        )
        return
    if fault.path and fault.path[-1] == "device":
        message = f"`device` is {shown(fault.value)}; expected one of {', '.join(_DEVICES)}, cuda:N"
        number = re.fullmatch(r"(?:cuda|gpu)\W?(\d+)", fault.value)
        known = [f"cuda:{number[1]}"] if number else _DEVICES
        yield fault.diagnostic("SP203", message, hint=did_you_mean(fault.value, known))
        return
    origin = None
    if fault.about_key:
        origin = fault.document.origin((*fault.path, fault.value), key=True)
    yield fault.diagnostic(
        "SP207",
        f"{shown(fault.value)} is not a label: a letter or `_`, then letters, digits, `_` and `-`",
        origin=origin,
        hint=hints.for_label(fault.value),
    )


def _out_of_bounds(words: str) -> Callable[[Fault], Iterator[Diagnostic]]:
    def translated(fault: Fault) -> Iterator[Diagnostic]:
        if isinstance(fault.value, dict):
            shares = fault.written({name: share / 100 for name, share in fault.value.items()})
            hint = Suggestion(f"write `{shares}`", text=shares)
            yield fault.diagnostic("SP206", "`ratios` are shares, not percentages", hint=hint)
            return
        yield fault.diagnostic(
            "SP206",
            f"{fault.name} is {shown(fault.value)}, must be {words} {fault.expected}",
            hint=hints.for_share(fault.value) if fault.expected == 1 else None,
        )

    return translated


def _wrong_length(words: str, one: str, many: str) -> Callable[[Fault], Iterator[Diagnostic]]:
    def translated(fault: Fault) -> Iterator[Diagnostic]:
        known = fault.schema.get("properties", {})
        if known and isinstance(fault.value, dict) and fault.value.keys() - known.keys():
            return  # the keys that are not known are told by themselves
        size = len(fault.value)
        has = f"has {size} {one if size == 1 else many}" if size else "is empty"
        yield fault.diagnostic("SP206", f"{fault.name} {has}, must have {words} {fault.expected}")

    return translated


def _forbidden(fault: Fault) -> Iterator[Diagnostic]:
    yield fault.diagnostic("SP204", "this value is not allowed here", origin=fault.head)


def _said_by_another_rule(_: Fault) -> Iterator[Diagnostic]:
    return iter(())


_DEVICES = ("auto", "cpu", "cuda", "mps")
_LISTS_OF_PHASES = (("plan",), ("do",))
_TYPE_NAMES = {"object": "mapping", "array": "list"}

_TRANSLATIONS: dict[str, Callable[[Fault], Iterable[Diagnostic]]] = {
    "type": _wrong_type,
    "enum": _not_a_choice,
    "pattern": _wrong_pattern,
    "minimum": _out_of_bounds("at least"),
    "exclusiveMinimum": _out_of_bounds("more than"),
    "maximum": _out_of_bounds("at most"),
    "exclusiveMaximum": _out_of_bounds("less than"),
    "minItems": _wrong_length("at least", "item", "items"),
    "maxItems": _wrong_length("at most", "item", "items"),
    "minProperties": _wrong_length("at least", "entry", "entries"),
    "maxProperties": _wrong_length("at most", "entry", "entries"),
    "items": _said_by_another_rule,  # `maxItems` stands beside `items: false`
    "not": _forbidden,
}
