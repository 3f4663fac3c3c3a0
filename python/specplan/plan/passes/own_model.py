"""The shape that a model of the user gives: said in the spec, or seen when the model was run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from specplan.code.probe import Failed, Gave, Job, Prober, remembered
from specplan.plan.passes.own_code import to_run
from specplan.plan.passes.own_component import FILLED, OwnCode
from specplan.plan.shapes import show

if TYPE_CHECKING:
    from specplan.plan.model import Component, Shape
    from specplan.plan.passes.context import Context

_INPUT, _OUTPUT = FILLED


class OwnModel(msgspec.Struct, frozen=True):
    """A model whose shape is known; how many parameters it has only where it was run."""

    component: Component
    shape: Shape
    parameters: int | None


def own_model(
    context: Context, label: str, model: OwnCode, input_shape: Shape, target: Shape | None
) -> OwnModel | None:
    """The model with its shapes filled in; None where a fault was reported.

    `target` is the shape that a model which asks for `output_shape` has when nothing else is said.
    """
    path = ("graph", "nodes", label)
    beside = context.spec.graph.nodes[label].output_shape
    if beside is not None and _OUTPUT in model.given:
        message = f"{label}: `output_shape` is said twice, by the node and by its model"
        context.error("SP409", message, (*path, "output_shape"), hint="remove one of the two")
        return None
    args = dict(model.component.args)
    asks = _OUTPUT in model.signature.parameters
    said = beside or _shape(args.get(_OUTPUT)) or (target if asks else None)
    if asks and said is None and model.signature.parameters[_OUTPUT].required:
        message = f"{label} needs `output_shape` or a `target` that it can have the shape of"
        context.error("SP605", message, (*path, "model"), hint="such as `output_shape: [1]`")
        return None
    if asks and said is not None and _OUTPUT not in model.given:
        args[_OUTPUT] = list(said)
    if _INPUT in model.signature.parameters and args.get(_INPUT) is None:
        args[_INPUT] = list(input_shape)
    component = msgspec.structs.replace(model.component, args=args)
    gave = _gave(context, model, component, input_shape, needed=said is None)
    place = (*path, "model", "use")
    if isinstance(gave, Failed):
        context.error(gave.code, gave.message, place)
        return None
    shape = said if gave is None else gave.shape
    if shape is None:
        message = (
            f"{label}: the shape that `{model.signature.name}` gives is known only by running it"
        )
        hint = f"say `output_shape: {list(target or (1,))}` beside `model`, or use --check-imports"
        context.error("SP605", message, place, hint=hint)
        return None
    if said is not None and shape != said:
        message = (
            f"{label}: `{model.signature.name}` gives rows of shape {show(shape)}, not {show(said)}"
        )
        context.error("SP604", message, (*path, "output_shape") if beside else place)
        return None
    return OwnModel(component, shape, None if gave is None else gave.parameters)


def _gave(
    context: Context, model: OwnCode, component: Component, input_shape: Shape, *, needed: bool
) -> Gave | Failed | None:
    model = msgspec.structs.replace(model, component=component)
    job = Job(**to_run(context, model), input_shape=input_shape)
    known = remembered(job)
    runs = context.code.imports == "always" or (context.code.imports == "needed" and needed)
    if known is not None or not runs:
        return known
    context.prober = context.prober or Prober()
    return context.prober.probe(job)


def _shape(value: Any) -> Shape | None:
    """An argument `output_shape` as a shape, where it is one."""
    sizes = [value] if isinstance(value, int) else value
    if not isinstance(sizes, list) or not all(isinstance(size, int) for size in sizes):
        return None
    return tuple(sizes) if all(size > 0 for size in sizes) else None
