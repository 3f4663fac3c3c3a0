"""Wrong variants of right specs, and what the compiler has to say of each."""

from __future__ import annotations

import copy
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from specplan._native import parse_text
from tests.plan.conftest import SPEC

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.plan.mutations.layers import SpecPath

HERE = Path(__file__).parent
CORPUS = HERE.parent / "corpus_right"


class Mutant(NamedTuple):
    """One wrong spec.

    Attributes:
        value: the whole spec.
        at: the key or value that is wrong; of what is missing, the mapping that lacks it.
        original: the key that was replaced, which a layer below may still have.
        mutation: what was done, as mutations.yaml says it.
        suggests: what the hint has to name.
    """

    name: str
    value: dict[str, Any]
    at: SpecPath
    original: SpecPath | None
    mutation: dict[str, Any]
    suggests: str | None


@cache
def mutations() -> tuple[dict[str, Any], ...]:
    """The ways to get a spec wrong."""
    text = parse_text((HERE / "mutations.yaml").read_text(), "yaml")
    assert text.problems == []
    return tuple(text.value)


def right_specs() -> dict[str, dict[str, Any]]:
    """Plain values of specs without a fault, by name."""
    texts = {file.stem: file.read_text() for file in sorted(CORPUS.iterdir())}
    return {name: parse_text(text, "yaml").value for name, text in {**texts, "cells": SPEC}.items()}


def mutants(mutation: dict[str, Any]) -> Iterator[Mutant]:
    """What becomes of every spec in which the mutation finds a place."""
    for name, value in right_specs().items():
        for path in _matches(value, mutation["at"], ()):
            mutant = _mutant(name, value, path, mutation)
            if mutant is not None:
                yield mutant


def _matches(value: Any, pattern: list[str], path: SpecPath) -> Iterator[SpecPath]:
    if not pattern:
        yield path
        return
    first, *rest = pattern
    children: dict[str | int, Any] = {}
    if isinstance(value, dict):
        children = value
    elif isinstance(value, list):
        children = dict(enumerate(value))
    for key, child in children.items():
        if first in ("*", key):
            yield from _matches(child, rest, (*path, key))


def _mutant(
    name: str, original: dict[str, Any], path: SpecPath, mutation: dict[str, Any]
) -> Mutant | None:
    value = copy.deepcopy(original)
    owner: Any = value
    for part in path[:-1]:
        owner = owner[part]
    was = owner[path[-1]] if path else value
    if not _is_meant(was, mutation.get("where")):
        return None
    at, replaced = path, None
    if "key" in mutation:
        if mutation["key"] in owner:
            return None
        _rename(owner, path[-1], mutation["key"])
        at, replaced = (*path[:-1], mutation["key"]), path
    elif "value" in mutation:
        owner[path[-1]] = mutation["value"]
    elif "append" in mutation:
        owner[path[-1]] = was + mutation["append"]
    elif "prepend" in mutation:
        owner[path[-1]] = mutation["prepend"] + was
    elif mutation.get("quoted"):
        owner[path[-1]] = str(was)
    elif mutation.get("remove"):
        del owner[path[-1]]
        at = path[:-1]
    else:
        (key,) = mutation["add"]
        was.update(mutation["add"])
        at = (*path, key)
    if value == original:
        return None
    place = ".".join(map(str, path))
    return Mutant(f"{name}: {place}", value, at, replaced, mutation, _suggestion(was, mutation))


def _is_meant(was: Any, wanted: Any) -> bool:
    if wanted is None:
        return True
    if isinstance(wanted, dict):
        return isinstance(was, dict) and wanted.items() <= was.items()
    return bool(was == wanted)


def _suggestion(was: Any, mutation: dict[str, Any]) -> str | None:
    match mutation.get("suggests"):
        case "was":
            return str(was)
        case "column":
            return str(was).partition(".")[2]
        case "feature set":
            return str(was).partition(".")[0]
        case other:
            return other


def _rename(owner: dict[str, Any], key: Any, name: str) -> None:
    items = [(name if old == key else old, item) for old, item in owner.items()]
    owner.clear()
    owner.update(items)
