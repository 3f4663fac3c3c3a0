"""Which parts of two plans are the same under another name."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

Value = dict[str, Any]

_SEEDS = ("seed", "random_state")
"""They are drawn from the names of parts where a spec leaves them open."""
_LISTS_OF_NAMES = ("nodes", "order", "trainable", "fitted")


class Renamed(msgspec.Struct, frozen=True, kw_only=True):
    """A plan, as plain values, with the names that another one uses; and the new name of each old one."""

    value: Value
    data: Mapping[str, str]
    nodes: Mapping[str, str]
    phases: Mapping[str, str]


def renamed(old: Value, new: Value) -> Renamed:
    """Give the parts of `old` that `new` has under another name the names of `new`.

    A part has another name if all else about it is equal, its seeds aside; or if it is the only one that is
    gone, and the only one that is new is of the same sort.
    """
    data = _equal(old["data"], new["data"]) or _alone(old["data"], new["data"], _same_columns)
    value = _with_names(old, data)
    nodes: dict[str, str] = {}
    # A node that reads a renamed one can be recognised only after it.
    while found := _equal(*_nodes(value, new)) or _alone(*_nodes(value, new), _same_model):
        nodes |= found
        value = _with_names(value, found)
    before, after = (
        {phase["path"]: {**phase, "path": ""} for phase in plan["phases"]} for plan in (value, new)
    )
    phases = _equal(before, after) or _alone(before, after, _same_phase)
    value["phases"] = [
        {**phase, "path": phases.get(phase["path"], phase["path"])} for phase in value["phases"]
    ]
    return Renamed(value=value, data=data, nodes=nodes, phases=phases)


def _nodes(old: Value, new: Value) -> tuple[Value, Value]:
    return old["graph"]["nodes"], new["graph"]["nodes"]


def _equal(old: Value, new: Value) -> dict[str, str]:
    found: dict[str, str] = {}
    gone, come = _different(old, new)
    for before in gone:
        for after in come:
            same = _without_seeds(old[before]) == _without_seeds(new[after])
            if same and after not in found.values():
                found[before] = after
                break
    return found


def _alone(old: Value, new: Value, alike: Callable[[Value, Value], bool]) -> dict[str, str]:
    gone, come = _different(old, new)
    if len(gone) != 1 or len(come) != 1:
        return {}
    [before], [after] = gone, come
    return {before: after} if alike(old[before], new[after]) else {}


def _different(old: Value, new: Value) -> tuple[list[str], list[str]]:
    return [name for name in old if name not in new], [name for name in new if name not in old]


def _same_columns(old: Value, new: Value) -> bool:
    return bool(old["columns"] == new["columns"])


def _same_model(old: Value, new: Value) -> bool:
    same_use: bool = old["component"]["use"] == new["component"]["use"]
    return same_use and old["inputs"] == new["inputs"]


def _same_phase(old: Value, new: Value) -> bool:
    same = ("phase", "data", "split")
    return all(old.get(key) == new.get(key) for key in same)


def _without_seeds(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_seeds(item) for key, item in value.items() if key not in _SEEDS}
    if isinstance(value, list | tuple):
        return [_without_seeds(item) for item in value]
    return value


def _with_names(value: Any, names: Mapping[str, str], key: str = "") -> Any:
    """`value`, which stands under `key`, with other names of FeatureSets and nodes: none is that of both."""
    if isinstance(value, dict) and key != "args":
        renames = key in ("nodes", "data")
        return {
            names.get(name, name) if renames else name: _with_names(item, names, name)
            for name, item in value.items()
        }
    if isinstance(value, list | tuple):
        inner = "node" if key in _LISTS_OF_NAMES else ""
        return [_with_names(item, names, inner) for item in value]
    if isinstance(value, str) and key in ("node", "data"):
        return names.get(value, value)
    if isinstance(value, str) and key == "value":
        owner, dot, column = value.partition(".")
        return f"{names.get(owner, owner)}{dot}{column}"
    return value
