"""A file, or a mapping, as a Document."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path as FilePath
from typing import TYPE_CHECKING, Any

from specplan.errors import SpecError
from specplan.spec.compose import compose, compose_configuration
from specplan.spec.composition import NOTHING_ADDED, Composition
from specplan.spec.diagnostics import Diagnostic, Origin, format_path
from specplan.spec.model import SPEC_VERSION
from specplan.spec.source import Source, read

if TYPE_CHECKING:
    from specplan.spec.diagnostics import Path
    from specplan.spec.document import Document

DEEPEST = 64
"""Levels of nesting; the parser of texts takes no more either."""


def load(path: str | os.PathLike[str], composition: Composition = NOTHING_ADDED) -> Document:
    """Read a spec with everything that it imports.

    Raises:
        SpecError: a file is missing or unreadable, or its text is not JSON or YAML 1.2.
    """
    return compose(read(FilePath(path)), composition)


def load_configuration(
    path: str | os.PathLike[str], composition: Composition = NOTHING_ADDED
) -> Document:
    """Read a configuration, of which nothing has to be as in a spec, with everything that it imports.

    Raises:
        SpecError: a file is missing or unreadable, its text is not JSON or YAML 1.2, or an override leads
            nowhere.
    """
    return compose_configuration(read(FilePath(path)), composition)


def from_mapping(
    mapping: Mapping[str, Any],
    *,
    folder: str | os.PathLike[str] | None = None,
    composition: Composition = NOTHING_ADDED,
) -> Document:
    """A spec that a Python program holds. `mapping` is copied; the version key may be left out.

    Args:
        folder: where relative paths in the spec start; by default the current folder.

    Raises:
        TypeError: `mapping` holds something that JSON cannot write.
        SpecError: it is nested too deeply, something that it imports is missing or unreadable, or an
            override is faulty.
    """
    value = {"specplan": SPEC_VERSION} | _plain(mapping, ())
    start = FilePath("." if folder is None else folder).absolute()
    source = Source(name=None, file=None, folder=start, value=value)
    return compose(source, composition)


def _plain(value: object, path: Path) -> Any:
    if len(path) > DEEPEST:
        message = f"nesting deeper than {DEEPEST}"
        raise SpecError(
            [Diagnostic(code="SP003", message=message, origin=Origin(file=None, path=path))]
        )
    # numpy.float64, enum.StrEnum and the like become the plain type: validation is strict.
    match value:
        case None | bool():
            return value
        case int():
            return int(value)
        case float():
            return float(value)
        case str():
            return str.__str__(value)
        case os.PathLike():
            return os.fspath(value)
        case Mapping():
            for key in value:
                if not isinstance(key, str):
                    msg = f"{format_path(path)}: keys are strings, this one is {key!r}"
                    raise TypeError(msg)
            return {str(key): _plain(item, (*path, key)) for key, item in value.items()}
        case Sequence() if not isinstance(value, bytes | bytearray):
            return [_plain(item, (*path, index)) for index, item in enumerate(value)]
    msg = f"{format_path(path)}: a spec cannot hold an object of type `{type(value).__name__}`"
    raise TypeError(msg)
