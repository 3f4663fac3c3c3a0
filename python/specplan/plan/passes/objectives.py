"""Pass: losses and metrics, what they read, and that it can be compared element by element."""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING, Literal

import msgspec

from specplan.components.component import Component
from specplan.components.loss import BinaryCrossEntropyWithLogits, CrossEntropy, TripletMargin
from specplan.components.metric import OfClasses, OfLogits
from specplan.components.sampler import ANCHOR, DEFAULT_ROLE
from specplan.plan.dtypes import is_class, is_float
from specplan.plan.model import Argument, Objective
from specplan.plan.passes.components import TorchUse, as_plan
from specplan.plan.passes.own_component import LiveObject, OwnCode, UsersOwn
from specplan.plan.shapes import show
from specplan.spec.wording import did_you_mean, quoted

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from specplan.plan.model import Column, Shape
    from specplan.plan.passes.components import Resolved
    from specplan.plan.passes.context import Context
    from specplan.plan.passes.data import FeatureSet
    from specplan.plan.passes.graph import Wired
    from specplan.spec.diagnostics import Path
    from specplan.spec.model import LossSpec, MetricSpec

Field = Literal["outputs", "targets", "column"]
_PARTNERS = ("positive", "negative")
_FIELDS: tuple[Field, ...] = ("outputs", "targets")
_CLASS_DTYPE = "int64"
_METRIC_DTYPE = "float64"


class Objectives(msgspec.Struct, frozen=True, kw_only=True):
    """Every loss and metric by label; None for a faulty one.

    Attributes:
        reads: the nodes that an objective reads, by (section, label), as far as they are known.
        outputs: those of them whose outputs it reads, through which gradients can flow.
    """

    losses: dict[str, Objective | None]
    metrics: dict[str, Objective | None]
    reads: dict[tuple[str, str], tuple[str, ...]]
    outputs: dict[tuple[str, str], tuple[str, ...]]


class Chosen(msgspec.Struct, frozen=True, kw_only=True):
    """The losses, or the metrics, that a phase names.

    Attributes:
        objectives: those that are free of faults.
        labels: all that are defined.
        reads: the nodes that they read; outputs: those of which they read the outputs.
        complete: whether each name gave an objective.
    """

    objectives: tuple[Objective, ...] = ()
    labels: tuple[str, ...] = ()
    reads: frozenset[str] = frozenset()
    outputs: frozenset[str] = frozenset()
    complete: bool = True

    @property
    def carriers(self) -> set[str]:
        """The nodes whose outputs and targets are recorded because of these objectives."""
        return {objective.node for objective in self.objectives}


class _Value(msgspec.Struct, frozen=True):
    """One argument as the graph gives it."""

    node: str
    field: Field
    backend: str
    dtype: str
    shape: Shape
    column: str = ""


def check(
    context: Context, resolved: Resolved, wired: Wired, data: Mapping[str, FeatureSet]
) -> Objectives:
    """Check every loss and metric of the spec."""
    losses: dict[str, Objective | None] = {}
    metrics: dict[str, Objective | None] = {}
    reads: dict[tuple[str, str], tuple[str, ...]] = {}
    outputs: dict[tuple[str, str], tuple[str, ...]] = {}
    for label, loss in context.spec.losses.items():
        checker = _Checker(context, resolved, (wired, data), "losses", label, loss)
        losses[label] = checker.objective(loss.weight)
        reads["losses", label] = checker.nodes
        outputs["losses", label] = checker.outputs
    for label, metric in context.spec.metrics.items():
        checker = _Checker(context, resolved, (wired, data), "metrics", label, metric)
        metrics[label] = checker.objective(1.0)
        reads["metrics", label] = checker.nodes
        outputs["metrics", label] = checker.outputs
    return Objectives(losses=losses, metrics=metrics, reads=reads, outputs=outputs)


class _Checker:
    """Checks one objective."""

    def __init__(
        self,
        context: Context,
        resolved: Resolved,
        known: tuple[Wired, Mapping[str, FeatureSet]],
        section: Literal["losses", "metrics"],
        label: str,
        spec: LossSpec | MetricSpec,
    ) -> None:
        self.context = context
        self.wired, self.data = known
        self.label = label
        self.spec = spec
        self.path: Path = (section, label)
        component = resolved.get(self.path)
        self.component = (
            component if isinstance(component, Component | TorchUse | UsersOwn) else None
        )
        self.title = f"{'loss' if section == 'losses' else 'metric'} {label}"
        self.nodes: tuple[str, ...] = ()
        self.roles: tuple[str, ...] = ()
        self.outputs: tuple[str, ...] = ()

    def objective(self, weight: float) -> Objective | None:
        named = self._named()
        if named is None:
            return None
        self.nodes = tuple(
            dict.fromkeys([self.spec.node, *(node for node, field in named if field != "column")])
        )
        self.outputs = tuple(node for node, field in named if field == "outputs")
        first, *rest = (self._value(node, field) for node, field in named)
        second = rest[0] if rest else None
        targets = second if second is not None and second.field == "targets" else None
        of_torch = first is None or first.backend == "torch"
        classifies = of_torch and isinstance(self.component, CrossEntropy | OfClasses)
        if classifies and targets and not is_class(targets.dtype):
            # Which outputs it reads does not matter where there are no classes.
            assert isinstance(self.component, Component)
            self._no_classes(str(self.component.__struct_config__.tag), targets)
            return None
        if self.component is None or first is None or not self._can_judge(self.component, first):
            return None
        if not rest:
            return self._objective(weight, (_argument(first, first.dtype, first.shape),))
        second, *others = rest
        if second is None or None in others:
            return None
        arguments = self._arguments(self.component, first, second)
        for other in others:
            further = arguments and other and self._arguments(self.component, first, other)
            arguments = (*arguments, further[1]) if arguments and further else None
        return None if arguments is None else self._objective(weight, arguments)

    def _objective(self, weight: float, arguments: tuple[Argument, ...]) -> Objective | None:
        assert self.component is not None
        arguments = tuple(
            msgspec.structs.replace(argument, role=role)
            for argument, role in zip(arguments, self.roles, strict=True)
        )
        if isinstance(self.component, OwnCode) and self._fails(self.component, arguments):
            return None
        return Objective(
            label=self.label,
            component=as_plan(self.component),
            node=self.spec.node,
            arguments=arguments,
            weight=weight,
        )

    def _fails(self, own: OwnCode, arguments: tuple[Argument, ...]) -> bool:
        """Whether code of the user's gave no number when it was tried, where it may be."""
        if self.context.code.imports != "always":
            return False
        # Few specs name code, and what reads it takes long to import.
        from specplan.code.probe import Failed, Judged, Judgement, Values
        from specplan.plan.passes.own_code import answered, to_run

        backends = {label: node.backend for label, node in self.wired.nodes.items()}
        values = tuple(
            Values(
                dtype=argument.dtype,
                shape=argument.shape,
                gradient=argument.field == "outputs"
                and self.path[0] == "losses"
                and backends[argument.node] == "torch",
            )
            for argument in arguments
        )
        kind: Literal["loss", "metric"] = "loss" if self.path[0] == "losses" else "metric"
        job = Judgement(**to_run(self.context, own), kind=kind, values=values)
        title = f"{self.title}: "
        answer = answered(self.context, job, Judged, self.path, runs=True, title=title)
        return isinstance(answer, Failed)

    def _error(
        self,
        code: str,
        message: str,
        *,
        key: str = "",
        hint: str | None = None,
        also: Sequence[tuple[Path, str]] = (),
    ) -> None:
        path = (*self.path, key) if key else self.path
        self.context.error(code, f"{self.title}: {message}", path, hint=hint, also=also)

    def _size_error(self, message: str, value: _Value, hint: str | None) -> None:
        """Of outputs with a shape that the spec gives: the shape is wrong, once for all that compare it."""
        path: Path = ("graph", "nodes", value.node, "model", "output_shape")
        model = self.context.spec.graph.nodes[value.node].model
        if hint is None or value.field != "outputs" or "output_shape" not in (model or {}):
            self._error("SP651", message, hint=hint)
        elif not self.context.reported(path):
            also = [(self.path, "compared here")]
            self.context.error("SP651", f"{self.title}: {message}", path, hint=hint, also=also)

    def _named(self) -> list[tuple[str, Field]] | None:
        nodes = self.context.spec.graph.nodes
        if self.context.lost(("graph", "nodes", self.spec.node)):
            return None
        if self.spec.node not in nodes:
            message = f"there is no node `{self.spec.node}`; known: {quoted(nodes) or 'none'}"
            hint = did_you_mean(self.spec.node, nodes)
            self._error("SP301", message, key="node", hint=hint)
            return None
        if not self._check_count():
            return None
        named: list[tuple[str, Field]] = []
        roles: list[str] = []
        for index, text in enumerate(self.spec.args):
            node, written, role = _parsed(text)
            field = next((field for field in _FIELDS if field == written), None)
            if field is None and self._column(text) is not None:
                named.append((text, "column"))
                roles.append(DEFAULT_ROLE)
                continue
            if node and self.context.lost(("graph", "nodes", node)):
                return None
            if field is None or (node and node not in nodes):
                message = (
                    f"{self.title}: `{text}` is not an argument; "
                    "known: `outputs`, `targets` and `Node.outputs`, `Node.targets` of another node"
                )
                hint = (
                    did_you_mean(written, _FIELDS) if field is None else did_you_mean(node, nodes)
                )
                if text in (ANCHOR, *_PARTNERS):
                    hint = f"a role is written behind what is read: `outputs.{text}`"
                self.context.error("SP301", message, (*self.path, "args", index), hint=hint)
                return None
            named.append((node or self.spec.node, field))
            roles.append(role)
        self.roles = tuple(roles)
        if len(set(zip(named, roles, strict=True))) < len(named):
            self._error(
                "SP657", f"compares the {named[0][1]} of {named[0][0]} with themselves", key="args"
            )
            return None
        if self.path[0] == "losses" and all(field == "targets" for _, field in named):
            self._error(
                "SP657", "reads targets only; a loss judges the outputs of a node", key="args"
            )
            return None
        return named

    def _check_count(self) -> bool:
        """Whether there are as many arguments as the objective takes, where that is known."""
        count = len(self.spec.args)
        match self.component:
            case OwnCode() | LiveObject():
                takes, right = "at least one value", count >= 1
            case TripletMargin():
                takes, right = "the outputs of three roles", count == 3
            case TorchUse() as loss if loss.declared.reads != ("input", "target"):
                takes, right = quoted(loss.declared.reads), count == len(loss.declared.reads)
            case _:
                takes, right = "outputs and targets", count == 2
        if not right:
            self._error("SP657", f"`args` has length {count}, it takes {takes}", key="args")
        return right

    def _column(self, text: str) -> Column | None:
        """The column of a FeatureSet that an argument names."""
        owner, _, name = text.partition(".")
        return self.data[owner].columns.get(name) if owner in self.data else None

    def _value(self, label: str, field: Field) -> _Value | None:
        if field == "column":
            column = self._column(label)
            assert column is not None
            return _Value(self.spec.node, field, "data", column.dtype, column.shape, label)
        lost = self.context.lost(("graph", "nodes", label, "target"))
        target = self.context.spec.graph.nodes[label].target
        if self.context.reported(("graph", "nodes", label, "model")):
            lost = True
        if field == "targets" and target is None and not lost:
            message = f"reads the targets of {label}, which has none"
            hint = f"give {label} a `target: FeatureSet.column`"
            key = "node" if label == self.spec.node else "args"
            also = [(("graph", "nodes", label), "the node")]
            self._error("SP657", message, key=key, hint=hint, also=also)
            return None
        if field == "outputs":
            known = self.wired.outputs.get(label)
            return _Value(label, field, known.backend, known.dtype, known.shape) if known else None
        node = self.wired.nodes.get(label)
        if node is None or node.target is None:
            return None
        return _Value(label, field, "data", node.target.dtype, node.target.shape)

    def _can_judge(self, component: Component | TorchUse | UsersOwn, first: _Value) -> bool:
        """Whether the first argument is one that the component reads, whatever the second is."""
        of_one = isinstance(component, BinaryCrossEntropyWithLogits | OfLogits)
        logits = of_one or isinstance(component, CrossEntropy)
        if not logits and not (isinstance(component, OfClasses) and is_float(first.dtype)):
            return True
        assert isinstance(component, Component)
        name = component.__struct_config__.tag
        if first.field == "targets":
            message = f"{name} reads outputs, then targets; the first of `args` are targets"
            self._error("SP654", message, key="args", hint="write `args: [outputs, targets]`")
            return False
        if first.backend == "sklearn" or not is_float(first.dtype):
            message = f"{name} reads the logits of a torch node, {first.node} is scikit-learn's"
            if not is_float(first.dtype):
                message = f"{name} reads logits, {first.node} gives {first.dtype} labels"
            self._error("SP654", message)
            return False
        classes = first.shape[0] if first.shape else 0
        if classes < 2 and not of_one:
            message = (
                f"{name} needs outputs (B, classes, ...) of at least 2 classes, "
                f"not {_described(first)}"
            )
            hint = f"give {first.node} `output_shape: [n]` for n classes"
            self._size_error(message, first, hint)
            return False
        return True

    def _arguments(
        self, component: Component | TorchUse | UsersOwn, first: _Value, second: _Value
    ) -> tuple[Argument, ...] | None:
        match component:
            case LiveObject() | OwnCode() if prod(first.shape) != prod(second.shape):
                return self._as_they_are(first, second)
            case TorchUse() if component.declared.targets == "classes" and is_class(second.dtype):
                return (
                    _argument(first, first.dtype, first.shape),
                    _argument(second, _CLASS_DTYPE, second.shape),
                )
            case TorchUse() if prod(first.shape) != prod(second.shape):
                return self._as_they_are(first, second)
            case CrossEntropy():
                return self._logits(first, second, "cross_entropy")
            case OfClasses():
                return self._classes(str(component.__struct_config__.tag), first, second)
        if prod(first.shape) != prod(second.shape):
            message = f"{_described(first)} and {_described(second)} differ in size"
            for_classes = is_class(second.dtype) and prod(second.shape) == 1
            hint = self._size_hint(first, second)
            if for_classes:
                self._error("SP651", message, key="use", hint=hint)
            else:
                self._size_error(message, first, hint)
            return None
        dtype = _METRIC_DTYPE if self.path[0] == "metrics" else self._loss_dtype(first, second)
        return (
            _argument(first, dtype, first.shape),
            _argument(second, dtype, first.shape),
        )

    def _as_they_are(self, first: _Value, second: _Value) -> tuple[Argument, ...]:
        """Values of different sizes, which only the user's own code can compare: classes stay classes."""
        dtype = _METRIC_DTYPE if self.path[0] == "metrics" else self._loss_dtype(first, second)
        return tuple(
            _argument(value, _CLASS_DTYPE if is_class(value.dtype) else dtype, value.shape)
            for value in (first, second)
        )

    def _loss_dtype(self, first: _Value, second: _Value) -> str:
        """That of the outputs, which decides in which precision the gradient is computed."""
        outputs = next((value for value in (first, second) if value.field == "outputs"), first)
        return outputs.dtype if is_float(outputs.dtype) else _METRIC_DTYPE

    def _size_hint(self, first: _Value, second: _Value) -> str | None:
        if first.field != "outputs" or second.field != "targets":
            return None
        if first.backend != "torch":
            return None
        if is_class(second.dtype) and prod(second.shape) == 1:
            name = "cross_entropy" if self.path[0] == "losses" else "accuracy"
            return f"for classes use {name}"
        return f"give {first.node} `output_shape: {list(second.shape or (1,))}`"

    def _logits(self, first: _Value, second: _Value, name: str) -> tuple[Argument, ...] | None:
        if not is_class(second.dtype):
            self._no_classes(name, second)
            return None
        if prod(second.shape) != prod(first.shape[1:]):
            message = (
                f"{name} needs outputs (B, classes, ...) and targets (B, ...), "
                f"not {_described(first)} and {_described(second)}"
            )
            self._error("SP651", message)
            return None
        return (
            _argument(first, first.dtype, first.shape),
            _argument(second, _CLASS_DTYPE, first.shape[1:]),
        )

    def _no_classes(self, name: str, second: _Value) -> None:
        message = f"{name} needs integer class targets, {_typed(second)}"
        amounts = (
            "`mse`, `l1` and `huber`" if self.path[0] == "losses" else "`rmse`, `mae` and `r2`"
        )
        self._error("SP652", message, key="use", hint=f"{amounts} compare amounts")

    def _classes(self, name: str, first: _Value, second: _Value) -> tuple[Argument, ...] | None:
        if is_float(first.dtype):
            return self._logits(first, second, name)
        if not is_class(second.dtype):
            self._no_classes(name, second)
            return None
        if prod(first.shape) != prod(second.shape):
            message = f"{_described(first)} and {_described(second)} differ in size"
            self._error("SP651", message)
            return None
        return (
            _argument(first, _CLASS_DTYPE, first.shape),
            _argument(second, _CLASS_DTYPE, first.shape),
        )


def _parsed(text: str) -> tuple[str, str, str]:
    """Node, field and role of an argument: `outputs`, `Node.outputs`, `outputs.role`, `Node.outputs.role`."""
    parts = text.split(".")
    if len(parts) > 1 and parts[-1] not in _FIELDS and parts[-2] in _FIELDS:
        return ".".join(parts[:-2]), parts[-2], parts[-1]
    return ".".join(parts[:-1]), parts[-1], DEFAULT_ROLE


def _argument(value: _Value, dtype: str, shape: Shape) -> Argument:
    return Argument(
        node=value.node, field=value.field, column=value.column, dtype=dtype, shape=shape
    )


def _described(value: _Value) -> str:
    return f"{value.field} {show(value.shape, batch=True)}"


def _typed(value: _Value) -> str:
    return f"the {value.field} of {value.node} are {value.dtype}"
