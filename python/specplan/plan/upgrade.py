"""Plans of older versions, and of programs whose components took fewer arguments, as they are today."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from specplan.components import COMPONENTS
from specplan.models.sklearn.table import estimators
from specplan.plan.model import PLAN_VERSION, Plan

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from specplan.components import Kind

Value = dict[str, Any]


def upgraded(value: Value) -> Value:
    """The plain value of a plan of any known version, in the form of the present one."""
    while value["plan"] != PLAN_VERSION:
        value = UPGRADES[value["plan"]](value)
    return value


def _from_1(value: Value) -> Value:
    # Version 1 wrote fields that have their default, version 2 leaves them out: both are read alike.
    return {**value, "plan": 2}


UPGRADES: Mapping[int, Callable[[Value], Value]] = {1: _from_1}
"""From a version to the next. Each is a pure function that trusts no more than that it gets a mapping."""


def completed(plan: Plan) -> Plan:
    """The plan with the arguments that its components got after it was written.

    The default of such an argument says what the component did before.
    """
    value = msgspec.to_builtins(plan)
    for kinds, component in _components(value):
        if component["code"] is not None or component["live"] is not None:
            continue
        component["args"] = {**_defaults(kinds, component["use"]), **component["args"]}
    return msgspec.convert(value, Plan)


def _components(value: Value) -> Iterator[tuple[tuple[Kind, ...], Value]]:
    for data in value["data"].values():
        if data["splitter"] is not None:
            yield ("split",), data["splitter"]
        yield from ((("scaler",), scale["component"]) for scale in data.get("scale", ()))
    for node in value["graph"]["nodes"].values():
        yield ("model", "merge"), node["component"]
    if value["graph"]["optimizer"] is not None:
        yield ("optimizer",), value["graph"]["optimizer"]
    for phase in value["phases"]:
        if phase.get("optimizer") is not None:
            yield ("optimizer",), phase["optimizer"]
        for optimizer in phase.get("optimizers", {}).values():
            yield ("optimizer",), optimizer
        if "sampler" in phase:
            yield ("sampler",), phase["sampler"]["component"]
        for owner in (phase, *phase.get("evaluations", ())):
            yield from ((("loss",), loss["component"]) for loss in owner.get("losses", ()))
            yield from ((("metric",), metric["component"]) for metric in owner.get("metrics", ()))


def _defaults(kinds: tuple[Kind, ...], use: str) -> Value:
    estimator = estimators().get(use) if ":" in use else None
    if estimator is not None:
        return dict(estimator.parameters)
    for kind in kinds:
        declared = COMPONENTS[kind].get(use)
        if declared is not None:
            return {
                field.encode_name: msgspec.to_builtins(field.default)
                for field in msgspec.structs.fields(declared)
                if field.default is not msgspec.NODEFAULT and field.name not in declared.later
            }
    return {}
