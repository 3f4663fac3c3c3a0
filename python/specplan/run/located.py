"""Faults of the data with the place in the spec that they concern."""

from __future__ import annotations

from typing import TYPE_CHECKING

from specplan.errors import DataError
from specplan.plan.canonical import pointer_to
from specplan.plan.reads import measured_parts
from specplan.spec.diagnostics import Diagnostic, Origin

if TYPE_CHECKING:
    from typing import Literal

    from specplan.components import Kind
    from specplan.plan.model import Compiled

UNKNOWN = Origin(file=None, path=("(plan)",))


def located(error: DataError, compiled: Compiled) -> DataError:
    """The error with its place in the spec; as it is where the place is not known."""
    origin = _origin(error.pointer, compiled)
    if error.code is None or origin is None:
        return error
    diagnostic = Diagnostic(code=error.code, message=error.message, origin=origin, hint=error.hint)
    return DataError(
        error.message,
        code=error.code,
        pointer=error.pointer,
        column=error.column,
        hint=error.hint,
        diagnostic=diagnostic,
    )


def warning(
    code: str, message: str, pointer: str, compiled: Compiled, *, hint: str | None = None
) -> Diagnostic:
    """A warning that concerns the part of the plan at `pointer`."""
    severity: Literal["warning"] = "warning"
    origin = _origin(pointer, compiled) or UNKNOWN
    return Diagnostic(code=code, message=message, origin=origin, severity=severity, hint=hint)


def written_at(compiled: Compiled) -> dict[tuple[Kind, str], str]:
    """Where the spec has models, merges, splitters, losses and metrics, by kind and label, as far as a file is known."""
    places: dict[tuple[Kind, str], Origin | None] = {
        ("model", label): compiled.origins.get(f"/graph/nodes/{label}")
        for label in compiled.plan.graph.nodes
    }
    for label in compiled.plan.graph.nodes:
        places["merge", label] = places["model", label]
    for label in compiled.plan.data:
        places["split", label] = compiled.origins.get(pointer_to("data", label, "splitter"))
    for index, phase in enumerate(compiled.plan.phases):
        places["sampler", phase.path] = compiled.origins.get(f"/phases/{index}")
    for pointer, part in measured_parts(compiled.plan.phases):
        for index, loss in enumerate(part.losses):
            places["loss", loss.label] = compiled.origins.get(f"{pointer}/losses/{index}")
        for index, metric in enumerate(part.metrics):
            places["metric", metric.label] = compiled.origins.get(f"{pointer}/metrics/{index}")
    return {key: str(place) for key, place in places.items() if place is not None and place.file}


def _origin(pointer: str | None, compiled: Compiled) -> Origin | None:
    """The place of the nearest part of the plan around `pointer` that has one."""
    while pointer:
        if pointer in compiled.origins:
            return compiled.origins[pointer]
        pointer = pointer.rpartition("/")[0]
    return None
