"""Components that are objects of the program that compiles: what they are, and what models among them give."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from specplan.code.fingerprint import digest_of, type_of
from specplan.code.probe import Failed
from specplan.code.signature import called
from specplan.components.reference import COLUMNS, live_name
from specplan.models.torch.wrapper import TorchModelWrapper, is_module, is_module_class
from specplan.plan.model import Component, Live
from specplan.plan.passes.own_component import LiveObject, is_estimator
from specplan.plan.passes.own_model import OwnModel
from specplan.plan.shapes import show
from specplan.spec.wording import did_you_mean, quoted, with_article

if TYPE_CHECKING:
    from collections.abc import Mapping

    from specplan.components import Kind
    from specplan.plan.model import Shape
    from specplan.plan.passes.context import Context
    from specplan.spec.diagnostics import Path
    from specplan.spec.model import ComponentSpec


def resolve_live(
    context: Context, kind: Kind, written: ComponentSpec, path: Path
) -> LiveObject | None:
    """The object that `use: live:NAME` names; None where a fault was reported."""
    use: str = written["use"]
    name = live_name(use)
    assert name is not None, use
    if name not in context.live:
        message = f"`{use}` is an object of a Python program, and none is bound to that name"
        hint = did_you_mean(name, context.live)
        hint = hint or "name code that every program finds, `module:Class` or `./file.py:Class`"
        context.error("SP407", message, (*path, "use"), hint=hint)
        return None
    read = {key: written[key] for key in (COLUMNS,) if kind == "sampler" and key in written}
    extra = [key for key in written if key not in ("use", *read)]
    if extra:
        message = f"`{use}` takes no argument {quoted(extra)}: the object is made already"
        context.error("SP403", message, (*path, extra[0]), key=True)
        return None
    value = context.live[name]
    wanted = _refused(kind, value)
    if wanted is not None:
        message = f"`{use}` is {type_of(value)}; {wanted}"
        context.error("SP406", message, (*path, "use"), hint=_INSTEAD[kind])
        return None
    return LiveObject(value=value, component=Component(use=use, args=read, live=fingerprint(value)))


def fingerprint(value: Any) -> Live:
    """What the plan says of an object."""
    if is_module(value) or isinstance(value, TorchModelWrapper):
        from specplan.models.torch.live import fingerprint as of_module

        return Live(type=_type_of_model(value), digest=of_module(value))
    return Live(type=type_of(value), digest=digest_of(value))


def live_model(
    context: Context, label: str, model: LiveObject, input_shape: Shape, target: Shape | None
) -> tuple[OwnModel, str] | None:
    """The model with the shape that it was seen to give, and its item type; None where a fault was reported.

    `target` is the shape that a class which asks for the shape of an output row is given.
    """
    from specplan.models.torch.live import probed

    said = context.spec.graph.nodes[label].output_shape
    place = ("graph", "nodes", label, "model", "use")
    answer = probed(model.value, input_shape, said or target)
    if isinstance(answer, Failed):
        context.error(answer.code, f"{label}: {answer.message}", place)
        return None
    gave, dtype = answer
    if said is not None and said != gave.shape:
        message = f"{label}: the model gives rows of shape {show(gave.shape)}, not {show(said)}"
        context.error("SP604", message, ("graph", "nodes", label, "output_shape"))
        return None
    asked = isinstance(model.value, TorchModelWrapper) and model.value.inject_output_shape_as
    if asked and gave.shape != (said or target):
        message = f"{label}: the model gives rows of shape {show(gave.shape)}, whatever it is told"
        hint = "say `output_shape` beside `model`" if (said or target) is None else None
        context.error("SP604", message, place, hint=hint)
        return None
    return OwnModel(model.component, gave.shape, gave.parameters), dtype


_INSTEAD: Mapping[Kind, str] = {
    "model": "bind the module itself, as `Net()`, or its class",
    "loss": "bind a function of outputs and targets, or a class of torch's losses",
    "metric": "bind a function of outputs and targets",
    "optimizer": "bind a class of torch's optimizers, or a function of the parameters",
    "callback": "derive its class from specplan.Callback, and bind an instance",
    "sampler": "bind a function `(rows, epoch, generator)`",
    "scaler": "`fit_transform` of a FeatureSet applies an object of a program itself",
    "split": "`add_split` of a FeatureSet takes any rows that a program chooses",
    "merge": "put it into a file, and name it `./FILE.py:NAME`",
}
"""What to do with an object that is refused as a component of a kind."""

_CALLBACK = "specplan.run.callback:Callback"
"""The base of callbacks, which only a run may import."""


def _type_of_model(value: Any) -> str:
    if isinstance(value, TorchModelWrapper):
        return type_of(value.model if value.model_class is None else value.model_class)
    return type_of(value)


def _refused(kind: Kind, value: Any) -> str | None:
    """What an object of a kind is, where `value` is not one."""
    match kind:
        case "model":
            modules = is_module(value) or is_module_class(value)
            right = modules or isinstance(value, TorchModelWrapper) or is_estimator(value)
            return None if right else "a model is a torch module, a class of such or an estimator"
        case "loss" | "metric" | "optimizer":
            return None if callable(value) else f"what makes or is a {kind} can be called"
        case "callback":
            right = any(
                f"{each.__module__}:{each.__name__}" == _CALLBACK for each in type(value).__mro__
            )
            return None if right else "a callback is an instance of specplan.Callback"
        case "sampler":
            right = callable(value)
            return None if right else "a sampler is called with rows, epoch and generator"
        case "scaler" | "split" | "merge":
            return f"{with_article(called(kind))} is built in, or code that a spec names by its file or module"
    return None
