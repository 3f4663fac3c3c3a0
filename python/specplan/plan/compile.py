"""Spec -> Plan. Reads headers of data files, and imports nothing that a spec names."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from specplan.components.component import Component
from specplan.errors import SpecError
from specplan.plan.canonical import canonical
from specplan.plan.mend import Mended, mend
from specplan.plan.model import Compiled, Experiment, Graph, Numerics, Plan, Results
from specplan.plan.passes import components, data, graph, objectives, schedule
from specplan.plan.passes.context import Context
from specplan.spec.composition import NOTHING_ADDED, Composition
from specplan.spec.diagnostics import in_text_order
from specplan.spec.load import from_mapping, load
from specplan.spec.model import to_value
from specplan.spec.validate import validate

if TYPE_CHECKING:
    import os
    from collections.abc import Collection, Mapping

    from numpy.typing import NDArray

    from specplan.plan.model import Phase
    from specplan.plan.passes.components import Resolved
    from specplan.plan.passes.data import FeatureSet
    from specplan.plan.passes.graph import Wired
    from specplan.spec.diagnostics import Diagnostic, Origin, Path
    from specplan.spec.document import Document
    from specplan.spec.model import Spec


def compile_path(
    path: str | os.PathLike[str], composition: Composition = NOTHING_ADDED
) -> Compiled:
    """Compile a JSON or YAML file, with what is laid over and under it.

    Raises:
        SpecError: with everything that is wrong, in the order of the text.
    """
    return compile_document(load(path, composition))


def compile_mapping(
    mapping: Mapping[str, Any],
    *,
    folder: str | os.PathLike[str] | None = None,
    composition: Composition = NOTHING_ADDED,
    tables: Mapping[str, Mapping[str, NDArray[Any]]] | None = None,
    fitted: Collection[str] = (),
) -> Compiled:
    """Compile a spec that a Python program holds.

    Args:
        folder: where relative paths in the spec start; by default the current folder.
        composition: what is laid over and under the spec.
        tables: columns of `memory` sources, by the name under which the spec calls them.
        fitted: nodes that are fitted before the first phase, in the state that the plan will go on from.

    Raises:
        SpecError: with everything that is wrong.
    """
    document = from_mapping(mapping, folder=folder, composition=composition)
    return compile_document(document, tables=tables, fitted=fitted)


def compile_document(
    document: Document,
    *,
    tables: Mapping[str, Mapping[str, NDArray[Any]]] | None = None,
    fitted: Collection[str] = (),
) -> Compiled:
    """Compile a document. Raises SpecError with everything that is wrong, in the order of the text."""
    faults: tuple[Diagnostic, ...] = ()
    try:
        mended: Mended | None = Mended(spec=validate(document))
    except SpecError as error:
        faults = error.diagnostics
        places = [fault.origin.path for fault in faults if fault not in document.slips]
        mended = None if document.is_cut else mend(document, places)
    if mended is None:
        raise SpecError(faults)
    context = Context(document=document, mended=mended, tables=tables or {}, fitted=fitted)
    resolved = components.resolve(context)
    bound = data.bind(context, resolved)
    wired = graph.wire(context, resolved, bound)
    goals = objectives.check(context, resolved, wired)
    parts = schedule.Parts(resolved=resolved, data=bound, wired=wired, objectives=goals)
    phases = schedule.schedule(context, parts)
    found = _in_order([*faults, *context.diagnostics], document)
    errors = [diagnostic for diagnostic in found if diagnostic.severity == "error"]
    if errors:
        raise SpecError(errors if faults else found)
    return Compiled(
        plan=_plan(mended.spec, resolved, bound, wired, phases),
        folder=document.folder,
        tables=tables or {},
        warnings=tuple(found),
        origins=_origins(context, phases),
        spec=to_value(mended.spec),
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


def _origins(context: Context, phases: tuple[Phase, ...]) -> dict[str, Origin]:
    spec = context.spec
    origins = {f"/data/{label}": context.origin(("data", label)) for label in spec.data}
    for label in spec.graph.nodes:
        origins[f"/graph/nodes/{label}"] = context.origin(("graph", "nodes", label))
    places = schedule.phase_places(spec)
    for index, (phase, place) in enumerate(zip(phases, places, strict=True)):
        origins[f"/phases/{index}"] = context.origin(place)
        for position, loss in enumerate(phase.losses):
            pointer = f"/phases/{index}/losses/{position}"
            origins[pointer] = context.origin(("losses", loss.label))
    return origins


def _plan(
    spec: Spec,
    resolved: Resolved,
    bound: dict[str, FeatureSet],
    wired: Wired,
    phases: tuple[Phase, ...],
) -> Plan:
    optimizer = resolved.get(("graph", "optimizer"))
    plan = Plan(
        id="",
        experiment=Experiment(**msgspec.structs.asdict(spec.experiment)),
        numerics=Numerics(
            seed=spec.run.seed, threads=spec.run.threads, deterministic=spec.run.deterministic
        ),
        data={label: known.data for label, known in bound.items() if known.data is not None},
        graph=Graph(
            nodes=wired.nodes,
            order=wired.order,
            optimizer=components.as_plan(optimizer) if isinstance(optimizer, Component) else None,
        ),
        phases=phases,
        results=Results(**msgspec.structs.asdict(spec.results)),
    )
    return canonical(plan)
