"""`-c KEY=VALUE`: values that replace those of a spec.

KEY is an address (`specplan.spec.address`). VALUE is a scalar as YAML 1.2 reads one that stands alone, or, where it
begins with `[`, `{` or a quote, what YAML reads there. A scalar is taken whole: `#` and `:` are plain characters.
"""

from __future__ import annotations

import re
from functools import partial
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec.structs import replace

from specplan._native import parse_text
from specplan.spec.address import MOST_PARTS, Missing, missing, names_in, parts_of, step
from specplan.spec.diagnostics import Diagnostic, Origin, format_path
from specplan.spec.layers import Layer, is_reference
from specplan.spec.source import LINE_BREAK, Source, diagnosed
from specplan.spec.suggest import closest
from specplan.spec.trace import Trace

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path as FilePath

    from specplan._native import Text
    from specplan.spec.composition import Setting
    from specplan.spec.defaults import Declared
    from specplan.spec.diagnostics import Path
    from specplan.spec.source import Range
    from specplan.spec.trace import Cause

NAME = "-c"
"""How diagnostics call the text of all overrides, in which each begins a line."""

_COLON = re.compile(r"([\w.-]+)\s*(?::\s*|\s)(\S.*)")
"""What looks like a member of a YAML file."""

_LONGEST_HINT = 60
_READ_BEFORE = ("imports", "parent")
# What can be a number, a boolean or null. Of these nothing has another meaning to YAML, as `- a` and `a: b` have.
_WORD = re.compile(r"~|[-+]?\.?\w[\w.+-]*", re.ASCII)


class Override(msgspec.Struct, frozen=True, kw_only=True, eq=False):
    """One override, read but not applied.

    Attributes:
        names: the parts of the address.
        spans: where they stand.
        span: where the value stands.
        text: the value as a text of its own; None for a scalar without quotes.
        source: the text in which it is written, where that is not the one of all overrides.
    """

    names: tuple[str, ...]
    spans: tuple[Origin, ...]
    value: Any
    span: Origin
    text: Text | None = None
    source: Source | None = None


def as_override(setting: Setting, layer: Layer) -> Override:
    """What a sweep sets, as an override that is written where the sweep says it."""
    key, place = layer.trace.at(setting.key), layer.trace.at(setting.place)
    where = key.source.origin(key.inner, path=(), key=True)
    names = tuple(part.name for part in parts_of(setting.address)[0])
    return Override(
        names=names,
        spans=(where,) * len(names),
        value=setting.value,
        span=place.source.origin(place.inner, path=()),
        source=place.source,
    )


class Overrides:
    """The overrides of one composition.

    Attributes:
        applied: the text and the path of each that was applied.
        problems: what is wrong with the others.
    """

    def __init__(
        self,
        texts: Sequence[str],
        folder: FilePath,
        keys: Callable[[Any, Path], Mapping[str, Declared]] = lambda _, __: {},
    ) -> None:
        """Relative paths in values start at `folder`; `keys` are those that the place at a path may have."""
        self.applied: list[tuple[Source, Path]] = []
        self.problems: list[Diagnostic] = []
        self._folder = folder
        self._keys = keys
        self._lines = tuple(
            line
            for text in texts
            for line in LINE_BREAK.split(text.encode(errors="replace").decode())
        )
        self._overrides: list[Override] = []
        line = 1
        for text in texts:
            override = self._read(text, line)
            if override is not None:
                self._overrides.append(override)
            line += len(LINE_BREAK.findall(text)) + 1

    @property
    def sources(self) -> list[Source]:
        """The texts of those that were applied."""
        return [source for source, _ in self.applied]

    def over(self, layer: Layer) -> Layer:
        """The layer with its values replaced, in order."""
        for override in self._overrides:
            layer = self._applied(override, layer)
        return layer

    def set(self, settings: Sequence[Setting], layer: Layer) -> Layer:
        """The layer with what a sweep sets; then the sweep is no part of it."""
        swept = layer
        for setting in settings:
            layer = self._applied(as_override(setting, swept), layer)
        rest = {key: item for key, item in layer.value.items() if key != "sweep"}
        return Layer(rest, layer.trace)

    def _read(self, text: str, line: int) -> Override | None:
        def place(start: int, end: int) -> Origin:
            before, inside = LINE_BREAK.split(text[:start]), LINE_BREAK.split(text[start:end])
            column = len(before[-1]) + 1
            first = line + len(before) - 1
            return Origin(
                file=NAME,
                line=first,
                column=column,
                end_line=first + len(inside) - 1,
                end_column=len(inside[-1]) + (column if len(inside) == 1 else 1),
                text=self._lines[first - 1],
            )

        parts, end = parts_of(text)
        if not parts or not text[end:].startswith("="):
            self._refuse_key(text, place(end, end + 1) if "=" in text else place(0, len(text)))
            return None
        if len(parts) > MOST_PARTS:
            self._report("SP003", f"a key of more than {MOST_PARTS} parts", place(0, end))
            return None
        start = end + 1 + len(text[end + 1 :]) - len(text[end + 1 :].lstrip())
        written = text[start:].rstrip()
        span = place(start, start + len(written))
        value, parsed = self._value(written, span)
        return Override(
            names=tuple(part.name for part in parts),
            spans=tuple(place(part.start, part.end) for part in parts),
            value=value,
            span=span,
            text=parsed,
        )

    def _value(self, written: str, span: Origin) -> tuple[Any, Text | None]:
        if not written:
            return None, None
        if written[0] in "[{\"'":
            # The parser counts lines and columns as they are counted here.
            parsed = parse_text("\n" * (span.line - 1) + " " * (span.column - 1) + written, "yaml")
            self.problems += [diagnosed(fault, NAME, self._lines) for fault in parsed.problems]
            return parsed.value, parsed
        try:
            written.encode()
        except UnicodeEncodeError:
            self._report("SP005", "the value is not UTF-8", span)
        if _WORD.fullmatch(written):
            word = parse_text(written, "yaml")
            for fault in word.problems:
                self._report(fault.code, fault.message, span)
            if not isinstance(word.value, str):
                return word.value, None
        return written, None

    def _refuse_key(self, text: str, origin: Origin) -> None:
        hint: str | None
        if "=" not in text:
            message = "an override is KEY=VALUE, and here is no `=`"
            meant = _COLON.sub(r"\1=\2", text) if _COLON.match(text) else f"{text}=VALUE"
            hint = f"write `{meant}`" if len(text) <= _LONGEST_HINT else None
        else:
            message = "not a KEY: keys and indexes with `.` between them, as in `plan.0.epochs`"
            hint = "write a key that holds `.`, `=` or a bracket as `[key]`"
        self._report("SP105", message, origin, hint=hint)

    def _applied(self, override: Override, layer: Layer) -> Layer:
        if override.names[0] in _READ_BEFORE:
            message = f"`{override.names[0]}` is read before overrides are applied"
            instead = "`--pre-yaml FILE` lays the spec over another file"
            self._report("SP103", message, override.spans[0], path=override.names, hint=instead)
            return layer
        path: Path = ()
        spans: list[Range] = []
        value: Any = layer.value
        names = list(override.names)
        while names and (found := step(value, names[0])) is not None:
            spans += [override.spans[-len(names)]] * len(found)
            path += found
            for part in found:
                value = value[part]
            del names[0]
        known = partial(self._keys, layer.value, path)
        fault = _obstacle(value, path, names, known)
        if fault is not None:
            place = override.spans[len(override.names) - len(names) + fault.position]
            self._report(
                fault.missing.code,
                fault.missing.message,
                place,
                path=(*path, *names),
                hint=fault.missing.hint,
            )
            return layer
        made = _made(value, names)
        whole = path + made
        spans += override.spans[len(override.spans) - len(names) :]
        within = override.source
        source = Source(
            name=NAME if within is None else within.name,
            file=None if within is None else within.file,
            language="yaml" if within is None else within.language,
            folder=self._folder if within is None else within.folder,
            value=_nested(override.value, whole),
            lines=self._lines if within is None else within.lines,
            text=_Places(path=whole, spans=tuple(spans), span=override.span, text=override.text),
        )
        self.applied.append((source, whole))
        top = path + made[:1]
        cause: Cause = "override" if within is None else "sweep"
        trace = Trace(source=source, inner=top, cause=cause)
        return Layer(
            _placed(layer.value, top, _built(override.value, made[1:])),
            layer.trace.grafted({top: trace if made else trace.over(layer.trace.at(path))}),
        )

    def _report(
        self, code: str, message: str, origin: Origin, *, path: Path = (), hint: str | None = None
    ) -> None:
        place = replace(origin, path=path)
        self.problems.append(Diagnostic(code=code, message=message, origin=place, hint=hint))


class _Places(msgspec.Struct, frozen=True, kw_only=True, eq=False):
    """Where the parts of the path to a value stand, and the value."""

    path: Path
    spans: tuple[Range, ...]
    span: Range
    text: Text | None

    def value_span(self, path: Sequence[str | int], /) -> Range | None:
        inside = len(path) - len(self.path)
        if inside < 0:
            return self.spans[max(len(path), 1) - 1]
        if self.text is None:
            return None if inside else self.span
        return self.text.value_span(path[len(self.path) :])

    def key_span(self, path: Sequence[str | int], /) -> Range | None:
        if 0 < len(path) <= len(self.path):
            return self.spans[len(path) - 1]
        return None if self.text is None else self.text.key_span(path[len(self.path) :])


class _Obstacle(msgspec.Struct, frozen=True):
    """Why a path cannot be made, and which of its parts is in the way."""

    missing: Missing
    position: int = 0


def _obstacle(
    value: Any, path: Path, names: list[str], known: Callable[[], Mapping[str, Declared]]
) -> _Obstacle | None:
    """Why the value at `path` cannot get a new one below `names`; None where it can."""
    if not names:
        return None
    if isinstance(value, list):
        fits = names[0] == str(len(value))
    else:
        fits = isinstance(value, dict) and not is_reference(value)
        if fits and len(names) > 1 and closest(names[0], names_in(value)) is not None:
            # What is made on the way to a value under almost the name of another is rather a slip.
            fits = names[0] in known()
    if not fits:
        obstacle = missing(value, path, names[0])
        if isinstance(value, list) and obstacle.hint is None:
            obstacle = replace(obstacle, hint=f"`{len(value)}` appends an item")
        return _Obstacle(obstacle)
    if isinstance(value, dict) and len(names) > 1 and not names[1].isdecimal():
        declared = known()
        default = declared[names[0]].default if names[0] in declared else None
        if isinstance(default, list | tuple):
            inside = format_path((*path, names[0]))
            hint = f"`-c '{inside}=[...]'` gives it some"
            said = f"`{inside}` has no items, and so no `{names[1]}`"
            return _Obstacle(Missing("SP104", said, hint), 1)
    for position, name in enumerate(names[1:], start=1):
        if name.isdecimal() and name != "0":
            inside = format_path((*path, *names[:position]))
            return _Obstacle(
                Missing("SP104", f"`{inside}` has no items yet", "`0` is the first"), position
            )
    return None


def _made(value: Any, names: list[str]) -> Path:
    """The keys and indexes of what is made: a `0` makes a list."""
    if not names:
        return ()
    first = len(value) if isinstance(value, list) else names[0]
    return (first, *(0 if name == "0" else name for name in names[1:]))


def _built(value: Any, made: Path) -> Any:
    for part in reversed(made):
        value = [value] if isinstance(part, int) else {part: value}
    return value


def _nested(value: Any, path: Path) -> Any:
    for part in reversed(path):
        value = {part: value}
    return value


def _placed(value: Any, path: Path, item: Any) -> Any:
    """A copy of `value` that has `item` at `path`; what is not on the way there is shared."""
    if not path:
        return item
    part, *rest = path
    copied = value.copy()
    if part == len(value) and isinstance(value, list):
        copied.append(item)
    else:
        copied[part] = _placed(value[part], tuple(rest), item) if rest else item
    return copied
