"""The shape that a model or merge of the user gives: said in the spec, or seen when it was run."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, Literal

import msgspec

from specplan.code.batches import packed
from specplan.code.probe import Failed, Gave, Job
from specplan.code.signature import FILLED
from specplan.plan.passes.own_code import answered, to_run
from specplan.plan.shapes import show

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from specplan.base.flops import ModelFlops
    from specplan.plan.model import Component, Shape
    from specplan.plan.passes.context import Context
    from specplan.plan.passes.own_component import OwnCode

_OUTPUT = "output_shape"


class OwnModel(msgspec.Struct, frozen=True):
    """A model whose shape is known; how many parameters it has, and operations, only where it was run."""

    component: Component
    shape: Shape
    parameters: int | None
    flops: ModelFlops | None = None
    uncountable: bool = False


class Input(msgspec.Struct, frozen=True):
    """What a model or merge reads: the shape of a row; and a few rows of the data, where they are known."""

    shape: Shape
    rows: NDArray[Any] | None = None


def own_model(
    context: Context,
    label: str,
    kind: Literal["model", "merge"],
    model: OwnCode,
    inputs: Sequence[Input],
    target: Shape | None,
) -> OwnModel | None:
    """The model or merge with its shapes filled in; None where a fault was reported.

    `target` is the shape that one which asks for `output_shape` has when nothing else is said.
    """
    path = ("graph", "nodes", label)
    known = len(context.diagnostics)
    said = _said(context, label, kind, model, target)
    if len(context.diagnostics) > known:
        return None
    args = dict(model.component.args)
    if _OUTPUT in model.signature.parameters and said is not None and _OUTPUT not in model.given:
        args[_OUTPUT] = list(said)
    filled = FILLED[kind][0]
    if filled in model.signature.parameters and args.get(filled) is None:
        shapes = [list(each.shape) for each in inputs]
        args[filled] = shapes[0] if kind == "model" else shapes
    component = msgspec.structs.replace(model.component, args=args)
    job = _job(context, kind, msgspec.structs.replace(model, component=component), inputs)
    always = context.code.imports == "always"
    runs = always or (context.code.imports == "needed" and said is None)
    gave = answered(
        context,
        job,
        Gave,
        (*path, kind),
        runs=runs,
        enough=partial(_is_enough, job=job, always=always),
    )
    if isinstance(gave, Failed):
        return None
    shape = said if gave is None else gave.shape
    name, place = model.signature.name, (*path, kind, "use")
    if shape is None:
        message = f"{label}: the shape that `{name}` gives is known only by running it"
        hint = f"say `output_shape: {list(target or (1,))}` beside `{kind}`, or use --check-imports"
        context.error("SP605", message, place, hint=hint)
        return None
    if said is not None and shape != said:
        beside = context.spec.graph.nodes[label].output_shape is not None
        message = f"{label}: `{name}` gives rows of shape {show(shape)}, not {show(said)}"
        context.error("SP604", message, (*path, "output_shape") if beside else place)
        return None
    if gave is None:
        return OwnModel(component, shape, None)
    return OwnModel(component, shape, gave.parameters, gave.flops, gave.uncountable)


def _said(
    context: Context,
    label: str,
    kind: Literal["model", "merge"],
    model: OwnCode,
    target: Shape | None,
) -> Shape | None:
    """The shape that the spec says; None where it says none, or where a fault was reported."""
    path = ("graph", "nodes", label)
    beside = context.spec.graph.nodes[label].output_shape
    if beside is not None and _OUTPUT in model.given:
        message = f"{label}: `output_shape` is said twice, by the node and by its {kind}"
        context.error("SP409", message, (*path, "output_shape"), hint="remove one of the two")
        return None
    asked = model.signature.parameters.get(_OUTPUT)
    said = beside or _shape(model.component.args.get(_OUTPUT))
    if asked is None or said is not None:
        return said
    if target is None and asked.required:
        message = f"{label} needs `output_shape` or a `target` that it can have the shape of"
        context.error("SP605", message, (*path, kind), hint="such as `output_shape: [1]`")
    return target


def _is_enough(known: Gave, *, job: Job, always: bool) -> bool:
    """Whether running the code anew would tell no more than what is known of it."""
    if not always:
        return True
    # What was seen with rows of the data says more than random ones could.
    return job.read in ("", known.read) and (known.flops is not None or known.uncountable)


def _job(
    context: Context, kind: Literal["model", "merge"], model: OwnCode, inputs: Sequence[Input]
) -> Job:
    rows = tuple(None if each.rows is None else packed(each.rows) for each in inputs)
    shapes = tuple(each.shape for each in inputs)
    return Job(**to_run(context, model), kind=kind, input_shapes=shapes, rows=rows)


def _shape(value: Any) -> Shape | None:
    """An argument `output_shape` as a shape, where it is one."""
    sizes = [value] if isinstance(value, int) else value
    if not isinstance(sizes, list) or not all(isinstance(size, int) for size in sizes):
        return None
    return tuple(sizes) if all(size > 0 for size in sizes) else None
