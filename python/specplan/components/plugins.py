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

from specplan.components.reference import OPEN_KINDS, Reference, parse

if TYPE_CHECKING:
    from collections.abc import Mapping

    from specplan.components import Kind

GROUP = "specplan.components"


def plugins(kind: Kind) -> Mapping[str, Reference]:
    """The installed components of one kind, by name."""
    return _installed(tuple(sys.path)).get(kind, {})


@functools.cache
def _installed(_path: tuple[str, ...]) -> Mapping[Kind, Mapping[str, Reference]]:
    from importlib.metadata import entry_points  # dear, and most specs name what is built in

    found: dict[Kind, dict[str, Reference]] = {}
    for entry in entry_points(group=GROUP):
        kind, _, name = entry.name.partition(".")
        reference = parse(entry.value)
        for known in OPEN_KINDS:
            if known == kind and name and reference is not None and not reference.is_file:
                found.setdefault(known, {})[name] = reference
    return found
