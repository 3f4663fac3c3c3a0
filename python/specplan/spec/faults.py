"""What a JSON Schema validator objects to, as diagnostics that say what to do."""

from __future__ import annotations

import functools
import importlib.resources
import json
from typing import TYPE_CHECKING, Any

import msgspec
from jsonschema import Draft202012Validator
from jsonschema.validators import extend

from specplan.components import COMPONENTS
from specplan.components.plugins import plugins
from specplan.components.reference import OPEN_KINDS, parse
from specplan.spec.diagnostics import Diagnostic, Label
from specplan.spec.suggest import closest
from specplan.spec.wording import did_you_mean, kind_of, quoted, shown, with_article

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from jsonschema.protocols import Validator

    from specplan.components import Kind
    from specplan.spec.diagnostics import Origin, Path
    from specplan.spec.document import Document


def schema_faults(document: Document) -> Iterator[Diagnostic]:
    """Every fault of the document's structure, one for each cause, in no particular order."""
    faults = [
        _Fault(
            document=document,
            rule=str(error.validator),
            expected=error.validator_value,
            schema=error.schema,  # type: ignore[arg-type]  # only a mapping has rules
            value=error.instance,
            path=tuple(error.absolute_path),
            about_key="propertyNames" in error.relative_schema_path,
        )
        for error in _validator().iter_errors(document.value)
    ]
    misspelt = {
        (fault.path, closest(key, fault.free_keys))
        for fault in faults
        if fault.rule == "additionalProperties"
        for key in fault.unknown_keys
    }
    diagnosed = set()
    for fault in faults:
        if fault.rule == "required":
            # The validator reports each missing key by itself, always with the same schema.
            cause = (fault.path, tuple(fault.expected))
            if cause not in diagnosed:
                diagnosed.add(cause)
                yield from _missing_keys(fault, misspelt)
        else:
            yield from _TRANSLATIONS[fault.rule](fault)


@functools.cache
def _validator() -> Validator:
    folder = importlib.resources.files("specplan") / "_schemas"
    schema = json.loads((folder / "experiment.schema.json").read_text(encoding="utf-8"))
    # JSON Schema takes 3.0 for an integer, the model does not.
    types = Draft202012Validator.TYPE_CHECKER.redefine(
        "integer", lambda _, value: isinstance(value, int) and not isinstance(value, bool)
    )
    strict: type[Validator] = extend(Draft202012Validator, type_checker=types)  # type: ignore[no-untyped-call]
    return strict(schema)


class _Fault(msgspec.Struct, frozen=True, kw_only=True):
    """A value that breaks a rule of the schema.

    Attributes:
        rule: keyword of the schema that the value breaks; `expected` is what it says.
        schema: the schema that has the rule.
        about_key: whether `value` is a key of the mapping at `path`.
    """

    document: Document
    rule: str
    expected: Any
    schema: dict[str, Any]
    value: Any
    path: Path
    about_key: bool

    @property
    def component(self) -> str | None:
        """Name of the component whose parameters are checked; None elsewhere."""
        name: str | None = self.schema.get("properties", {}).get("use", {}).get("const")
        return name

    @property
    def unknown_keys(self) -> list[str]:
        """Keys of the value that its schema does not have."""
        return [key for key in self.value if key not in self.schema["properties"]]

    @property
    def known_keys(self) -> list[str]:
        """Keys that the schema of the value has, without what no one has to be told."""
        hidden = {"$schema"} if self.component is None else {"use"}
        return sorted(self.schema["properties"].keys() - hidden)

    @property
    def free_keys(self) -> list[str]:
        """Known keys that are not in use yet, and so may be meant by an unknown one."""
        return [key for key in self.known_keys if key not in self.value]

    @property
    def name(self) -> str:
        """What the value is called by those who wrote it."""
        last = self.path[-1]
        return f"item {last}" if isinstance(last, int) else f"`{last}`"

    @property
    def head(self) -> Origin:
        """The key under which the value stands, or else its first character."""
        if self.path and isinstance(self.path[-1], str):
            return self.document.origin(self.path, key=True)
        origin = self.document.origin(self.path)
        end = origin.column + 1 if origin.line else 0
        return msgspec.structs.replace(origin, end_line=origin.line, end_column=end)

    def diagnostic(
        self, code: str, message: str, *, origin: Origin | None = None, hint: str | None = None
    ) -> Diagnostic:
        """The diagnostic of this fault, and where the parameter is used that the value comes from."""
        reference = self.document.reference(self.path)
        used = None if reference is None else Label(origin=reference, text="used here")
        replaced = self.document.replaced(self.path)
        labels = tuple(label for label in (used, replaced) if label is not None)
        return Diagnostic(
            code=code,
            message=self.schema.get("errorMessage", message),
            origin=origin or self.document.origin(self.path),
            hint=hint,
            labels=labels,
        )


def _missing_keys(fault: _Fault, misspelt: set[tuple[Path, str | None]]) -> Iterator[Diagnostic]:
    missing = [
        key
        for key in fault.expected
        if key not in fault.value and (fault.path, key) not in misspelt
    ]
    if not missing:
        return
    title = fault.schema.get("title", "mapping")
    owner = f"`{title}`" if fault.component is not None else with_article(title)
    hint = "add `specplan: 1`" if "specplan" in missing else None
    for key in fault.value:
        meant = closest(key, missing)
        if key not in fault.schema.get("properties", {}) and meant is not None:
            hint = f"`{key}` may be meant as `{meant}`"
    yield fault.diagnostic(
        "SP204", f"{owner} needs {quoted(missing)}", origin=fault.head, hint=hint
    )


def _unknown_keys(fault: _Fault) -> Iterator[Diagnostic]:
    known = fault.known_keys
    listed = f"known: {', '.join(known)}" if known else "it takes none"
    for key in fault.unknown_keys:
        if fault.component is None:
            code, what = "SP201", f"unknown key `{key}`"
        else:
            code, what = "SP403", f"unknown argument `{key}` of `{fault.component}`"
        yield fault.diagnostic(
            code,
            f"{what}; {listed}",
            origin=fault.document.origin((*fault.path, key), key=True),
            hint=did_you_mean(key, fault.free_keys),
        )


def _wrong_type(fault: _Fault) -> Iterator[Diagnostic]:
    names = [fault.expected] if isinstance(fault.expected, str) else list(fault.expected)
    wanted = " or ".join(_TYPE_NAMES.get(name, name) for name in names)
    yield fault.diagnostic(
        "SP202",
        f"expected {wanted}, found {kind_of(fault.value)}",
        hint=_conversion(fault, set(names)),
    )


def _conversion(fault: _Fault, expected: set[str]) -> str | None:
    value = fault.value
    if isinstance(value, str) and "use" in fault.schema.get("properties", {}):
        return f"write `{{use: {value}}}`"
    if isinstance(value, str) and _type_in_quotes(value) & expected:
        return "remove the quotes"
    if isinstance(value, float) and value.is_integer() and "integer" in expected:
        return f"write `{int(value)}`"
    if "array" in expected and isinstance(value, str | int | float):
        return f"write `[{value}]`"
    return None


def _type_in_quotes(text: str) -> set[str]:
    try:
        match json.loads(text):
            case bool():
                return {"boolean"}
            case int():
                return {"integer", "number"}
            case float():
                return {"number"}
    except ValueError:
        pass
    return set()


def _not_a_choice(fault: _Fault) -> Iterator[Diagnostic]:
    value, choices = fault.value, [str(choice) for choice in fault.expected]
    if fault.path[-1] == "use":
        kind = next(kind for kind, known in COMPONENTS.items() if list(known) == choices)
        if value not in plugins(kind):
            yield _unknown_component(fault, kind)
        return
    listed = choices[0] if len(choices) == 1 else f"one of {', '.join(choices)}"
    hint = None
    if isinstance(value, str):
        hint = "remove the quotes" if value in choices else did_you_mean(value, choices)
    yield fault.diagnostic("SP203", f"{fault.name} is {shown(value)}; expected {listed}", hint=hint)


_OWN = "`module:Class` or `./file.py:Class`"


def _unknown_component(fault: _Fault, kind: Kind) -> Diagnostic:
    value = fault.value
    known, installed = list(COMPONENTS[kind]), list(plugins(kind))
    hint = None
    if not isinstance(value, str):
        message = f"`use` is {kind_of(value)}, not the name of {_kind_name(kind)}"
    elif ":" in value:
        message = f"`{value}`: {_kind_name(kind)} cannot be code of your own"
    elif set(value) & set("/.") and kind in OPEN_KINDS:
        message = f"`{value}` is not {_kind_name(kind)}"
        hint = f"code of your own is {_OWN}"
    else:
        message = f"`{value}` is not {_kind_name(kind)}"
        hint = did_you_mean(value, [*known, *installed]) or _of_another_kind(value)
    more = f"; installed: {', '.join(installed)}" if installed else ""
    return fault.diagnostic("SP401", f"{message}; built in: {', '.join(known)}{more}", hint=hint)


def _of_another_kind(name: str) -> str | None:
    kinds = [_kind_name(kind) for kind, by_name in COMPONENTS.items() if name in by_name]
    return f"`{name}` is {' and '.join(kinds)}" if kinds else None


def _kind_name(kind: str) -> str:
    return with_article("splitter" if kind == "split" else kind)


def _wrong_pattern(fault: _Fault) -> Iterator[Diagnostic]:
    if fault.path and fault.path[-1] == "use" and not fault.value.startswith("sklearn"):
        message = f"`{fault.value}` is not code of your own: {_OWN}"
        meant = f"./{fault.value}"
        hint = f"did you mean `{meant}`?" if parse(meant) else "for example `./nets.py:Net`"
        yield fault.diagnostic("SP401", message, hint=hint)
        return
    if fault.path and fault.path[-1] == "use":
        yield fault.diagnostic(
            "SP401",
            f"`{fault.value}` is not the name of a scikit-learn class: `sklearn.MODULE:CLASS`",
            hint="for example `sklearn.linear_model:Ridge`",
        )
        return
    origin = None
    if fault.about_key:
        origin = fault.document.origin((*fault.path, fault.value), key=True)
    yield fault.diagnostic(
        "SP207",
        f"{shown(fault.value)} is not a label: a letter or `_`, then letters, digits, `_` and `-`",
        origin=origin,
    )


def _out_of_bounds(words: str) -> Callable[[_Fault], Iterator[Diagnostic]]:
    def translated(fault: _Fault) -> Iterator[Diagnostic]:
        yield fault.diagnostic(
            "SP206", f"{fault.name} is {shown(fault.value)}, must be {words} {fault.expected}"
        )

    return translated


def _wrong_length(words: str, one: str, many: str) -> Callable[[_Fault], Iterator[Diagnostic]]:
    def translated(fault: _Fault) -> Iterator[Diagnostic]:
        size = len(fault.value)
        has = f"has {size} {one if size == 1 else many}" if size else "is empty"
        yield fault.diagnostic("SP206", f"{fault.name} {has}, must have {words} {fault.expected}")

    return translated


def _forbidden(fault: _Fault) -> Iterator[Diagnostic]:
    yield fault.diagnostic("SP204", "this value is not allowed here", origin=fault.head)


def _said_by_another_rule(_: _Fault) -> Iterator[Diagnostic]:
    return iter(())


_TYPE_NAMES = {"object": "mapping", "array": "list"}

_TRANSLATIONS: dict[str, Callable[[_Fault], Iterable[Diagnostic]]] = {
    "additionalProperties": _unknown_keys,
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
    "items": _said_by_another_rule,  # `maxItems` stands beside `items: false`
    "not": _forbidden,
}
