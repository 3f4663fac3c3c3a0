"""Document -> Spec, or every fault that the document has."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import msgspec
from msgspec.structs import replace

from specplan.components import COMPONENTS
from specplan.components.plugins import plugins
from specplan.components.reference import OPEN_KINDS, live_name, parse
from specplan.errors import SpecError
from specplan.spec.diagnostics import Diagnostic, Origin, in_text_order
from specplan.spec.model import components_of, from_value
from specplan.spec.suggestion import Suggestion

if TYPE_CHECKING:
    from specplan.components import Kind
    from specplan.spec.document import Document
    from specplan.spec.model import ComponentSpec, Spec

SKLEARN_NAME = re.compile(r"sklearn(\.[A-Za-z_][A-Za-z0-9_]*)+:[A-Za-z_][A-Za-z0-9_]*")


def validate(document: Document) -> Spec:
    """Check a document and give it types.

    References between the parts, shapes and data are not looked at: that is the compiler's.

    Raises:
        SpecError: with every fault, in the order of the text.
    """
    if document.problems or document.slips:
        raise SpecError(_faults(document))
    try:
        spec = from_value(document.value, name=document.name)
        for _, kind, component in components_of(spec):
            _check_component(kind, component)
    except msgspec.ValidationError as refusal:
        faults = _faults(document) or [_inconsistency(document, refusal)]
        raise SpecError(faults) from None
    return spec


def _check_component(kind: Kind, component: ComponentSpec) -> None:
    use = component.get("use")
    if kind == "model" and isinstance(use, str) and SKLEARN_NAME.fullmatch(use):
        return
    if kind in OPEN_KINDS and isinstance(use, str) and parse(use) is not None:
        return
    if kind in OPEN_KINDS and isinstance(use, str) and live_name(use) is not None:
        return
    declaration = COMPONENTS[kind].get(use) if isinstance(use, str) else None
    if declaration is None and isinstance(use, str) and use in plugins(kind):
        return
    if declaration is None:
        msg = f"Expected a {kind}, got {use!r}"
        raise msgspec.ValidationError(msg)
    msgspec.convert(component, declaration)


def _faults(document: Document) -> list[Diagnostic]:
    # jsonschema takes longer to import than everything else here, and most specs are right.
    from specplan.spec.faults import schema_faults

    unresolved = [problem.origin.path for problem in document.problems]
    faults = [
        fault
        for fault in schema_faults(document)
        if not any(fault.origin.path[: len(path)] == path for path in unresolved)
        and not _follows_from_the_text(fault, document)
    ]
    problems = [
        problem for problem in document.problems if not _follows_from_the_text(problem, document)
    ]
    joined = _one_for_each_cause([*document.slips, *problems, *faults])
    if any(_is_for_imports(fault) for fault in faults):
        # What was not imported is missed everywhere.
        joined = [fault for fault in joined if fault.code not in ("SP106", "SP204")]
    return in_text_order(joined, document.sources[0].name)


def _follows_from_the_text(fault: Diagnostic, document: Document) -> bool:
    """Whether it may be a fault only because the text around it could not be read as it was meant."""
    place = document.origin(fault.origin.path) if fault.code == "SP204" else fault.origin
    return document.cut_before(place) or any(
        _touch(slip.origin, place if _is_merge(slip, document) else fault.origin)
        for slip in document.slips
        if slip.code != "SP002"
    )


def _is_merge(slip: Diagnostic, document: Document) -> bool:
    """Whether a merge key was left out of a mapping, which then lacks what it was to bring."""
    line = document.source_line(slip.origin) or ""
    return line[slip.origin.column - 1 : slip.origin.end_column - 1] == "<<"


def _is_for_imports(fault: Diagnostic) -> bool:
    hint = fault.hint
    return fault.code == "SP201" and isinstance(hint, Suggestion) and hint.text == "imports"


def _touch(first: Origin, second: Origin) -> bool:
    return (
        first.file == second.file
        and (first.line, first.column) <= (second.end_line, second.end_column)
        and (second.line, second.column) <= (first.end_line, first.end_column)
    )


def _one_for_each_cause(faults: list[Diagnostic]) -> list[Diagnostic]:
    """Join what is said of one parameter at each place where it is used."""
    by_cause: dict[tuple[str, str, Origin], list[Diagnostic]] = {}
    for fault in faults:
        place = replace(fault.origin, path=()) if fault.labels else fault.origin
        by_cause.setdefault((fault.code, fault.message, place), []).append(fault)
    return [
        replace(
            same[0],
            labels=tuple(
                sorted(
                    dict.fromkeys(label for fault in same for label in fault.labels),
                    key=lambda label: (label.origin.line, label.origin.column),
                )
            ),
        )
        for same in by_cause.values()
    ]


def _inconsistency(document: Document, refusal: msgspec.ValidationError) -> Diagnostic:
    return Diagnostic(
        code="SP900",
        message=f"internal inconsistency: the schema accepts what the model refuses: {refusal}",
        origin=Origin(file=document.sources[0].name),
        hint="please report this, with the spec",
    )
