"""A value that breaks a rule of the schema."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

import msgspec
from jsonschema import Draft202012Validator
from jsonschema.validators import extend

from specplan.components import COMPONENTS
from specplan.spec.defaults import spec_schema
from specplan.spec.diagnostics import Diagnostic, Label

if TYPE_CHECKING:
    from jsonschema.protocols import Validator

    from specplan.spec.diagnostics import Origin, Path
    from specplan.spec.document import Document


def objections(document: Document) -> list[Fault]:
    """Everything that the validator has to say, in its order."""
    return [
        Fault(
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


@functools.cache
def _validator() -> Validator:
    # JSON Schema takes 3.0 for an integer, the model does not.
    types = Draft202012Validator.TYPE_CHECKER.redefine(
        "integer", lambda _, value: isinstance(value, int) and not isinstance(value, bool)
    )
    strict: type[Validator] = extend(Draft202012Validator, type_checker=types)  # type: ignore[no-untyped-call]
    return strict(spec_schema())


class Fault(msgspec.Struct, frozen=True, kw_only=True):
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
    def kind(self) -> str | None:
        """The kind of component that stands here; None where none does."""
        title = str(self.schema.get("title", ""))
        kind = "split" if title == "splitter" else title
        return kind if kind in COMPONENTS else None

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

    def beside(self, key: str) -> object:
        """The value under another key of the same mapping; None where there is none."""
        value: Any = self.document.value
        for part in self.path[:-1]:
            value = value[part]
        return value.get(key) if isinstance(value, dict) else None

    def written(self, value: object) -> str:
        """`value` in the language of the text."""
        return self.document.in_language(self.path, value)

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
