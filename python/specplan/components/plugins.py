"""Components of installed packages: what they register under the entry point group `specplan.components`.

The name of an entry is the kind and the name of the component, its value the class or function:

    [project.entry-points."specplan.components"]
    "model.wavenet" = "my_package.nets:WaveNet"

Looking the entries up takes longer than compiling most specs, so it is done only when a name is met that is
not built in. Nothing is imported.
"""

from __future__ import annotations

import functools
import sys
from typing import TYPE_CHECKING

import msgspec

from specplan.components.reference import LABEL, OPEN_KINDS, Reference, parse

if TYPE_CHECKING:
    from collections.abc import Mapping
    from importlib.metadata import EntryPoint

    from specplan.components import Kind

GROUP = "specplan.components"


class Installed(msgspec.Struct, frozen=True):
    """What the packages register.

    Attributes:
        packages: the package of each component, by the name of its entry.
        left_out: for each entry that names no component, what is wrong with it.
    """

    components: Mapping[Kind, Mapping[str, Reference]]
    packages: Mapping[str, str]
    left_out: tuple[str, ...]


NOTHING = Installed({}, {}, ())
"""What is registered where no package registers anything."""


def plugins(kind: Kind) -> Mapping[str, Reference]:
    """The installed components of one kind, by name."""
    return installed().components.get(kind, {})


def installed() -> Installed:
    """What is registered by the packages that Python finds now."""
    return _installed(tuple(sys.path))


@functools.cache
def _installed(_path: tuple[str, ...]) -> Installed:
    from importlib.metadata import entry_points  # dear, and most specs name what is built in

    found: dict[Kind, dict[str, Reference]] = {}
    packages: dict[str, str] = {}
    left_out = []
    for entry in entry_points(group=GROUP):
        package = "" if entry.dist is None else entry.dist.name
        reference, fault = _read(entry)
        if entry.name in packages:
            fault = f"`{packages[entry.name]}` has one of that name"
        if reference is None or fault:
            left_out.append(said_of(entry.name, package, fault))
            continue
        known, _, name = entry.name.partition(".")
        kind = next(each for each in OPEN_KINDS if each == known)
        found.setdefault(kind, {})[name] = reference
        packages[entry.name] = package
    return Installed(found, packages, tuple(left_out))


def said_of(entry: str, package: str, fault: str) -> str:
    """That the component of a package cannot be used, and why."""
    owner = f" of the package `{package}`" if package else ""
    return f"the component `{entry}`{owner} is left out: {fault}"


def _read(entry: EntryPoint) -> tuple[Reference | None, str]:
    """The class or function that an entry names; or what is wrong with it."""
    kind, _, name = entry.name.partition(".")
    if kind not in OPEN_KINDS:
        known = ", ".join(f"`{each}`" for each in OPEN_KINDS)
        return None, f"`{kind}` is no kind of component that a package can have: {known}"
    if not LABEL.fullmatch(name):
        return None, "its name is the kind, a dot and a name of letters, digits, `_` and `-`"
    reference = parse(entry.value)
    if reference is None or reference.is_file:
        return None, f"`{entry.value}` is not `module:Class`"
    return reference, ""
