"""Places of a spec as people write them: `plan.train.sampler.batch_size`.

A part is a key of a mapping, or an item of a list: its index, or what the item is called, which is its `label`, its
`group` or its `use`. After a group, `do` may be left out. `[...]` is one part too, whatever characters are in it, so
that `plan[0].epochs`, as diagnostics write it, and `logging[my.module]` are addresses.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import msgspec

from specplan.spec.diagnostics import format_path
from specplan.spec.layers import REFERENCE, is_reference
from specplan.spec.wording import did_you_mean, kind_of, quoted

if TYPE_CHECKING:
    from collections.abc import Iterable

    from specplan.spec.diagnostics import Path

MOST_PARTS = 64
_MOST_NAMED = 20
_NAMING_KEYS = ("label", "group", "use")
_FIRST = re.compile(r"\[([^\[\]]+)\]|([^.\[\]=]+)")
_NEXT = re.compile(r"\.?\[([^\[\]]+)\]|\.([^.\[\]=]+)")


class Part(msgspec.Struct, frozen=True):
    """One part of an address, and which characters of the text it is."""

    name: str
    start: int
    end: int


class Missing(msgspec.Struct, frozen=True):
    """Why a part leads nowhere."""

    code: str
    message: str
    hint: str | None = None


def parts_of(text: str) -> tuple[list[Part], int]:
    """The parts of the address that `text` begins with, and where it ends."""
    parts: list[Part] = []
    end = 0
    while match := (_NEXT if parts else _FIRST).match(text, end):
        start, end = match.span(match.lastindex or 0)
        name = text[start:end].strip()
        if not name:
            return parts, start
        start = text.index(name, start)
        parts.append(Part(name, start, start + len(name)))
        end = match.end()
    return parts, end


def step(value: Any, name: str) -> Path | None:
    """The keys and indexes that lead from `value` to what `name` means in it; None where it means nothing."""
    if isinstance(value, dict):
        if name in value:
            return (name,)
        inside = step(value["do"], name) if _is_group(value) else None
        return None if inside is None else ("do", *inside)
    if isinstance(value, list):
        if name.isdecimal() and name.isascii():
            return (int(name),) if int(name) < len(value) else None
        called = _called(value, name)
        return (called[0],) if len(called) == 1 else None
    return None


def missing(value: Any, path: Path, name: str, *, also: Iterable[str] = ()) -> Missing:
    """Why `name` means nothing in `value`, which stands at `path`; `also` are keys that it could have."""
    where = f"`{format_path(path)}`" if path else "the spec"
    if isinstance(value, dict) and is_reference(value):
        target = value[REFERENCE]
        return Missing(
            "SP103",
            f"{where} is the parameter `{target}`, and has no `{name}` of its own",
            f"set `{target}.{name}`, for every place that uses it",
        )
    if isinstance(value, dict):
        known = list(dict.fromkeys([*names_in(value), *also]))
        return Missing(
            "SP103", f"{where} has no `{name}`{_listed(known)}", did_you_mean(name, known)
        )
    if not isinstance(value, list):
        return Missing("SP103", f"{where} is {kind_of(value)}, and has no `{name}`")
    if name.isdecimal() and name.isascii():
        size = f"{len(value)} item{'' if len(value) == 1 else 's'}"
        return Missing("SP104", f"{where} has {size}, and no item {name}")
    known = names_in(value)
    called = _called(value, name)
    if called:
        indexes = quoted(map(str, called))
        return Missing(
            "SP104", f"{where} has {len(called)} items `{name}`", f"say which: {indexes}"
        )
    return Missing(
        "SP103" if known else "SP104",
        f"{where} has no item `{name}`{_listed(known)}",
        _meant(value, name, known) or "an item of a list is named by its index, from 0",
    )


def _meant(items: list[Any], name: str, known: list[str]) -> str | None:
    inside = _in_groups(items, name)
    return f"did you mean `{inside}`?" if inside is not None else did_you_mean(name, known)


def _in_groups(items: list[Any], name: str) -> str | None:
    """The address of an item of that name in the groups of a list; None where there is none."""
    for item in items:
        if isinstance(item, dict) and _is_group(item):
            called = _called(item["do"], name)
            inside = name if called else _in_groups(item["do"], name)
            if inside is not None:
                return f"{item['group']}.{inside}"
    return None


def names_in(value: Any) -> list[str]:
    """What can be named in a value, besides indexes."""
    if isinstance(value, dict):
        return [*value, *(names_in(value["do"]) if _is_group(value) else ())]
    if isinstance(value, list):
        names = (name_of(item) for item in value)
        return list(dict.fromkeys(name for name in names if name is not None))
    return []


def _is_group(value: dict[str, Any]) -> bool:
    return "group" in value and isinstance(value.get("do"), list)


def _called(items: list[Any], name: str) -> list[int]:
    return [index for index, item in enumerate(items) if name_of(item) == name]


def name_of(item: object) -> str | None:
    """What an item of a list is called; None where it has no name."""
    if isinstance(item, dict):
        for key in _NAMING_KEYS:
            if isinstance(item.get(key), str):
                name: str = item[key]
                return name
    return None


def _listed(known: list[str]) -> str:
    if not known:
        return ""
    more = f" and {len(known) - _MOST_NAMED} more" if len(known) > _MOST_NAMED else ""
    return f"; it has {quoted(known[:_MOST_NAMED])}{more}"
