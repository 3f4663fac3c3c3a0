"""References to code: `module:Class`, or a file beside the spec, `./file.py:Class`."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import msgspec

if TYPE_CHECKING:
    from collections.abc import Iterator

    from specplan.components import Kind

LABEL = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*")
"""What FeatureSets, splits, nodes and other parts of a spec are called."""

COLUMNS = "columns"
"""The parameter of a sampler or splitter for which a spec names columns, and which is given their values."""

_NAME = r"[A-Za-z_][A-Za-z0-9_]*"
_DOTTED = rf"{_NAME}(\.{_NAME})*"
MODULE_REFERENCE = rf"{_DOTTED}:{_DOTTED}"
FILE_REFERENCE = rf"\.\.?/[^:\\]+\.py:{_DOTTED}"
LIVE_REFERENCE = r"live:[A-Za-z_][A-Za-z0-9_-]*"
"""What `use` is for an object that a Python program holds."""
REFERENCE = rf"({MODULE_REFERENCE}|{FILE_REFERENCE}|{LIVE_REFERENCE})"
"""What `use` is for what is not built in, as a regular expression that JSON Schema understands too."""

OPEN_KINDS: tuple[Kind, ...] = (
    "model",
    "merge",
    "loss",
    "metric",
    "optimizer",
    "callback",
    "sampler",
    "scaler",
    "split",
)
"""The kinds of component that can be code of one's own, or an object of a Python program."""

_LIVE = re.compile(LIVE_REFERENCE)
_REFERENCE = re.compile(REFERENCE)
_LONGEST = 1000


class Reference(msgspec.Struct, frozen=True):
    """A class or function: the module, or the path of the file, that holds it, and its name there."""

    place: str
    name: str

    @property
    def is_file(self) -> bool:
        """Whether `place` is a path, relative to the folder of the spec."""
        return self.place.startswith((".", "/"))

    def __str__(self) -> str:
        return f"{self.place}:{self.name}" if self.name else self.place


def parse(use: str) -> Reference | None:
    """The reference to code that is written as `use`; None where that is none."""
    if len(use) > _LONGEST or not use.isprintable() or _REFERENCE.fullmatch(use) is None:
        return None
    if live_name(use) is not None:
        return None
    place, _, name = use.rpartition(":")
    return Reference(place, name)


def live_name(use: str) -> str | None:
    """The name under which a Python program binds the object that `use` means; None for anything else."""
    return use.partition(":")[2] if _LIVE.fullmatch(use) else None


def names_file(code: str) -> bool:
    """Whether code is named by its file, and not as a module."""
    return "/" in code or code.endswith(".py")


def module_reference(code: str) -> Reference:
    """A whole module, named as one or by its file: a reference without a name in it."""
    return Reference(as_file_reference(code) if names_file(code) else code, "")


def file_references(
    value: Any, path: tuple[str | int, ...] = ()
) -> Iterator[tuple[dict[str, Any], tuple[str | int, ...]]]:
    """Every mapping in the plain values of a spec whose `use` is a path, and where it stands.

    What a call phase gives to code of the user means something to that code only.
    """
    if isinstance(value, dict):
        use = value.get("use")
        if isinstance(use, str) and use.startswith(("./", "../")):
            yield value, path
        for key, item in value.items():
            if key != "config":
                yield from file_references(item, (*path, key))
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from file_references(item, (*path, index))


def as_file_reference(text: str) -> str:
    """`nets.py:Net` as `./nets.py:Net`, so that it is not taken for a module."""
    return text if text.startswith(("./", "../", "/")) else f"./{text}"
