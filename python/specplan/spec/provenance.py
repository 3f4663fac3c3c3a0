"""Where one value of a spec comes from, for people and for programs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from specplan.errors import SpecplanError
from specplan.spec.address import missing, name_of, parts_of, step
from specplan.spec.defaults import declared
from specplan.spec.diagnostics import format_path
from specplan.spec.render import snippet
from specplan.spec.wording import as_json

if TYPE_CHECKING:
    from collections.abc import Iterator

    from specplan.spec.diagnostics import Path
    from specplan.spec.document import Document
    from specplan.spec.trace import Step

_LONGEST_VALUE = 80


class Provenance(msgspec.Struct, frozen=True, kw_only=True):
    """A value and its origins.

    Attributes:
        chain: every value that stood here, oldest first: the default, what files said, overrides.
        children: of a mapping or list, what is in it, and the keys that it could have beside.
    """

    path: Path
    value: Any
    chain: tuple[Step, ...]
    children: tuple[Provenance, ...] = ()


def provenance(document: Document, address: str) -> Provenance:
    """Where the value at an address, such as `plan.train.sampler.batch_size`, comes from.

    Raises:
        SpecplanError: there is no such value, and the language has no default for it.
    """
    gone = {key: item for key, item in document.written.items() if key not in document.value}
    root = document.value | gone
    parts, end = parts_of(address)
    if end < len(address):
        msg = f"`{address}` is not a place: keys and indexes with `.` between them, as in `plan.0.epochs`"
        raise SpecplanError(msg)
    path: Path = ()
    value: Any = root
    for part in parts:
        found = step(value, part.name)
        keys = declared(root, path) if found is None else {}
        if found is not None:
            for inner in found:
                value = value[inner]
        elif part.name in keys:
            found = (part.name,)
            default = keys[part.name].default
            value = {} if default is msgspec.UNSET else default
        else:
            fault = missing(value, path, part.name, also=keys)
            hint = f"\nhint: {fault.hint}" if fault.hint else ""
            raise SpecplanError(f"{fault.message}{hint}")
        path += found
    chain = document.chain(path)
    children = tuple(_children(document, root, path, value))
    if not chain and not children:
        raise SpecplanError(f"`{format_path(path)}` is not set, and has no default")
    return Provenance(path=path, value=value, chain=chain, children=children)


def _children(document: Document, root: Any, path: Path, value: Any) -> Iterator[Provenance]:
    """What is in a value, and then what it does not say and has a default."""
    if isinstance(value, list):
        for index, item in enumerate(value):
            inner = (*path, index)
            yield Provenance(path=inner, value=item, chain=document.chain(inner))
    elif isinstance(value, dict):
        for key in dict.fromkeys([*value, *declared(root, path)]):
            chain = document.chain((*path, key))
            if chain:
                item = value[key] if key in value else chain[-1].value
                yield Provenance(path=(*path, key), value=item, chain=chain)


def as_text(explained: Provenance) -> str:
    """The value, its chain with the lines that say it, and in short what is in it."""
    lines = [f"{format_path(explained.path)} = {_short(explained.value)}"]
    for item in explained.chain:
        lines += ["", *_step(item)]
    if explained.children:
        rows = [
            (_called(child), _short(child.value), _in_short(child)) for child in explained.children
        ]
        widths = [max(len(row[column]) for row in rows) for column in (0, 1)]
        lines += ["", *(f"  {a:<{widths[0]}}  {b:<{widths[1]}}  {c}" for a, b, c in rows)]
    return "\n".join(lines) + "\n"


def _step(item: Step) -> list[str]:
    if item.cause == "default":
        return [f"default of {item.owner}: {_short(item.value)}", f"        {item.description}"]
    return [f"{item.origin}: {item.cause}: {_short(item.value)}", *snippet(item.origin)]


def _called(child: Provenance) -> str:
    part = child.path[-1]
    name = name_of(child.value) if isinstance(part, int) else None
    return f"{part}" if name is None else f"{part} ({name})"


def _in_short(child: Provenance) -> str:
    if not child.chain:
        return ""
    *before, last = child.chain
    if last.cause == "default":
        return f"default of {last.owner}"
    text = str(last.origin)
    if before and before[-1].cause not in ("default", "parameter"):
        text += f", replaces {before[-1].origin}"
    for item in before:
        if item.cause == "parameter":
            text += f", used at {item.origin}"
    return text


def _short(value: Any) -> str:
    text = as_json(value)
    return text if len(text) <= _LONGEST_VALUE else f"{text[: _LONGEST_VALUE - 1]}…"
