"""Spec -> Plan. Reads headers of data files, and imports nothing that a spec names."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from specplan.components.component import Component
from specplan.plan.analyse import analyse
from specplan.plan.canonical import canonical, pointer_to
from specplan.plan.model import (
    Call,
    Checkpoints,
    Compiled,
    Experiment,
    Graph,
    Numerics,
    Plan,
    Results,
    Surroundings,
)
from specplan.plan.passes.components import TorchUse, as_plan
from specplan.plan.passes.context import READ_ONLY, CodeUse
from specplan.plan.passes.own_component import UsersOwn
from specplan.plan.reads import measured_parts
from specplan.spec.composition import NOTHING_ADDED, Composition
from specplan.spec.load import from_mapping, load
from specplan.spec.model import to_value

if TYPE_CHECKING:
    import os
    from collections.abc import Collection, Iterable, Mapping

    from numpy.typing import NDArray

    from specplan.plan.model import Phase
    from specplan.plan.passes.context import Context
    from specplan.plan.passes.phase import Parts
    from specplan.plan.passes.schedule import Schedule
    from specplan.spec.diagnostics import Origin, Path
    from specplan.spec.document import Document
    from specplan.spec.model import Spec


def compile_path(
    path: str | os.PathLike[str],
    composition: Composition = NOTHING_ADDED,
    *,
    check_data: bool = False,
    strict: bool = False,
    code: CodeUse = READ_ONLY,
) -> Compiled:
    """Compile a JSON or YAML file, with what is laid over and under it; `strict` makes warnings errors.

    With `check_data` the rows of large files are looked at as well.

    Raises:
        SpecError: with everything that is wrong, in the order of the text.
    """
    document = load(path, composition)
    return compile_document(document, check_data=check_data, strict=strict, code=code)


def compile_mapping(
    mapping: Mapping[str, Any],
    *,
    folder: str | os.PathLike[str] | None = None,
    composition: Composition = NOTHING_ADDED,
    tables: Mapping[str, Mapping[str, NDArray[Any]]] | None = None,
    live: Mapping[str, Any] | None = None,
    fitted: Collection[str] | None = None,
    strict: bool = False,
    check_data: bool = False,
) -> Compiled:
    """Compile a spec that a Python program holds.

    Args:
        folder: where relative paths in the spec start; by default the current folder.
        composition: what is laid over and under the spec.
        tables: columns of `memory` sources, by the name under which the spec calls them.
        live: objects of the program, by the name under which the spec calls them: `live:NAME`.
        fitted: nodes that are fitted before the first phase, in the state that the plan will go on
            from; None where it starts from fresh nodes.
        strict: whether warnings are errors.
        check_data: look at the rows of large files as well.

    Raises:
        SpecError: with everything that is wrong.
    """
    document = from_mapping(mapping, folder=folder, composition=composition)
    return compile_document(
        document, tables=tables, live=live, fitted=fitted, strict=strict, check_data=check_data
    )


def compile_document(
    document: Document,
    *,
    tables: Mapping[str, Mapping[str, NDArray[Any]]] | None = None,
    live: Mapping[str, Any] | None = None,
    fitted: Collection[str] | None = None,
    check_data: bool = False,
    strict: bool = False,
    code: CodeUse = READ_ONLY,
) -> Compiled:
    """Compile a document. Raises SpecError with everything that is wrong, in the order of the text."""
    analysis = analyse(
        document,
        tables=tables,
        live=live,
        fitted=fitted,
        check_data=check_data,
        strict=strict,
        code=code,
    )
    context = analysis.context
    return Compiled(
        plan=_plan(context.spec, analysis.parts, analysis.schedule),
        folder=document.folder,
        tables=tables or {},
        live=live or {},
        warnings=analysis.warnings,
        origins=_origins(context, analysis.schedule),
        spec=to_value(context.spec),
        looked_at=analysis.looked_at,
        document=document,
    )


def _surroundings(spec: Spec, phases: Iterable[Phase]) -> Surroundings:
    found = Surroundings(dirty_git=spec.run.dirty_git, pre_experiment=spec.code.pre_experiment)
    if found.pre_experiment is None and not any(isinstance(phase, Call) for phase in phases):
        return found  # components of the user's say themselves where they are
    return msgspec.structs.replace(found, pythonpath=spec.code.pythonpath)


def _origins(context: Context, schedule: Schedule) -> dict[str, Origin]:
    spec = context.spec
    origins: dict[str, Origin] = {}
    for label, feature_set in spec.data.items():
        place: Path = ("data", label)
        origins[pointer_to("data", label)] = context.origin(place)
        origins[pointer_to("data", label, "source")] = context.origin((*place, "source"))
        if feature_set.splits is not None:
            origins[pointer_to("data", label, "splitter")] = context.origin((*place, "splits"))
        for index in range(len(feature_set.scale)):
            pointer = pointer_to("data", label, "scale", str(index))
            origins[pointer] = context.origin((*place, "scale", index))
        for domain in ("features", "targets", "tags"):
            for index, name in enumerate(getattr(feature_set, domain)):
                pointer = pointer_to("data", label, "columns", name)
                origins[pointer] = context.origin((*place, domain, index))
    for label in spec.graph.nodes:
        origins[f"/graph/nodes/{label}"] = context.origin(("graph", "nodes", label))
    for label, folds in schedule.folds.items():
        for path in folds:
            place = schedule.fold_places[path.rpartition(".")[0]]
            origins[pointer_to("data", label, "folds", path)] = context.origin(place)
    for index, written in enumerate(schedule.places):
        origins[f"/phases/{index}"] = context.origin(written)
    return origins | _origins_of_objectives(context, schedule)


def _origins_of_objectives(context: Context, schedule: Schedule) -> dict[str, Origin]:
    origins: dict[str, Origin] = {}
    for around, part in measured_parts(schedule.phases):
        for position, loss in enumerate(part.losses):
            origins[f"{around}/losses/{position}"] = context.origin(("losses", loss.label))
        for position, metric in enumerate(part.metrics):
            origins[f"{around}/metrics/{position}"] = context.origin(("metrics", metric.label))
    return origins


def _plan(spec: Spec, parts: Parts, schedule: Schedule) -> Plan:
    optimizer = parts.resolved.get(("graph", "optimizer"))
    plan = Plan(
        id="",
        experiment=Experiment(**msgspec.structs.asdict(spec.experiment)),
        numerics=Numerics(
            seed=spec.run.seed,
            threads=spec.run.threads,
            deterministic=spec.run.deterministic,
            device=spec.run.device,
        ),
        data={
            label: msgspec.structs.replace(known.data, folds=schedule.folds[label])
            for label, known in parts.data.items()
            if known.data is not None
        },
        graph=Graph(
            nodes=parts.wired.nodes,
            order=parts.wired.order,
            optimizer=as_plan(optimizer)
            if isinstance(optimizer, Component | TorchUse | UsersOwn)
            else None,
        ),
        phases=schedule.phases,
        results=Results(**msgspec.structs.asdict(spec.results)),
        checkpoint=None
        if spec.checkpoint is None
        else Checkpoints(**msgspec.structs.asdict(spec.checkpoint)),
        code=_surroundings(spec, schedule.phases),
    )
    return canonical(plan)
