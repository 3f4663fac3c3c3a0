"""One text of a spec, and the place of each of its values."""

from __future__ import annotations

import errno
import os
import re
import stat
from pathlib import Path as FilePath
from typing import TYPE_CHECKING, Any, Literal, Protocol

import msgspec

from specplan._native import parse_text
from specplan.errors import SpecError
from specplan.spec.diagnostics import Diagnostic, Edit, Fix, Label, Origin
from specplan.spec.suggest import closest

if TYPE_CHECKING:
    from collections.abc import Sequence

    from specplan._native import Problem
    from specplan.spec.diagnostics import Path

LONGEST_FILE = 16 * 1024 * 1024
"""Bytes; the parser takes no text that is longer."""

_SUFFIXES = (".json", ".yaml", ".yml")
LINE_BREAK = re.compile(r"\r\n|\n|\r")


class Range(Protocol):
    """A place in a text. Lines and columns count from 1; the end is exclusive."""

    @property
    def line(self) -> int: ...
    @property
    def column(self) -> int: ...
    @property
    def end_line(self) -> int: ...
    @property
    def end_column(self) -> int: ...


class Places(Protocol):
    """Knows where the values and keys of a text stand; None for what is not in it."""

    def value_span(self, path: Sequence[str | int], /) -> Range | None: ...
    def key_span(self, path: Sequence[str | int], /) -> Range | None: ...


class Source(msgspec.Struct, frozen=True, kw_only=True, eq=False):
    """One text, or a mapping that a Python program gave.

    Attributes:
        name: how diagnostics call the text; None for a mapping.
        file: the file itself, as an absolute path; None for what is in no file.
        language: what it is written in; YAML for a mapping.
        folder: the folder from which relative paths in the text start, as an absolute path.
        problems: faults of the text. Where it was plain what was meant, `value` is that.
        cut: line and column from which on `value` is not what was meant; None where all of it is.
    """

    name: str | None
    file: FilePath | None
    folder: FilePath
    value: Any
    language: Literal["json", "yaml"] = "yaml"
    lines: tuple[str, ...] = ()
    text: Places | None = None
    problems: tuple[Diagnostic, ...] = ()
    cut: tuple[int, int] | None = None

    def origin(self, inner: Path, *, path: Path, key: bool = False) -> Origin:
        """Where the value (or key) at `inner` of this text stands; `path` is its place in the spec.

        A value that is not in the text has the origin of the nearest one around it.
        """
        if self.text is None:
            return Origin(file=self.name, path=path)
        span = self.text.key_span(inner) if key else None
        while span is None:
            span = self.text.value_span(inner)
            if span is None and not inner:
                return Origin(file=self.name, path=path)
            inner = inner[:-1]
        return _origin(self.name, span, path, line=self.line(span.line))

    def line(self, number: int) -> str | None:
        """A line of a text that is in no file; None for others, which everyone can read."""
        return self.lines[number - 1] if self.file is None and self.lines else None

    def value_at(self, inner: Path) -> Any:
        """What the text says at `inner`, which is in it."""
        value = self.value
        for part in inner:
            value = value[part]
        return value


def read(file: FilePath) -> Source:
    """Read a JSON or YAML file. Faults of its text are listed in `problems`.

    `.json` is JSON, `.yaml` and `.yml` are YAML; another file is JSON if it begins with `{` or `[`.

    Raises:
        SpecError: there is no such file, it cannot be read, or it is not UTF-8.
    """
    file = file.absolute()
    name = displayed(file)
    content = _decoded(name, _bytes(file, name))
    language = _language(file, content)
    text = parse_text(content, language)
    return Source(
        name=name,
        file=file,
        folder=file.parent,
        value=text.value,
        language=language,
        lines=tuple(LINE_BREAK.split(content)),
        text=text,
        problems=tuple(diagnosed(problem, name) for problem in text.problems),
        cut=None if text.cut is None else (text.cut.line, text.cut.column),
    )


def is_file(path: FilePath) -> bool:
    """Whether a file is there. A path that no file can have, as one that is too long, leads to none."""
    try:
        return path.is_file()
    except OSError:
        return False


def is_folder(path: FilePath) -> bool:
    """As `is_file`, of a folder."""
    try:
        return path.is_dir()
    except OSError:
        return False


def displayed(file: FilePath) -> str:
    """The name of a file for people: relative to the current folder when it lies below it."""
    absolute = file.absolute()
    current = FilePath.cwd()
    return str(absolute.relative_to(current) if absolute.is_relative_to(current) else absolute)


def lines_of(file: FilePath) -> tuple[str, ...]:
    """The lines of a file for display; none where it cannot be read."""
    try:
        return tuple(LINE_BREAK.split(file.read_bytes().decode(errors="replace")))
    except OSError:
        return ()


_IN_A_SPEC = "a spec names it: `source: {{use: %s, path: {}}}`"
_BINARY = {
    b"PAR1": ("a Parquet file", _IN_A_SPEC % "parquet"),
    b"ARROW1": ("an Arrow file", _IN_A_SPEC % "arrow"),
    b"PK\x03\x04": ("a zip archive", "name a JSON or YAML file"),
    b"\x1f\x8b": ("compressed with gzip", "unpack it first"),
    b"\x80\x04\x95": ("a pickle", "name a JSON or YAML file"),
    b"\x93NUMPY": ("an array of numpy", "name a JSON or YAML file"),
    b"\x89PNG": ("an image", "name a JSON or YAML file"),
    b"\x89HDF": ("an HDF5 file", "name a JSON or YAML file"),
    b"\x7fELF": ("a program", "name a JSON or YAML file"),
    b"SQLite": ("a database", "name a JSON or YAML file"),
}
"""What begins with these bytes, and what to do."""


def _bytes(file: FilePath, name: str) -> bytes:
    hint = None
    code = "SP007"
    try:
        content = _regular_bytes(file)
        if len(content) <= LONGEST_FILE:
            return content
        code, message = "SP003", f"the file is larger than {LONGEST_FILE // 1024**2} MiB"
    except FileNotFoundError:
        similar = similar_file(file)
        message = "there is no such file"
        hint = f"did you mean `{displayed(similar)}`?" if similar is not None else None
    except IsADirectoryError:
        message, hint = "this is a folder, not a file", "name a JSON or YAML file in it"
    except OSError as error:
        message = f"the file cannot be read: {error.strerror}"
    problem = Diagnostic(code=code, message=message, origin=Origin(file=name), hint=hint)
    raise SpecError([problem])


def _regular_bytes(file: FilePath) -> bytes:
    """At most one byte more than a file may have: a device, or a pipe, may have no end."""
    descriptor = os.open(file, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        mode = os.fstat(descriptor).st_mode
        if stat.S_ISDIR(mode):
            raise IsADirectoryError
        if not stat.S_ISREG(mode):
            raise OSError(errno.EINVAL, "it is a device or a pipe")
        with os.fdopen(descriptor, "rb", closefd=False) as opened:
            return opened.read(LONGEST_FILE + 1)
    finally:
        os.close(descriptor)


def similar_file(file: FilePath) -> FilePath | None:
    """The JSON or YAML file beside `file`, which does not exist, that was probably meant."""
    try:
        names = sorted(entry.name for entry in file.parent.iterdir())
    except OSError:
        return None
    by_stem = {FilePath(name).stem: name for name in names if name.endswith(_SUFFIXES)}
    match = closest(file.stem, by_stem)
    return file.with_name(by_stem[match]) if match is not None else None


def _decoded(name: str, content: bytes) -> str:
    for start, (what, hint) in _BINARY.items():
        if content.startswith(start):
            problem = Diagnostic(
                code="SP005",
                message=f"this is {what}, not a spec in JSON or YAML",
                origin=Origin(file=name),
                hint=hint.format(name),
            )
            raise SpecError([problem])
    try:
        return content.decode()
    except UnicodeDecodeError as error:
        before = LINE_BREAK.split(content[: error.start].decode())
        line, column = len(before), len(before[-1]) + 1
        problem = Diagnostic(
            code="SP005",
            message=f"byte {error.start} (0x{content[error.start]:02x}) is not UTF-8",
            origin=Origin(
                file=name, line=line, column=column, end_line=line, end_column=column + 1
            ),
            hint="save the file as UTF-8",
        )
    raise SpecError([problem])


def _language(file: FilePath, content: str) -> Literal["json", "yaml"]:
    suffix = file.suffix.lower()
    if suffix == ".json":
        return "json"
    if suffix in {".yaml", ".yml"}:
        return "yaml"
    return "json" if content.lstrip("\ufeff \t\r\n").startswith(("{", "[")) else "yaml"


def diagnosed(problem: Problem, name: str, lines: Sequence[str] | None = None) -> Diagnostic:
    """A fault of a text; `lines` are those of a text that is in no file."""

    def origin(span: Range) -> Origin:
        line = None if lines is None else lines[span.line - 1]
        return _origin(name, span, (), line=line)

    labels: tuple[Label, ...] = ()
    if problem.related is not None:
        text, span = problem.related
        labels = (Label(origin=origin(span), text=text),)
    edits = tuple(Edit(origin=origin(span), text=text) for span, text in problem.edits)
    return Diagnostic(
        code=problem.code,
        message=problem.message,
        origin=origin(problem.span),
        hint=problem.hint,
        labels=labels,
        fix=Fix(edits=edits, applicability=_applicability(problem)) if edits else None,
    )


def _applicability(problem: Problem) -> Literal["safe", "unsafe"]:
    # How far a line belongs to the right is a guess: its neighbours may be what is wrong.
    return "unsafe" if "indented" in problem.message else "safe"


def _origin(name: str | None, span: Range, path: Path, *, line: str | None = None) -> Origin:
    return Origin(
        file=name,
        line=span.line,
        column=span.column,
        end_line=span.end_line,
        end_column=span.end_column,
        path=path,
        text=line,
    )
