"""Plain values, and where each of them came from."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import msgspec

from specplan.spec.diagnostics import Label, Origin
from specplan.spec.trace import Step, Trace, chain, holds
from specplan.spec.wording import as_json, in_yaml

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path as FilePath

    from specplan.spec.diagnostics import Diagnostic, Path
    from specplan.spec.source import Source
    from specplan.spec.trace import Cause

_OPTIONS: dict[Cause, str] = {"override": "-c", "post": "--post-yaml"}
_LAYERS: tuple[Cause, ...] = (
    "default",
    "pre",
    "import",
    "file",
    "parameter",
    "post",
    "sweep",
    "override",
)
"""What is laid over what: the last wins."""


class Document(msgspec.Struct, frozen=True, kw_only=True, eq=False):
    """A spec as plain values, composed of one or more texts.

    Attributes:
        value: mappings, lists, strings, numbers, booleans and None; imports and parameters are
            resolved, `imports`, `params`, `$schema` and `x-` keys are gone.
        sources: the texts; the first is the one that was asked for.
        trace: where each value stands, and what it replaced.
        written: the value before parameters were put in, with everything that is gone from `value`.
        unused_parameters: parameters of the first text that no `{$: params.x}` refers to.
        problems: faults of the composition that did not make the rest of the value meaningless.
        slips: faults of the texts, after which it was plain how to read on, or the text is cut.
        warnings: what is odd, and not wrong, in the texts of a configuration.
    """

    value: Any
    sources: tuple[Source, ...]
    trace: Trace
    written: dict[str, Any]
    unused_parameters: tuple[Path, ...] = ()
    problems: tuple[Diagnostic, ...] = ()
    slips: tuple[Diagnostic, ...] = ()
    warnings: tuple[Diagnostic, ...] = ()

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
        trace = self.trace.at(path)
        if key and trace.reference is not None:
            trace = trace.reference
        return trace.source.origin(trace.inner, path=path, key=key)

    def chain(self, path: Path) -> tuple[Step, ...]:
        """Every value that the place at `path` had while the spec was composed, oldest first.

        The default of the language or of a component is the oldest; empty where there is nothing.
        """
        steps = self._defaults(path)
        if holds(self.value, path) or holds(self.written, path):
            steps += chain(self.trace, path)
        return steps

    def _defaults(self, path: Path) -> tuple[Step, ...]:
        # The schema is read only where someone asks for defaults.
        from specplan.spec.defaults import declared

        key = declared(self.value, path[:-1]).get(str(path[-1])) if path else None
        if key is None or key.default is msgspec.UNSET:
            return ()
        return (
            Step(
                cause="default",
                origin=Origin(file=None, path=path),
                value=key.default,
                owner=key.owner,
                description=key.description,
            ),
        )

    def replaced(self, path: Path) -> Label | None:
        """What the value at `path` took the place of, where it was given with `-c` or `--post-yaml`.

        Who sees only the new value in a diagnostic may not know that it is not the one of the file.
        """
        trace = self.trace.at(path)
        option = _OPTIONS.get(trace.cause)
        if option is None or not trace.replaced:
            return None
        if trace.cause == "post" and isinstance(self.value_at(path), dict):
            # A mapping is laid over the other, key by key.
            return None
        before = trace.replaced[-1]
        origin = before.source.origin(before.inner, path=before.inner)
        return Label(origin=origin, text=f"replaced by `{option}`")

    def latest(self, paths: Sequence[Path]) -> Path | None:
        """That of the values which was laid over the others last; None where several were."""
        ranks = [_LAYERS.index(self.trace.at(path).cause) for path in paths]
        last = [path for path, rank in zip(paths, ranks, strict=True) if rank == max(ranks)]
        return last[0] if len(last) == 1 else None

    def value_at(self, path: Path) -> Any:
        """What is written at `path`; None where nothing is."""
        if not holds(self.value, path):
            return None
        value = self.value
        for part in path:
            value = value[part]
        return value

    def start(self, path: Path) -> FilePath:
        """The folder from which a relative path that is written at `path` starts."""
        return self.trace.at(path).source.folder

    def origin_within(self, path: Path, start: int, end: int) -> Origin:
        """Where characters of the string at `path` are written.

        It is the whole string where that is written otherwise than it reads, as with escapes.
        """
        origin = self.origin(path)
        line = self.source_line(origin)
        if line is None or origin.end_line != origin.line:
            return origin
        text = self.value_at(path)
        offset = line[origin.column - 1 : origin.end_column - 1].find(text)
        if offset < 0:
            return origin
        first = origin.column + offset
        return msgspec.structs.replace(origin, column=first + start, end_column=first + end)

    def reference(self, path: Path) -> Origin | None:
        """Where the `{$: params.x}` stands that put the value at `path` in; None where none did.

        None also in a mapping, where the origin of the value itself says all there is to say.
        """
        if self.sources[0].file is None:
            return None
        reference = self.trace.reference_at(path)
        if reference is None:
            return None
        return reference.source.origin(reference.inner, path=path)

    def in_language(self, path: Path, value: object) -> str:
        """`value` in the language of the text in which the value at `path` stands."""
        if self.trace.at(path).source.language == "json":
            return as_json(value)
        return in_yaml(value)

    @property
    def is_cut(self) -> bool:
        """Whether a text ends, in part or as a whole, at a fault."""
        return any(source.cut is not None for source in self.sources)

    def cut_before(self, origin: Origin) -> bool:
        """Whether the text was not read any more where `origin` ends, so that nothing can be said of it."""
        for source in self.sources:
            if source.name == origin.file and source.cut is not None:
                return (origin.end_line, origin.end_column) >= source.cut
        return False

    def source_line(self, origin: Origin) -> str | None:
        """The line of text that `origin` begins on; None where it is in no text of these."""
        for source in self.sources:
            if source.name == origin.file and 0 < origin.line <= len(source.lines):
                return source.lines[origin.line - 1]
        return None
