"""What is left of a faulty document, so that the rest of it can be checked as well."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from specplan.errors import SpecError
from specplan.spec.validate import validate

if TYPE_CHECKING:
    from collections.abc import Iterable

    from specplan.spec.diagnostics import Path
    from specplan.spec.document import Document
    from specplan.spec.model import Spec

# Whatever needs a component that is faulty is checked with another one in its place, which
# `Context.damaged` keeps from being looked at.
_STAND_INS: dict[str, dict[str, str]] = {
    "source": {"use": "memory", "name": "_"},
    "model": {"use": "mlp"},
    "merge": {"use": "concat"},
    "sampler": {"use": "simple"},
}
_NAMED = ("losses", "metrics")


class Mended(msgspec.Struct, frozen=True, kw_only=True):
    """A spec of which parts were taken out.

    Attributes:
        removed: paths in the document of the values that were taken out.
        kept: for each list of `spec`, the indexes that its items have in the document.
    """

    spec: Spec
    removed: frozenset[Path] = frozenset()
    kept: dict[Path, tuple[int, ...]] = {}

    def original(self, path: Path) -> Path:
        """The path in the document of what stands at `path` in the spec."""
        return _original(path, self.kept)


def mend(document: Document, faults: Iterable[Path]) -> Mended | None:
    """Take the values at `faults` out, and what is faulty without them; None where nothing is left."""
    removed = frozenset(faults)
    while () not in removed:
        kept: dict[Path, tuple[int, ...]] = {}
        value = _without(document.value, removed, (), kept)
        rest = msgspec.structs.replace(document, value=value, problems=(), slips=())
        try:
            spec = validate(rest)
        except SpecError as error:
            found = {_original(fault.origin.path, kept) for fault in error.diagnostics}
            if found <= removed:
                return None
            removed |= found
        else:
            return Mended(spec=spec, removed=removed, kept=kept)
    return None


def _without(
    value: Any, removed: frozenset[Path], path: Path, kept: dict[Path, tuple[int, ...]]
) -> Any:
    if isinstance(value, dict):
        rest: dict[str, Any] = {}
        for key, item in value.items():
            place = (*path, key)
            if place not in removed and (*place, "use") not in removed:
                rest[key] = _without(item, removed, place, kept)
            elif key in _STAND_INS:
                rest[key] = _STAND_INS[key]
            elif len(place) == 2 and path[0] in _NAMED and place not in removed:
                rest[key] = {**_without(item, removed, place, kept), "use": "mse"}
        return rest
    if isinstance(value, list):
        indexes = tuple(index for index in range(len(value)) if (*path, index) not in removed)
        kept[path] = indexes
        return [_without(value[index], removed, (*path, index), kept) for index in indexes]
    return value


def _original(path: Path, kept: dict[Path, tuple[int, ...]]) -> Path:
    """`path` with the indexes of the document; the keys of `kept` are paths in the document."""
    place: Path = ()
    for part in path:
        indexes = kept.get(place) if isinstance(part, int) else None
        if isinstance(part, int) and indexes is not None and part < len(indexes):
            place = (*place, indexes[part])
        else:
            place = (*place, part)
    return place
