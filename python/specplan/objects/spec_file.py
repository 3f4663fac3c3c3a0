"""The spec of an experiment as a YAML file, and back."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from specplan.base.files import write_atomically
from specplan.spec.validate import validate
from specplan.spec.wording import in_yaml

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from specplan.spec.document import Document

_LONGEST = 90
"""A mapping or list whose line would be longer has a line for each of its members."""


def write_spec(spec: Mapping[str, Any], path: str | os.PathLike[str], *, overwrite: bool) -> Path:
    """Write a spec as YAML; returns its path. Paths of files, of the working directory, are then of its folder.

    Raises:
        FileExistsError: it is there already, and is not to be overwritten.
    """
    target = Path(path)
    if target.exists() and not overwrite:
        raise FileExistsError(f"`{target}` is there already; overwrite=True replaces it")
    moved = {**spec, "data": _seen_from(target.absolute().parent, spec["data"])}
    write_atomically(target, "".join(f"{line}\n" for line in _lines(moved)).encode())
    return target


def _seen_from(folder: Path, data: Mapping[str, Any]) -> dict[str, Any]:
    found = dict(data)
    for label, section in data.items():
        path = section["source"].get("path")
        if path is not None and not Path(path).is_absolute():
            source = {**section["source"], "path": os.path.relpath(path, folder)}
            found[label] = {**section, "source": source}
    return found


def checked_spec(document: Document) -> dict[str, Any]:
    """The values of a spec that was read, with everything that it imports.

    Raises:
        SpecError: it is no spec.
    """
    validate(document)
    value: dict[str, Any] = document.value
    return value


def _lines(value: Any) -> Iterator[str]:
    if isinstance(value, list | tuple):
        for item in value:
            first, *more = [in_yaml(item)] if _on_one_line(item) else _lines(item)
            yield f"- {first}"
            yield from (f"  {line}" for line in more)
        return
    for key, item in value.items():
        if _on_one_line(item):
            yield f"{in_yaml(key)}: {in_yaml(item)}"
        else:
            yield f"{in_yaml(key)}:"
            yield from (f"  {line}" for line in _lines(item))


def _on_one_line(value: Any) -> bool:
    """Whether a value is a scalar, or a short mapping or list of such."""
    if not isinstance(value, dict | list | tuple) or not value:
        return True
    members = value.values() if isinstance(value, dict) else value
    nested = any(isinstance(member, dict) for member in members)
    return not nested and len(in_yaml(value)) <= _LONGEST
