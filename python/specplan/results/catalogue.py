"""Which runs are meant by names and patterns, and what was set for each of them."""

from __future__ import annotations

import fnmatch
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from specplan.errors import RunError
from specplan.results.locate import all_runs, experiment_of, find_run, runs_of
from specplan.results.open import Run

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from specplan.store.layout import RunFolder

_WILD = frozenset("*?[")
_NAMES = ("$schema", "experiment", "results", "specplan")
"""Parts of a spec that say nothing of what was run."""


def find_runs(names: Sequence[str], root: Path) -> list[Run]:
    """The runs that names mean, each once, in the order of the names and then of age.

    A name is that of one run, as for `find_run`; an experiment means all of its runs, and a pattern
    with `*`, `?` or `[` every run whose `<experiment>/<run>` it matches. No name means all runs.

    Raises:
        RunError: a name means no run, or a run cannot be read.
    """
    folders: dict[Path, RunFolder] = {}
    for name in names or ("*",):
        for folder in _meant(name, root):
            folders.setdefault(folder.path.resolve(), folder)
    return [Run(folder) for folder in folders.values()]


def _meant(name: str, root: Path) -> list[RunFolder]:
    if _WILD & set(name):
        found = [
            folder
            for folder in all_runs(root)
            if fnmatch.fnmatchcase(f"{experiment_of(folder, root)}/{folder.path.name}", name)
        ]
        if not found:
            raise RunError(f"no run below `{root}` matches `{name}`")
        return found
    for path in (Path(name), root / name):
        if runs := list(runs_of(path)):
            return runs
    return [find_run(name, root)]


def settings(run: Run) -> dict[str, Any]:
    """What was set for a run, by names with dots: its spec without the names in it, and its params."""
    found: dict[str, Any] = {}
    folder = run.folder
    if folder.spec_file.is_file():
        spec = msgspec.json.decode(folder.spec_file.read_bytes(), type=dict[str, Any])
        found |= leaves({key: value for key, value in spec.items() if key not in _NAMES})
    if folder.params_file.is_file():
        found |= leaves(msgspec.json.decode(folder.params_file.read_bytes(), type=dict[str, Any]))
    return found


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
