"""Document -> everything that the passes find out, which is all there is to say before a plan is written."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from specplan.errors import SpecError
from specplan.plan.mend import Mended, mend
from specplan.plan.passes import (
    calls,
    components,
    data,
    graph,
    objectives,
    oddities,
    rows,
    schedule,
)
from specplan.plan.passes.context import READ_ONLY, CodeUse, Context
from specplan.plan.passes.phase import Parts
from specplan.spec.diagnostics import Diagnostic, in_text_order
from specplan.spec.validate import validate

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from numpy.typing import NDArray

    from specplan.plan.passes.schedule import Schedule
    from specplan.spec.diagnostics import Path
    from specplan.spec.document import Document


class Analysis(msgspec.Struct, frozen=True, kw_only=True):
    """A spec without errors, and what is known of it.

    Attributes:
        warnings: what is odd but not wrong, in the order of the text.
        unread: sources that were not there, where they need not be.
        looked_at: FeatureSets of which every row was looked at.
    """

    context: Context
    parts: Parts
    schedule: Schedule
    warnings: tuple[Diagnostic, ...]
    unread: tuple[str, ...]
    looked_at: frozenset[str]


def analyse(
    document: Document,
    *,
    tables: Mapping[str, Mapping[str, NDArray[Any]]] | None = None,
    live: Mapping[str, Any] | None = None,
    fitted: Collection[str] | None = None,
    needs_data: bool = True,
    check_data: bool = False,
    strict: bool = False,
    code: CodeUse = READ_ONLY,
) -> Analysis:
    """Run every pass.

    Args:
        tables: columns of `memory` sources, by the name under which the spec calls them.
        live: objects of the program, by the name under which the spec calls them.
        fitted: nodes that are fitted before the first phase, in the state that the plan will go on
            from; None where it starts from fresh nodes.
        needs_data: whether a source that is not there is an error. Otherwise what depends on its
            header is not checked, and no row is looked at.
        check_data: look at the rows of large files as well.
        strict: whether warnings are errors.
        code: what may be done with code of the user.

    Raises:
        SpecError: with everything that is wrong, in the order of the text.
    """
    faults: tuple[Diagnostic, ...] = ()
    try:
        mended: Mended | None = Mended(spec=validate(document))
    except SpecError as error:
        faults = error.diagnostics
        structural = [fault for fault in faults if fault not in document.slips]
        mended = None if document.is_cut else mend(document, structural)
    if mended is None:
        raise SpecError(faults)
    context = Context(
        document=document,
        mended=mended,
        tables=tables or {},
        live=live,
        fitted=fitted,
        needs_data=needs_data,
        code=code,
    )
    calls.check_surroundings(context)
    resolved = components.resolve(context)
    try:
        bound = data.bind(context, resolved)
        wired = graph.wire(context, resolved, bound)
        goals = objectives.check(context, resolved, wired, bound)
        parts = Parts(resolved=resolved, data=bound, wired=wired, objectives=goals)
        scheduled = schedule.schedule(context, parts)
    finally:
        if context.prober is not None:
            context.prober.close()
    if context.spec.sweep is not None:
        # Most specs have none.
        from specplan.plan.passes import sweep

        sweep.check(context, scheduled)
    if context.right:
        oddities.warn(context, parts, scheduled)
    looked_at: frozenset[str] = frozenset()
    if needs_data:
        looked_at = rows.look(context, bound, wired.nodes, scheduled, check_data=check_data)
    found = _in_order([*faults, *context.diagnostics], document)
    if strict:
        found = [msgspec.structs.replace(item, severity="error") for item in found]
    errors = [item for item in found if item.severity == "error"]
    if errors:
        raise SpecError(errors if faults else found)
    return Analysis(
        context=context,
        parts=parts,
        schedule=scheduled,
        warnings=tuple(found),
        unread=tuple(context.unread),
        looked_at=looked_at,
    )


def _in_order(diagnostics: list[Diagnostic], document: Document) -> list[Diagnostic]:
    """By place in the text, or in the mapping where there is no text."""
    by_path = sorted(diagnostics, key=lambda item: _position(document.value, item.origin.path))
    return in_text_order(by_path, document.sources[0].name)


def _position(value: Any, path: Path) -> tuple[int, ...]:
    position: list[int] = []
    for part in path:
        if isinstance(value, dict):
            known: list[Any] = list(value)
        else:
            known = list(range(len(value))) if isinstance(value, list) else []
        if part not in known:
            break
        position.append(known.index(part))
        value = value[part]
    return tuple(position)
