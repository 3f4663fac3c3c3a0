"""The YAML file of an experiment, a configuration for a function, as the spec that it stands for."""

from __future__ import annotations

import copy
import os
from typing import TYPE_CHECKING, Any, get_type_hints

from msgspec.structs import replace

from specplan.components.reference import as_file_reference, names_file
from specplan.errors import SpecError
from specplan.spec.compose import number_fault
from specplan.spec.configuration import BASE_KEYS, ConfigurationBase
from specplan.spec.decode import Decoder
from specplan.spec.diagnostics import Diagnostic, Label, in_text_order
from specplan.spec.document import Document
from specplan.spec.model import SPEC_VERSION
from specplan.spec.trace import Trace

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from specplan.spec.diagnostics import Path

LABEL = "run"
"""Label of the one phase, and name of the function that it calls."""
NAMES = ("id", "title", "subtitle", "description", "paper", "add_timestamp")


def as_spec(document: Document, *, words: Sequence[str] = ()) -> Document:
    """A spec with one call phase; each of its values stands where the file says it.

    Keys that are not of `ConfigurationBase` are the configuration of the function, whatever they are:
    the class that the function names says more when it is loaded.

    Raises:
        SpecError: a key of `ConfigurationBase` has a wrong value, or a number no plan can hold.
    """
    problems = [*_faults(document)]
    if problems:
        raise SpecError(in_text_order(problems, document.sources[0].name))
    written = document.value
    use, named_by = _use(document)
    value: dict[str, Any] = {
        "specplan": SPEC_VERSION,
        "experiment": {key: written[key] for key in NAMES if key in written},
        "run": {key: written[key] for key in ("dirty_git",) if key in written},
        "code": {"pythonpath": _pythonpath(document)},
        "plan": [
            {
                "phase": "call",
                "label": LABEL,
                "use": use,
                "config": {key: item for key, item in written.items() if key not in BASE_KEYS},
                "args": list(words),
            }
        ],
    }
    traces: dict[Path, Trace] = {
        ("plan", 0, "use"): document.trace.at(named_by),
        ("plan", 0, "config"): document.trace,
    }
    if written.get("pre_experiment") is not None:
        value["code"]["pre_experiment"] = _moved(document, ("pre_experiment",))
        traces["code", "pre_experiment"] = document.trace.at(("pre_experiment",))
    places = [
        *(("experiment", name) for name in NAMES),
        ("run", "dirty_git"),
        ("code", "pythonpath"),
    ]
    for section, key in places:
        traces[section, key] = document.trace.at((key,))
    root = Trace(source=document.trace.source, inner=(), cause="file")
    return Document(
        value=value, sources=document.sources, trace=root.grafted(traces), written=value
    )


def without_wrong_numbers(document: Document, faults: Sequence[Diagnostic]) -> Document | None:
    """The document with 0 for numbers that are not finite; None where it has other faults."""
    if any(fault.code != "SP004" for fault in faults):
        return None
    value = copy.deepcopy(document.value)
    for fault in faults:
        *around, last = fault.origin.path
        owner = value
        for part in around:
            owner = owner[part]
        owner[last] = 0
    return replace(document, value=value)


def _faults(document: Document) -> Iterator[Diagnostic]:
    types = get_type_hints(ConfigurationBase)
    decoder = Decoder(document)
    for key, value in document.value.items():
        if key in BASE_KEYS:
            decoder.decode(types[key], value, (key,))
    yield from decoder.problems
    for path, value in _scalars(document.value, ()):
        fault = number_fault(value)
        if fault is not None:
            yield Diagnostic(code=fault[0], message=fault[1], origin=document.origin(path))
    if {"file", "module"} <= document.value.keys():
        other = Label(origin=document.origin(("file",), key=True), text="the file")
        yield Diagnostic(
            code="SP117",
            message="an experiment is in a file or in a module, not in both",
            origin=document.origin(("module",), key=True),
            labels=(other,),
            hint="remove one of them",
        )


def _use(document: Document) -> tuple[str, Path]:
    """The function, and the path of the key that names it."""
    module = document.value.get("module")
    if module is not None:
        return f"{module.removesuffix('.py')}:{LABEL}", ("module",)
    named_by: Path = ("file",) if "file" in document.value else ()
    file = document.value.get("file", ConfigurationBase.file).removesuffix(".py") + ".py"
    moved = os.path.relpath(document.start(named_by) / file, document.folder)
    return f"{as_file_reference(moved.replace(os.sep, '/'))}:{LABEL}", named_by


def _pythonpath(document: Document) -> list[str]:
    """What the file says; else the folder from which its module, or its file, is found."""
    said = document.value.get("pythonpath")
    if said is not None:
        return [_moved(document, ("pythonpath", index)) for index in range(len(said))]
    module = document.value.get("module")
    if module is None:
        return ["."]
    above = document.start(("module",)).joinpath(*[".."] * module.count("."))
    return [os.path.relpath(above, document.folder).replace(os.sep, "/")]


def _moved(document: Document, path: Path) -> str:
    """A path that the file says, from the folder of the document; the name of a module as it is."""
    text: Any = document.value
    for part in path:
        text = text[part]
    if path == ("pre_experiment",) and not names_file(text):
        return str(text)
    return os.path.relpath(document.start(path) / text, document.folder).replace(os.sep, "/")


def _scalars(value: Any, path: Path) -> Iterator[tuple[Path, Any]]:
    if isinstance(value, dict):
        for key, item in value.items():
            yield from _scalars(item, (*path, key))
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from _scalars(item, (*path, index))
    else:
        yield path, value
