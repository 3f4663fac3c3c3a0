"""Objectives that take classes or logits for amounts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from specplan.components.loss import BinaryCrossEntropyWithLogits, CrossEntropy
from specplan.components.metric import MeanAbsoluteError, OfClasses, OfLogits
from specplan.plan.passes.components import SklearnModel, TorchUse
from specplan.plan.passes.own_component import LiveObject, OwnCode

if TYPE_CHECKING:
    from specplan.plan.passes.components import Resolved
    from specplan.plan.passes.context import Context
    from specplan.spec.diagnostics import Path

_CLASSIFYING = (CrossEntropy, OfClasses)
_OF_LOGITS = (CrossEntropy, BinaryCrossEntropyWithLogits, OfLogits)


def warn_of_classes(context: Context, resolved: Resolved) -> None:
    """Warn of differences between classes, and of differences from logits."""
    spec = context.spec
    objectives: dict[Path, Any] = {
        (section, label): item
        for section, items in (("losses", spec.losses), ("metrics", spec.metrics))
        for label, item in items.items()
        if (section, label) in resolved
    }
    classes: dict[str | tuple[str, ...], Path] = {}
    logits: dict[str, Path] = {}
    for path, objective in objectives.items():
        target = spec.graph.nodes[objective.node].target
        if isinstance(resolved[path], _CLASSIFYING) and target is not None:
            classes.setdefault(target, path)
        if isinstance(resolved[path], _OF_LOGITS):
            logits.setdefault(objective.node, path)
    for label, node in spec.graph.nodes.items():
        model = resolved.get(("graph", "nodes", label, "model"))
        if isinstance(model, SklearnModel) and model.estimator.kind == "classifier" and node.target:
            classes.setdefault(node.target, ("graph", "nodes", label))
    told: set[str] = set()
    for path, objective in objectives.items():
        component = resolved[path]
        # The mean distance between classes that have an order is a usual measure; what code of the user does
        # is not known.
        if isinstance(
            component,
            (*_CLASSIFYING, *_OF_LOGITS, MeanAbsoluteError, OwnCode, LiveObject, TorchUse),
        ):
            continue
        if objective.args != ("outputs", "targets") or objective.node in told:
            continue
        name = objective.component["use"]
        target = spec.graph.nodes[objective.node].target
        if objective.node in logits:
            message = f"{name} compares logits with targets: {objective.node} gives logits"
            reader = logits[objective.node]
            kind = "loss" if reader[0] == "losses" else "metric"
            also = [(reader, f"this {kind} reads logits")]
            told.add(objective.node)
            context.warning("SP662", message, (*path, "use"), also=also)
        elif target in classes:
            message = f"{name} takes the classes in `{target}` for amounts"
            also = [(classes[target], "reads classes")]
            hint = "`cross_entropy` and `accuracy` compare classes"
            told.add(objective.node)
            context.warning("SP661", message, (*path, "use"), hint=hint, also=also)
