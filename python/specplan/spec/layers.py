"""Files that are laid over each other, and over what they import.

First the files of `--pre-yaml`, then the one that was asked for, then those of `--post-yaml`; each over its
`imports`, depth first and in order. Mappings are merged key by key; everything else, lists and references to
parameters included, is replaced. Paths in `imports` start at the folder of the file that they are written in.
"""

from __future__ import annotations

import os
from pathlib import Path as FilePath
from pathlib import PurePath
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec.structs import replace

from specplan.errors import SpecError
from specplan.spec.diagnostics import Diagnostic, Label
from specplan.spec.source import displayed, read, similar_file
from specplan.spec.trace import Trace
from specplan.spec.wording import kind_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from specplan.spec.composition import Composition
    from specplan.spec.diagnostics import Path
    from specplan.spec.source import Source
    from specplan.spec.trace import Cause

REFERENCE = "$"
MOST_FILES = 1000
DEEPEST_IMPORT = 64


class Layer(msgspec.Struct, frozen=True):
    """The value of a file with what it imports."""

    value: dict[str, Any]
    trace: Trace


class Layers:
    """Reads files and lays them over each other.

    Attributes:
        sources: the files, each once.
        problems: what is wrong with how they lie over each other; then the layers are incomplete.
        slips: what is wrong with their texts.
        warnings: what is odd in them.
    """

    def __init__(self, *, of_specs: bool = True) -> None:
        """Files that are no specs may name a single import as `parent`, and leave `.yaml` out of names."""
        self.sources: list[Source] = []
        self.problems: list[Diagnostic] = []
        self.slips: list[Diagnostic] = []
        self.warnings: list[Diagnostic] = []
        self._of_specs = of_specs
        self._imported_layers: dict[FilePath, Layer | None] = {}

    def stacked(self, source: Source, composition: Composition) -> Layer:
        """`source` with what is laid under and over it."""
        result: Layer | None = None
        for part, cause in self._parts(source, composition):
            start = () if part.file is None else (_resolved(part.file),)
            result = _over(result, self._layer(part, cause, start))
        assert result is not None, "the source itself is a part"
        return result

    def _parts(self, source: Source, composition: Composition) -> Iterator[tuple[Source, Cause]]:
        for file in composition.pre:
            yield from self._added(file, "pre")
        yield source, "file"
        for file in composition.post:
            yield from self._added(file, "post")

    def _added(self, file: FilePath, cause: Cause) -> Iterator[tuple[Source, Cause]]:
        try:
            yield read(file), cause
        except SpecError as error:
            self.problems += error.diagnostics

    def _layer(self, source: Source, cause: Cause, importing: tuple[FilePath, ...]) -> Layer:
        """`source` over its imports; `importing` are the files on the way to it, and itself."""
        self.sources.append(source)
        self.slips += source.problems
        own = Layer({}, Trace(source=source, inner=(), cause=cause))
        if not isinstance(source.value, dict):
            if not source.problems:
                self._report(
                    source, (), "SP202", f"expected mapping, found {kind_of(source.value)}"
                )
            return own
        result: Layer | None = None
        for path, name in self._names(source):
            below = self._imported(source, path, name, importing)
            if below is not None:
                result = _over(result, below)
        return _over(result, Layer(source.value, own.trace))

    def _names(self, source: Source) -> list[tuple[Path, str]]:
        if not self._of_specs and "parent" in source.value:
            return self._parent(source)
        names = source.value.get("imports", [])
        if not isinstance(names, list):
            self._report(
                source,
                ("imports",),
                "SP202",
                f"expected list of files, found {kind_of(names)}",
                hint=f"write `imports: [{names if isinstance(names, str) else 'base.yaml'}]`",
            )
            return []
        valid: list[tuple[Path, str]] = []
        for index, name in enumerate(names):
            path = ("imports", index)
            if isinstance(name, str):
                valid.append((path, name))
            else:
                self._report(
                    source, path, "SP202", f"expected path of a file, found {kind_of(name)}"
                )
        return valid

    def _parent(self, source: Source) -> list[tuple[Path, str]]:
        path = ("parent",)
        name = source.value["parent"]
        if name is None:
            return []
        if "imports" in source.value:
            imports = source.origin(("imports",), path=("imports",), key=True)
            self.problems.append(
                Diagnostic(
                    code="SP109",
                    message="`parent` and `imports` stand in one file",
                    origin=source.origin(path, path=path, key=True),
                    hint="put the parent first in `imports`, and leave `parent` out",
                    labels=(Label(origin=imports, text="the imports"),),
                )
            )
            return []
        if not isinstance(name, str):
            self._report(source, path, "SP202", f"expected path of a file, found {kind_of(name)}")
            return []
        self.warnings.append(
            Diagnostic(
                code="SP108",
                message="`parent` is deprecated",
                origin=source.origin(path, path=path, key=True),
                hint=f"write `imports: [{name}]`",
                severity="warning",
            )
        )
        return [(path, name)]

    def _imported(
        self, source: Source, path: Path, name: str, importing: tuple[FilePath, ...]
    ) -> Layer | None:
        try:
            file = source.folder / name
            if not self._of_specs and not file.suffix and not file.exists():
                file = file.with_suffix(".yaml")
            resolved = _resolved(file)
            found, exists = file.is_file(), file.exists()
        except (OSError, ValueError) as error:
            why = error.strerror if isinstance(error, OSError) else error
            self._report(source, path, "SP101", f"import {name!r} cannot be read: {why}")
            return None
        if resolved in importing:
            cycle = [*importing[importing.index(resolved) :], resolved]
            chain = " -> ".join(f"`{displayed(step)}`" for step in cycle)
            self._report(source, path, "SP102", f"imports form a cycle: {chain}")
            return None
        if not found:
            what = "is not a file" if exists else "not found"
            similar = similar_file(file)
            hint = None
            if similar is not None:
                hint = f"did you mean `{PurePath(name).with_name(similar.name)}`?"
            elif (source.folder / PurePath(name).name).is_file():
                hint = f"did you mean `{PurePath(name).name}`?"
            self._report(source, path, "SP101", f"import `{name}` {what}", hint=hint)
            return None
        if resolved not in self._imported_layers:
            self._imported_layers[resolved] = None
            if self._room(source, path, importing):
                layer = self._read(file, source, path, (*importing, resolved))
                self._imported_layers[resolved] = layer
        return self._imported_layers[resolved]

    def _room(self, source: Source, path: Path, importing: tuple[FilePath, ...]) -> bool:
        """Whether another file may be read, and a report where it may not."""
        if len(importing) > DEEPEST_IMPORT:
            what = f"imports go deeper than {DEEPEST_IMPORT} files"
        elif len(self._imported_layers) > MOST_FILES:
            what = f"more than {MOST_FILES} files are imported"
        else:
            return True
        if not any(problem.message == what for problem in self.problems):
            self._report(source, path, "SP003", what)
        return False

    def _read(
        self, file: FilePath, source: Source, path: Path, importing: tuple[FilePath, ...]
    ) -> Layer | None:
        try:
            imported = read(file)
        except SpecError as error:
            label = Label(origin=source.origin(path, path=path), text="imported here")
            self.problems += [replace(fault, labels=(label,)) for fault in error.diagnostics]
            return None
        return self._layer(imported, "import", importing)

    def _report(
        self, source: Source, path: Path, code: str, message: str, *, hint: str | None = None
    ) -> None:
        origin = source.origin(path, path=path)
        self.problems.append(Diagnostic(code=code, message=message, origin=origin, hint=hint))


def is_reference(value: dict[str, Any]) -> bool:
    """Whether a mapping stands for the value of a parameter, or is meant to."""
    return REFERENCE in value


def _resolved(file: FilePath) -> FilePath:
    # `Path.resolve` raises where links lead in a circle, which `is_file` finds out anyway.
    return FilePath(os.path.realpath(file))


def _over(below: Layer | None, above: Layer) -> Layer:
    """`above` laid over `below`."""
    if below is None or below is above:
        return above
    return Layer(*_merged(below.value, below.trace, above.value, above.trace))


def _merged(
    below: dict[str, Any], below_trace: Trace, above: dict[str, Any], above_trace: Trace
) -> tuple[dict[str, Any], Trace]:
    value = {}
    children = dict(above_trace.children)
    for key in below | above:
        if key not in above:
            value[key] = below[key]
            children[key] = below_trace.child(key)
        elif key not in below:
            value[key] = above[key]
        else:
            under, over = below_trace.child(key), above_trace.child(key)
            if _merges(below[key]) and _merges(above[key]):
                value[key], children[key] = _merged(below[key], under, above[key], over)
            else:
                value[key], children[key] = above[key], over.over(under)
    return value, replace(
        above_trace, children=children, replaced=(below_trace, *above_trace.replaced)
    )


def _merges(value: object) -> bool:
    return isinstance(value, dict) and not is_reference(value)
