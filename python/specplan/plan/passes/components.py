"""Pass: every `use` becomes a declared component with all its arguments, or a fault."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from specplan.components import COMPONENTS
from specplan.components.component import Component
from specplan.components.optimizer import SGD, Adam, AdamW
from specplan.components.reference import live_name
from specplan.plan.model import Component as PlanComponent
from specplan.plan.passes.own_component import LiveObject, OwnCode, UsersOwn
from specplan.spec.model import components_of
from specplan.spec.suggest import closest
from specplan.spec.wording import did_you_mean, quoted, shown, with_article

if TYPE_CHECKING:
    from specplan.components import Kind
    from specplan.models.sklearn.table import Estimator
    from specplan.models.torch.table import TorchClass
    from specplan.plan.passes.context import Context
    from specplan.spec.diagnostics import Path
    from specplan.spec.model import ComponentSpec


class SklearnModel(msgspec.Struct, frozen=True, kw_only=True):
    """A scikit-learn estimator with the arguments that the spec gives it, in the form of a plan."""

    use: str
    estimator: Estimator
    given: dict[str, Any]


class TorchUse(msgspec.Struct, frozen=True, kw_only=True):
    """A loss of `torch.nn` or an optimizer of `torch.optim` that has no short name."""

    declared: TorchClass
    component: PlanComponent


_OF_TORCH = {"loss": "torch.nn:", "optimizer": "torch.optim:"}
Resolved = dict["Path", Component | SklearnModel | TorchUse | UsersOwn]
"""What each component of the spec is, by its path. A faulty one is missing."""


def resolve(context: Context) -> Resolved:
    """Look up and decode every component of the spec."""
    resolved: Resolved = {}
    for path, kind, written in components_of(context.spec):
        if context.damaged(path):
            continue
        component = _resolved(context, kind, written, path)
        if component is not None:
            resolved[path] = component
    return resolved


def _resolved(
    context: Context, kind: Kind, written: ComponentSpec, path: Path
) -> Component | SklearnModel | TorchUse | UsersOwn | None:
    if is_sklearn(written):
        return _estimator(context, written, path)
    use: str = written["use"]
    if use in COMPONENTS[kind]:
        return _builtin(context, kind, written, path)
    if kind in _OF_TORCH and use.startswith(_OF_TORCH[kind]):
        rate = written.get("lr")
        if kind == "optimizer" and isinstance(rate, int | float) and rate < 0:
            context.error("SP206", f"`lr` is {rate:g}, must be at least 0", (*path, "lr"))
            return None
        return _torch_use(context, kind, written, path)
    if use.startswith("torch.") and ":" in use:
        # Its hundreds of files are nobody's own code.
        message = f"`{use}` is not {with_article(kind)} that a spec can name"
        named = (
            f"those of torch are written `{_OF_TORCH[kind]}CLASS`" if kind in _OF_TORCH else None
        )
        own = "a module of torch is part of code of your own, such as `./nets.py:Net`"
        context.error("SP401", message, (*path, "use"), hint=named or own)
        return None
    if live_name(use) is not None:
        from specplan.plan.passes.live import resolve_live

        return resolve_live(context, kind, written, path)
    # Reading source takes modules of Python that most specs do without.
    from specplan.plan.passes.own_code import resolve_own

    return resolve_own(context, kind, written, path)


def is_sklearn(written: ComponentSpec) -> bool:
    """Whether a component is an estimator of scikit-learn."""
    name: str = written["use"]
    return name.startswith("sklearn.")


def learns_in_batches(model: object) -> bool:
    """Whether a model is an estimator with a partial_fit."""
    if isinstance(model, SklearnModel):
        return model.estimator.partial_fit
    return isinstance(model, LiveObject) and hasattr(model.value, "partial_fit")


def as_plan(component: Component | TorchUse | UsersOwn) -> PlanComponent:
    """A component as the plan writes it."""
    if isinstance(component, TorchUse | OwnCode | LiveObject):
        return component.component
    args = msgspec.to_builtins(component)
    use = args.pop("use")
    for field in msgspec.structs.fields(component):
        if field.name in component.later and getattr(component, field.name) == field.default:
            del args[field.encode_name]
    return PlanComponent(use=use, args=_lists(args))


def _builtin(context: Context, kind: Kind, written: ComponentSpec, path: Path) -> Component:
    component = msgspec.convert(written, COMPONENTS[kind][written["use"]])
    seed = getattr(component, "seed", None)
    if seed is not None and seed < 0:
        context.error("SP206", f"`seed` is {seed}, must be at least 0", (*path, "seed"))
    _check_optimizer(context, component, path)
    return component


def _check_optimizer(context: Context, component: Component, path: Path) -> None:
    """What torch would refuse although each argument by itself is right."""
    if isinstance(component, Adam | AdamW):
        for index, beta in enumerate(component.betas):
            if not 0 <= beta < 1:
                message = f"`betas` has {beta:g}, must be at least 0 and less than 1"
                context.error("SP206", message, (*path, "betas", index))
    if isinstance(component, SGD) and component.nesterov:
        if component.momentum == 0:
            context.error("SP206", "`nesterov` needs a `momentum` above 0", (*path, "nesterov"))
        elif component.dampening != 0:
            context.error("SP206", "`nesterov` needs `dampening: 0`", (*path, "dampening"))


def _torch_use(context: Context, kind: Kind, written: ComponentSpec, path: Path) -> TorchUse | None:
    from specplan.models.torch.table import LOSSES, OPTIMIZERS, torch_class

    use: str = written["use"]
    declared = torch_class(kind, use)
    if declared is None:
        known = LOSSES if kind == "loss" else OPTIMIZERS
        message = f"`{use}` is not {with_article(kind)} that a spec can name"
        hint = did_you_mean(use.partition(":")[2], known)
        context.error("SP401", message, (*path, "use"), hint=hint)
        return None
    name, known_parameters = use.partition(":")[2], declared.parameters
    args = dict(known_parameters)
    right = True
    for key, value in written.items():
        if key == "use":
            continue
        if key not in known_parameters:
            message = f"`{name}` takes no argument `{key}`; it takes {quoted(known_parameters)}"
            hint = did_you_mean(key, known_parameters)
            context.error("SP403", message, (*path, key), hint=hint, key=True)
            right = False
        elif (takes := _refused_value(known_parameters[key], value)) is not None:
            message = f"`{name}`: `{key}` must be {takes}, not {shown(value)}"
            context.error("SP202", message, (*path, key))
            right = False
        else:
            args[key] = float(value) if isinstance(args[key], float) else value
    return (
        TorchUse(declared=declared, component=PlanComponent(use=use, args=args)) if right else None
    )


def _refused_value(default: Any, value: Any) -> str | None:
    """What an argument takes, in words, where it does not take `value`: what its default is like."""
    match default:
        case bool():
            return None if isinstance(value, bool) else "`true` or `false`"
        case str():
            return None if value in ("mean", "sum") else "`mean` or `sum`"
        case int():
            return None if type(value) is int else "an integer"
        case float():
            number = isinstance(value, int | float) and not isinstance(value, bool)
            return None if number else "a number"
    right = isinstance(value, list) and len(value) == len(default)
    return None if right else f"a list of {len(default)} numbers"


def _meant_estimator(use: str) -> str | None:
    from specplan.models.sklearn import table

    by_class = {known.partition(":")[2]: known for known in table.estimators()}
    name = closest(use.replace(":", ".").rpartition(".")[2], by_class)
    return f"did you mean `{by_class[name]}`?" if name else None


def _estimator(context: Context, written: ComponentSpec, path: Path) -> SklearnModel | None:
    # The table is long, and most specs name no estimator.
    from specplan.models.sklearn import table

    use: str = written["use"]
    estimator = table.estimators().get(use)
    if estimator is None:
        message = f"`{use}` is not a scikit-learn regressor, classifier or transformer known here"
        context.error("SP401", message, (*path, "use"), hint=_meant_estimator(use))
        return None
    given: dict[str, Any] = {}
    right = True
    for name, value in written.items():
        if name == "use":
            continue
        fault = _fault(use, estimator, name, value)
        if fault is None:
            given[name] = table.as_written(estimator, name, value)
        else:
            code, message, hint = fault
            context.error(code, message, (*path, name), hint=hint, key=code == "SP403")
            right = False
    return SklearnModel(use=use, estimator=estimator, given=given) if right else None


def _fault(
    use: str, estimator: Estimator, name: str, value: Any
) -> tuple[str, str, str | None] | None:
    from specplan.models.sklearn import table

    short = use.partition(":")[2]
    if name in estimator.closed:
        return "SP403", f"{short}: `{name}` takes Python objects only, it cannot be set here", None
    if name not in estimator.parameters:
        known = quoted(estimator.parameters)
        hint = did_you_mean(name, estimator.parameters)
        return "SP403", f"{short} takes no argument `{name}`; it takes {known}", hint
    takes = table.refusal(estimator, name, value)
    if takes is not None:
        found = msgspec.json.encode(value).decode()
        return "SP202", f"{short}: `{name}` must be {takes}, not {found}", None
    return None


def _lists(value: Any) -> Any:
    """Tuples as lists, so that a plan in memory equals the one that is read back."""
    if isinstance(value, list | tuple):
        return [_lists(item) for item in value]
    if isinstance(value, dict):
        return {key: _lists(item) for key, item in value.items()}
    return value
