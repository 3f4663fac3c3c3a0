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
from specplan.spec.wording import did_you_mean, quoted

if TYPE_CHECKING:
    from specplan.components import Kind
    from specplan.models.sklearn.table import Estimator
    from specplan.plan.passes.context import Context
    from specplan.spec.diagnostics import Path
    from specplan.spec.model import ComponentSpec


class SklearnModel(msgspec.Struct, frozen=True, kw_only=True):
    """A scikit-learn estimator with the arguments that the spec gives it, in the form of a plan."""

    use: str
    estimator: Estimator
    given: dict[str, Any]


Resolved = dict["Path", Component | SklearnModel | UsersOwn]
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
) -> Component | SklearnModel | UsersOwn | None:
    if is_sklearn(written):
        return _estimator(context, written, path)
    use: str = written["use"]
    if use in COMPONENTS[kind]:
        return _builtin(context, kind, written, path)
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


def as_plan(component: Component | UsersOwn) -> PlanComponent:
    """A component as the plan writes it."""
    if isinstance(component, OwnCode | LiveObject):
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
