"""What is left of a faulty document, so that the rest of it can be checked as well."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from specplan.errors import SpecError
from specplan.spec.suggestion import Suggestion
from specplan.spec.validate import validate

if TYPE_CHECKING:
    from collections.abc import Sequence

    from specplan.spec.diagnostics import Diagnostic, Path
    from specplan.spec.document import Document
    from specplan.spec.model import Spec

# Whatever needs a component that is faulty is checked with another one in its place, which
# `Context.damaged` keeps from being looked at.
_STAND_INS: dict[str, dict[str, str]] = {
    "source": {"use": "memory", "name": "_"},
    "model": {"use": "mlp"},
    "merge": {"use": "concat"},
    "sampler": {"use": "simple"},
    "optimizer": {"use": "sgd"},
}
_NAMED = ("losses", "metrics")
_UNKNOWN_KEYS = ("SP201", "SP403")


class Changes(msgspec.Struct, frozen=True, kw_only=True):
    """What became of the keys and indexes of a document; by paths in the document.

    Attributes:
        kept: of each list, the indexes of the items that are left.
        renamed: of each mapping with unknown keys, these by what they are read as.
    """

    kept: dict[Path, tuple[int, ...]] = {}
    renamed: dict[Path, dict[str, str]] = {}

    def original(self, path: Path) -> Path:
        """The path in the document of what stands at `path` after the changes."""
        place: Path = ()
        for part in path:
            if isinstance(part, str):
                place = (*place, self.renamed.get(place, {}).get(part, part))
                continue
            indexes = self.kept.get(place)
            known = indexes is not None and part < len(indexes)
            place = (*place, indexes[part] if indexes is not None and known else part)
        return place


class Mended(msgspec.Struct, frozen=True, kw_only=True):
    """A spec of which parts were taken out, and unknown keys read as what they are probably meant for.

    Attributes:
        removed: paths in the document of the values that were taken out.
        changes: how paths in `spec` differ from those in the document.
    """

    spec: Spec
    removed: frozenset[Path] = frozenset()
    changes: Changes = Changes()

    def original(self, path: Path) -> Path:
        """The path in the document of what stands at `path` in the spec."""
        return self.changes.original(path)


def mend(document: Document, faults: Sequence[Diagnostic]) -> Mended | None:
    """Take what is faulty out, and what is faulty without it; None where nothing is left.

    An unknown key that has a suggestion is renamed instead: what refers to the key that was meant, or needs it,
    is not wrong as well.
    """
    changes = Changes(renamed=_meant_keys(document, faults))
    renamed = {(*place, key) for place, names in changes.renamed.items() for key in names.values()}
    removed = frozenset(fault.origin.path for fault in faults) - renamed
    while () not in removed:
        changes.kept.clear()
        value = _without(document.value, removed, (), changes)
        rest = msgspec.structs.replace(document, value=value, problems=(), slips=())
        try:
            spec = validate(rest)
        except SpecError as error:
            found = {changes.original(fault.origin.path) for fault in error.diagnostics}
            if found <= removed:
                return None
            removed |= found
        else:
            return Mended(spec=spec, removed=removed, changes=changes)
    return None


def _meant_keys(document: Document, faults: Sequence[Diagnostic]) -> dict[Path, dict[str, str]]:
    meant: dict[Path, dict[str, str]] = {}
    for fault in faults:
        if fault.code not in _UNKNOWN_KEYS or not isinstance(fault.hint, Suggestion):
            continue
        *owner, key = fault.origin.path
        if isinstance(key, str) and fault.hint.text not in _at(document.value, owner):
            meant.setdefault(tuple(owner), {}).setdefault(fault.hint.text, key)
    return meant


def _at(value: Any, path: Sequence[str | int]) -> Any:
    for part in path:
        value = value[part]
    return value


def _without(value: Any, removed: frozenset[Path], path: Path, changes: Changes) -> Any:
    if isinstance(value, dict):
        names = {key: meant for meant, key in changes.renamed.get(path, {}).items()}
        rest: dict[str, Any] = {}
        for key, item in value.items():
            place = (*path, key)
            if place not in removed and (*place, "use") not in removed:
                rest[names.get(key) or key] = _without(item, removed, place, changes)
            elif key in _STAND_INS:
                rest[key] = _STAND_INS[key]
            elif len(place) == 2 and path[0] in _NAMED and place not in removed:
                rest[key] = {**_without(item, removed, place, changes), "use": "mse"}
        return rest
    if isinstance(value, list):
        indexes = tuple(index for index in range(len(value)) if (*path, index) not in removed)
        changes.kept[path] = indexes
        return [_without(value[index], removed, (*path, index), changes) for index in indexes]
    return value
