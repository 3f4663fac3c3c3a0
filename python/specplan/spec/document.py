"""Plain values, and where each of them came from."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

import msgspec

from specplan.spec.source import Source
from specplan.spec.wording import in_yaml

if TYPE_CHECKING:
    from pathlib import Path as FilePath

    from specplan.spec.diagnostics import Diagnostic, Origin, Path

Place = tuple[Source, tuple[str | int, ...]]
"""A text, and the path of a value in it."""


class Places(msgspec.Struct, frozen=True):
    """Where the values of a composed document stand.

    Sparse: a value without an entry stands in the text of the nearest value around it that has one.
    The root always has one.
    """

    by_path: dict[Path, Place]

    def find(self, path: Path) -> Place:
        """The place of the value at `path`."""
        length = next(n for n in range(len(path), -1, -1) if path[:n] in self.by_path)
        source, inner = self.by_path[path[:length]]
        return source, inner + path[length:]

    def below(self, path: Path) -> dict[Path, Place]:
        """The place of the value at `path`, and the entries below it, with paths from there on."""
        length = len(path)
        entries = {
            entry[length:]: place for entry, place in self.by_path.items() if entry[:length] == path
        }
        return {(): self.find(path)} | entries


class Document(msgspec.Struct, frozen=True, kw_only=True, eq=False):
    """A spec as plain values, composed of one or more texts.

    Attributes:
        value: mappings, lists, strings, numbers, booleans and None; imports and parameters are
            resolved, `imports`, `params`, `$schema` and `x-` keys are gone.
        sources: the texts; the first is the one that was asked for.
        places: where each value stands.
        references: where `{$: params.x}` was written, by the path of the value that replaced it.
        problems: faults of the composition that did not make the rest of the value meaningless.
    """

    value: Any
    sources: tuple[Source, ...]
    places: Places
    references: dict[Path, Place] = {}
    problems: tuple[Diagnostic, ...] = ()

    @property
    def folder(self) -> FilePath:
        """The folder from which the relative paths of the spec start, as an absolute path."""
        return self.sources[0].folder

    @property
    def name(self) -> str:
        """Default of `experiment.id`: the stem of the file, with `_` for what an id cannot hold."""
        file = self.sources[0].file
        if file is None:
            return "experiment"
        name = re.sub(r"[^A-Za-z0-9_-]", "_", file.stem)
        return name if re.match(r"[A-Za-z_]", name) else f"_{name}"

    def origin(self, path: Path, *, key: bool = False) -> Origin:
        """Where the value at `path` is written, or with `key` the key that it stands under.

        A value that came through `{$: params.x}` is written where the parameter is.
        """
        place = self.references.get(path) if key else None
        source, inner = place or self.places.find(path)
        return source.origin(inner, path=path, key=key)

    def reference(self, path: Path) -> Origin | None:
        """Where the `{$: params.x}` stands that put the value at `path` in; None where none did.

        None also in a mapping, where the origin of the value itself says all there is to say.
        """
        if self.sources[0].file is None:
            return None
        for length in range(len(path), 0, -1):
            place = self.references.get(path[:length])
            if place is not None:
                source, inner = place
                return source.origin(inner, path=path)
        return None

    def written(self, path: Path, value: object) -> str:
        """`value` in the language of the text in which the value at `path` stands."""
        source, _ = self.places.find(path)
        return (
            json.dumps(value, ensure_ascii=False) if source.language == "json" else in_yaml(value)
        )

    def source_line(self, origin: Origin) -> str | None:
        """The line of text that `origin` begins on; None where it is in no text of these."""
        for source in self.sources:
            if source.name == origin.file and 0 < origin.line <= len(source.lines):
                return source.lines[origin.line - 1]
        return None
