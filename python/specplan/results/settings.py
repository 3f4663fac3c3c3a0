"""What was set for a run, by names with dots."""

from __future__ import annotations

import re
from html import escape
from typing import TYPE_CHECKING, Any

import msgspec

from specplan.base.redaction import hidden
from specplan.errors import RunError
from specplan.store.checked_json import matches_checksum

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from specplan.store.layout import RunFolder

_LONG = 8
"""Characters of a text that means only one thing wherever it stands."""
_NAMES = ("$schema", "experiment", "results", "specplan")
"""Parts of a spec that say nothing of what was run."""


def settings(folder: RunFolder) -> dict[str, Any]:
    """The spec of a run without the names in it, and its params; one of these replaces what the spec says.

    Where the spec says a secret in the open, `***` stands here.

    Raises:
        RunError: a file of them is damaged.
    """
    found: dict[str, Any] = {}
    spec = _read(folder.spec_file)
    found |= leaves({key: value for key, value in spec.items() if key not in _NAMES})
    texts = {name: value for name, value in found.items() if isinstance(value, str)}
    return (
        found
        | {name: _shown(name, text) for name, text in texts.items()}
        | leaves(read_params(folder))
    )


def without_secrets(folder: RunFolder, page: str) -> str:
    """A page of a run without the secrets that its spec says: long ones anywhere, and short ones behind their names.

    Raises:
        RunError: the spec is damaged.
    """
    for name, value in leaves(_read(folder.spec_file)).items():
        if not isinstance(value, str) or (shown := _shown(name, value)) == value:
            continue
        key, text, instead = (escape(each) for each in (name.rpartition(".")[2], value, shown))
        before = "" if len(value) >= _LONG else rf"{re.escape(key)}(?:&quot;)?: (?:&quot;)?"
        found = re.compile(rf"({before})(?<!\w){re.escape(text)}(?!\w)")
        page = found.sub(lambda match, instead=instead: match[1] + instead, page)  # type: ignore[misc]
    return page


def _shown(name: str, text: str) -> str:
    return hidden(name.rpartition(".")[2], text)


def read_params(folder: RunFolder) -> dict[str, Any]:
    """What a program said of its run.

    Raises:
        RunError: the file of it is damaged.
    """
    return _read(folder.params_file)


def read_environment(folder: RunFolder) -> dict[str, Any]:
    """What the run ran in, as environment.json has it; `{}` where there is none.

    Raises:
        RunError: the file of it is damaged.
    """
    found = _read(folder.environment_file, is_checked=True)
    return {name: value for name, value in found.items() if name != "crc32"}


def _read(path: Path, *, is_checked: bool = False) -> dict[str, Any]:
    try:
        content = path.read_bytes()
        if is_checked and not matches_checksum(content):
            raise RunError(f"{path} is damaged: it does not match its checksum")
        return msgspec.json.decode(content, type=dict[str, Any])
    except FileNotFoundError:
        return {}
    except (ValueError, RecursionError) as error:
        raise RunError(f"{path} is damaged: {error}") from error


def resolve(values: Mapping[str, Any], name: str) -> str | None:
    """The key that `name` means: itself, or the last one that ends in it."""
    if name in values:
        return name
    return next((key for key in reversed(list(values)) if ends_in(key, name)), None)


def ends_in(name: str, end: str) -> bool:
    """Whether a setting or metric is meant by its name, or by the end of it behind a `.` or `/`."""
    return name == end or name.endswith((f".{end}", f"/{end}"))


def leaves(value: Mapping[str, Any] | list[Any], before: str = "") -> dict[str, Any]:
    """The values of nested mappings and lists by names with dots.

    An item of a list is named by its label where it has one, as in an override. A list of plain
    values is one value.
    """
    found: dict[str, Any] = {}
    for name, item in _items(value):
        if (isinstance(item, dict) and item) or (isinstance(item, list) and _holds_more(item)):
            found |= leaves(item, f"{before}{name}.")
        else:
            found[f"{before}{name}"] = item
    return found


def _items(value: Mapping[str, Any] | list[Any]) -> Iterator[tuple[str, Any]]:
    if not isinstance(value, list):
        yield from value.items()
        return
    for index, item in enumerate(value):
        label = item.get("label") or item.get("group") if isinstance(item, dict) else None
        yield str(label or index), item


def _holds_more(items: list[Any]) -> bool:
    return any(isinstance(item, dict | list) for item in items)
