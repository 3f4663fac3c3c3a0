"""Pass: references, order, shapes and item types of the graph."""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING, Literal

import msgspec

from specplan.components.loss import CrossEntropy
from specplan.components.merge import Concat
from specplan.components.model import Cnn, Convolutional, Mlp, Network, TemporalCnn
from specplan.plan.dtypes import common_dtype, is_class
from specplan.plan.model import Component, Node, Read
from specplan.plan.passes.components import SklearnModel, as_plan
from specplan.plan.passes.joins import refused
from specplan.plan.passes.order import in_order
from specplan.plan.passes.own_component import LiveObject, OwnCode, UsersOwn, is_estimator
from specplan.plan.passes.references import ColumnsOf, NodeOf, references, resolve_target
from specplan.plan.passes.updates import check_clips
from specplan.plan.shapes import (
    LARGEST_SIZE,
    ShapeError,
    as_row,
    cnn_features,
    cnn_parameters,
    concat_shape,
    mlp_parameters,
    show,
)
from specplan.plan.streams import written_seed_of

if TYPE_CHECKING:
    from collections.abc import Iterable

    from specplan.plan.model import Shape
    from specplan.plan.passes.components import Resolved
    from specplan.plan.passes.context import Context
    from specplan.plan.passes.data import FeatureSet
    from specplan.plan.passes.own_model import Input
    from specplan.plan.passes.references import Reference
    from specplan.spec.diagnostics import Path

TORCH_DTYPE = "float32"


class Wired(msgspec.Struct, frozen=True, kw_only=True):
    """The graph as far as it is known.

    Attributes:
        order: the nodes in topological order, those of equal rank by name; without cycles and
            what depends on them.
        nodes: every node of which all is known.
        outputs: what nodes give, also of those that say it themselves where their input is not known.
        columns: for each node of `order`, the columns that it reads itself.
        upstream: for each node of `order`, the nodes that it reads.
    """

    order: tuple[str, ...]
    nodes: dict[str, Node]
    outputs: dict[str, Output]
    columns: dict[str, tuple[ColumnsOf, ...]]
    upstream: dict[str, tuple[str, ...]]

    def feature_sets(self, labels: Iterable[str]) -> list[str]:
        """The FeatureSets that some nodes read themselves, by name."""
        return sorted({read.feature_set for label in labels for read in self.columns[label]})


def wire(context: Context, resolved: Resolved, data: dict[str, FeatureSet]) -> Wired:
    """Resolve and order the graph, and infer what each node gives."""
    inputs: dict[str, tuple[Reference, ...] | None] = {}
    for label in context.spec.graph.nodes:
        if label in data:
            message = f"`{label}` is the name of a FeatureSet and of a node"
            also = [(("data", label), "the FeatureSet")]
            hint = "rename one of them, and what refers to it"
            context.error("SP304", message, ("graph", "nodes", label), also=also, hint=hint)
        inputs[label] = references(context, label, data)
    upstream = {
        label: tuple(dict.fromkeys(read.node for read in reads or () if isinstance(read, NodeOf)))
        for label, reads in inputs.items()
    }
    order = in_order(context, upstream)
    classifying = {
        loss.node
        for name, loss in context.spec.losses.items()
        if isinstance(resolved.get(("losses", name)), CrossEntropy)
    }
    _check_optimizers(context)
    check_clips(context)
    nodes: dict[str, Node] = {}
    outputs: dict[str, Output] = {}
    columns: dict[str, tuple[ColumnsOf, ...]] = {}
    for label in order:
        target = resolve_target(context, label, data)
        reads = inputs[label]
        columns[label] = tuple(
            read for read in (*(reads or ()), target) if isinstance(read, ColumnsOf)
        )
        builder = _Builder(
            context, resolved, data, outputs, label, target, classifies=label in classifying
        )
        node = builder.build(reads) if reads is not None else None
        if node is not None and max(prod(node.shape), node.parameters or 0) > LARGEST_SIZE:
            size = f"{node.parameters} parameters, and rows of the shape {show(node.shape)}"
            message = f"{label} has {size}; both can be at most {LARGEST_SIZE}"
            context.error("SP602", message, ("graph", "nodes", label))
            continue
        if node is not None:
            nodes[label] = node
            outputs[label] = Output(node.backend, node.dtype, node.shape)
        elif (declared := builder.declared()) is not None:
            outputs[label] = declared
    return Wired(
        order=order,
        nodes=nodes,
        outputs=outputs,
        columns=columns,
        upstream={label: upstream[label] for label in order},
    )


def _check_optimizers(context: Context) -> None:
    """Report nodes with an optimizer of their own in a graph that has one."""
    if context.spec.graph.optimizer is None:
        return
    for label, node in context.spec.graph.nodes.items():
        if node.optimizer is not None:
            message = f"{label} has an optimizer, and the graph has one for all nodes"
            also = [(("graph", "optimizer"), "that of the graph")]
            place = ("graph", "nodes", label, "optimizer")
            context.error("SP621", message, place, hint="remove one of the two", also=also)


class Output(msgspec.Struct, frozen=True):
    """What a column or a node gives, before it is cast or viewed."""

    backend: Literal["data", "torch", "sklearn", "merge"]
    dtype: str
    shape: Shape


class _Builder:
    """Builds one node of the plan; None wherever a fault was, or has been, reported."""

    def __init__(
        self,
        context: Context,
        resolved: Resolved,
        data: dict[str, FeatureSet],
        outputs: dict[str, Output],
        label: str,
        target: Reference | None,
        *,
        classifies: bool,
    ) -> None:
        self.context = context
        self.data = data
        self.outputs = outputs
        self.label = label
        self.path: Path = ("graph", "nodes", label)
        self.spec = context.spec.graph.nodes[label]
        self.model = resolved.get((*self.path, "model"))
        self.merge = resolved.get((*self.path, "merge"))
        self.target = target
        self.classifies = classifies

    def build(self, reads: tuple[Reference, ...]) -> Node | None:
        outputs = [self._output(read) for read in reads]
        known = self.model or self.merge
        asked = self.spec.output_method in ("predict_proba", "decision_function")
        said = self.spec.output_shape is not None and known is not None
        if said and not asked and not isinstance(known, UsersOwn):
            message = f"{self.label}: `output_shape` beside a model is for models of your own"
            self._error("SP409", message, "output_shape", "mlp and cnn take it as an argument")
            return None
        if isinstance(self.merge, Concat):
            return self._concat(self.merge, reads, outputs)
        if isinstance(self.merge, OwnCode):
            return self._own("merge", self.merge, reads, outputs)
        if len(reads) != 1 or outputs[0] is None:
            return None
        match self.model:
            case Mlp() | Cnn() | TemporalCnn():
                return self._torch(self.model, reads[0], outputs[0])
            case SklearnModel():
                return self._sklearn(self.model, reads[0], outputs[0])
            case OwnCode():
                return self._own("model", self.model, reads, outputs)
            case LiveObject() if is_estimator(self.model.value):
                return self._live_estimator(self.model, reads[0], outputs[0])
            case LiveObject():
                return self._live(self.model, reads[0], outputs[0])
        return None

    def declared(self) -> Output | None:
        """What the node says that it gives, whatever it reads."""
        if isinstance(self.model, Network) and self.model.output_shape is not None:
            return Output("torch", TORCH_DTYPE, self.model.output_shape)
        own = isinstance(self.model, OwnCode) or isinstance(self.merge, OwnCode)
        if own and self.spec.output_shape is not None:
            return Output("torch", TORCH_DTYPE, self.spec.output_shape)
        return None

    def _output(self, read: Reference) -> Output | None:
        if isinstance(read, NodeOf):
            return self.outputs.get(read.node)
        columns = [self.data[read.feature_set].columns[name] for name in read.columns]
        known = [column for column in columns if column is not None]
        if len(known) < len(columns):
            return None
        dtype = common_dtype(*(column.dtype for column in known))
        if not read.joined:
            return Output("data", dtype, known[0].shape)
        shapes = [column.shape for column in known]
        try:
            return Output("data", dtype, concat_shape(shapes, -1))
        except ShapeError:
            self._refuse_join([f"{read.feature_set}.{name}" for name in read.columns], shapes, -1)
            return None

    def _refuse_join(self, names: list[str], shapes: list[Shape], axis: int) -> None:
        message, hint = refused(names, shapes, axis)
        nodes = [
            (name, shape) for name, shape in zip(names, shapes, strict=True) if name in self.outputs
        ]
        also = [(("graph", "nodes", name), f"gives {show(shape)}") for name, shape in nodes]
        place: Path = (*self.path, "input")
        ranks = {len(as_row(shape)) for shape in shapes}
        if len(ranks) == 1 and not -min(ranks) <= axis < min(ranks):
            place = (*self.path, "merge", "axis")
        self.context.error("SP601", f"{self.label}: {message}", place, hint=hint, also=also)

    def _error(self, code: str, message: str, key: str, hint: str | None = None) -> None:
        self.context.error(code, message, (*self.path, key), hint=hint)

    def _read(self, read: Reference, dtype: str, shape: Shape) -> Read:
        columns = read.columns if isinstance(read, ColumnsOf) else ()
        return Read(value=read.value, columns=columns, dtype=dtype, shape=shape)

    def _concat(
        self, merge: Concat, reads: tuple[Reference, ...], outputs: list[Output | None]
    ) -> Node | None:
        known = [output for output in outputs if output is not None]
        if len(known) < len(outputs):
            return None
        if len(reads) == 1:
            message = f"{self.label} merges one value, `{reads[0].value}`"
            hint = "list several in `input`, or let others read it directly"
            self.context.warning("SP649", message, (*self.path, "input"), hint=hint)
        try:
            shape = concat_shape([output.shape for output in known], merge.axis, pad=merge.pad)
        except ShapeError:
            names = [read.value for read in reads]
            self._refuse_join(names, [output.shape for output in known], merge.axis)
            return None
        trained = any(output.backend != "data" and output.dtype == TORCH_DTYPE for output in known)
        dtype = TORCH_DTYPE if trained else common_dtype(*(output.dtype for output in known))
        inputs = tuple(
            self._read(read, dtype, as_row(output.shape))
            for read, output in zip(reads, known, strict=True)
        )
        return Node(
            backend="merge",
            component=as_plan(merge),
            inputs=inputs,
            target=self._target_read(shape, classes=False),
            dtype=dtype,
            shape=shape,
        )

    def _torch(self, model: Network, read: Reference, output: Output) -> Node | None:
        try:
            shape = self._made_shape(model, output.shape)
        except ShapeError as error:
            self._refuse_rows(error, output.shape)
            return None
        if shape is None:
            return None
        parameters = (
            mlp_parameters(model, output.shape, shape)
            if isinstance(model, Mlp)
            else cnn_parameters(model, output.shape, shape)
        )
        return Node(
            backend="torch",
            component=as_plan(msgspec.structs.replace(model, output_shape=shape)),
            inputs=(self._read(read, TORCH_DTYPE, output.shape),),
            target=self._target_read(shape, classes=self.classifies),
            dtype=TORCH_DTYPE,
            shape=shape,
            parameters=parameters,
        )

    def _refuse_rows(self, error: ShapeError, shape: Shape) -> None:
        place: Path = (*self.path, "input")
        also: list[tuple[Path, str]] = []
        if error.argument in (self.spec.model or {}):
            also = [(place, f"gives rows of shape {show(shape)}")]
            place = (*self.path, "model", error.argument)
        self.context.error("SP602", f"{self.label}: {error}", place, also=also)

    def _own(
        self,
        kind: Literal["model", "merge"],
        own: OwnCode,
        reads: tuple[Reference, ...],
        outputs: list[Output | None],
    ) -> Node | None:
        from specplan.plan.passes.own_model import own_model

        known = [output for output in outputs if output is not None]
        if len(known) < len(outputs):
            return None
        shapes = [each.shape if kind == "model" else as_row(each.shape) for each in known]
        inputs = [self._tried(read, shape) for read, shape in zip(reads, shapes, strict=True)]
        found = own_model(self.context, self.label, kind, own, inputs, self._like())
        if found is None:
            return None
        # A class is a module, which may have weights; a function has none.
        module = own.signature.form == "class"
        return Node(
            backend="torch" if module else "merge",
            component=found.component,
            inputs=tuple(
                self._read(read, TORCH_DTYPE, shape)
                for read, shape in zip(reads, shapes, strict=True)
            ),
            target=self._target_read(found.shape, classes=self.classifies),
            dtype=TORCH_DTYPE,
            shape=found.shape,
            parameters=found.parameters if module else 0,
            flops=found.flops,
            uncountable=found.uncountable,
            joins=kind == "merge" and module,
        )

    def _like(self) -> Shape | None:
        """The shape that a node's outputs have where nothing else is said: that of its target."""
        target = self._output(self.target) if self.target else None
        return as_row(target.shape) if target and not self.classifies else None

    def _tried(self, read: Reference, shape: Shape) -> Input:
        """What code of the user reads when it is tried."""
        from specplan.plan.passes.own_model import Input

        if self.context.code.imports == "never" or isinstance(read, NodeOf):
            return Input(shape)
        from specplan.plan.passes.few_rows import few_rows

        known = self.data[read.feature_set]
        return Input(shape, few_rows(known, read.columns, dtype=TORCH_DTYPE, shape=shape))

    def _live(self, model: LiveObject, read: Reference, output: Output) -> Node | None:
        from specplan.plan.passes.live import live_model

        found = live_model(self.context, self.label, model, output.shape, self._like())
        if found is None:
            return None
        known, dtype = found
        return Node(
            backend="torch",
            component=known.component,
            inputs=(self._read(read, dtype, output.shape),),
            target=self._target_read(known.shape, classes=self.classifies),
            dtype=dtype,
            shape=known.shape,
            parameters=known.parameters,
        )

    def _lost_target(self) -> bool:
        return self.context.lost((*self.path, "target"))

    def _made_shape(self, model: Network, reads: Shape) -> Shape | None:
        """Raises ShapeError where a model cannot read such rows, or gives others than it says."""
        if not isinstance(model, Convolutional):
            return self._output_shape(model)
        features = cnn_features(model, reads)
        if model.flatten_output:
            return self._output_shape(model)
        if model.output_shape not in (None, features):
            raise ShapeError(
                f"without flatten_output it gives rows of shape {show(features)}, "
                f"not {show(model.output_shape)}"
            )
        return features

    def _output_shape(self, model: Network) -> Shape | None:
        if model.output_shape is not None:
            return model.output_shape
        target = self._output(self.target) if self.target else None
        if self.classifies and (target is None or is_class(target.dtype)):
            message = f"{self.label} needs `output_shape`: its loss cross_entropy reads one logit per class"
            self._error("SP605", message, "model", "`output_shape: [n]` for n classes")
            return None
        if self.spec.target is None and not self._lost_target():
            message = (
                f"{self.label} needs `output_shape` or a `target` that it can have the shape of"
            )
            self._error("SP605", message, "model", "such as `output_shape: [1]`")
            return None
        target = self._output(self.target) if self.target else None
        return as_row(target.shape) if target else None

    def _target_read(self, output_shape: Shape, *, classes: bool) -> Read | None:
        target = self._output(self.target) if self.target else None
        if self.target is None or target is None:
            return None
        same = prod(target.shape) == prod(output_shape) and not classes
        return self._read(self.target, target.dtype, output_shape if same else target.shape)

    def _live_estimator(self, model: LiveObject, read: Reference, output: Output) -> Node | None:
        from specplan.models.sklearn.live import kind_of, width_of

        kind, width = kind_of(model.value), prod(output.shape)
        inputs = (self._read(read, output.dtype, (width,)),)
        name = type(model.value).__name__
        if kind == "transformer":
            shape: Shape = (width_of(model.value, width),)
            node = Node(
                backend="sklearn",
                component=model.component,
                inputs=inputs,
                target=self._target_read(shape, classes=False),
                dtype="float64",
                shape=shape,
                method="transform",
                partial_fit=self.spec.partial_fit_kwargs,
            )
            return self._asked(node, name)
        target = self._output(self.target) if self.target else None
        if target is None or self.target is None:
            if self.spec.target is None and not self._lost_target():
                message = f"{name} learns from targets; the node has no `target`"
                self.context.error(
                    "SP605", message, self.path, hint="add `target: FeatureSet.column`"
                )
            return None
        size = prod(target.shape)
        learned = self._read(self.target, target.dtype, () if size == 1 else (size,))
        node = Node(
            backend="sklearn",
            component=model.component,
            inputs=inputs,
            target=learned,
            dtype=learned.dtype if kind == "classifier" else "float64",
            shape=learned.shape,
            method="predict",
            partial_fit=self.spec.partial_fit_kwargs,
        )
        return self._asked(node, name)

    def _asked(self, node: Node, name: str) -> Node | None:
        """The node with the method that the spec asks for in place of the usual one."""
        method = self.spec.output_method
        if method in ("auto", "predict"):
            return node
        shape = self.spec.output_shape
        if shape is None and method == "predict_proba":
            message = (
                f"{self.label} needs `output_shape`: {name} gives a probability for each class"
            )
            self._error("SP605", message, "output_method", "`output_shape: [n]` for n classes")
            return None
        return msgspec.structs.replace(node, method=method, dtype="float64", shape=shape or ())

    def _sklearn(self, model: SklearnModel, read: Reference, output: Output) -> Node | None:
        node = self._estimated(model, read, output)
        if node is None:
            return None
        if self.spec.partial_fit_kwargs:
            node = msgspec.structs.replace(node, partial_fit=self.spec.partial_fit_kwargs)
        name = model.use.partition(":")[2]
        if self.spec.output_method == "predict_proba" and not model.estimator.predict_proba:
            self._error("SP605", f"{name} has no predict_proba", "output_method")
            return None
        return self._asked(node, name)

    def _estimated(self, model: SklearnModel, read: Reference, output: Output) -> Node | None:
        inputs = (self._read(read, output.dtype, (prod(output.shape),)),)
        component = self._estimator(model)
        if model.estimator.kind == "transformer":
            width = self._width(model, prod(output.shape))
            if width is None:
                return None
            return Node(
                backend="sklearn",
                component=component,
                inputs=inputs,
                target=self._target_read((width,), classes=False),
                dtype="float64",
                shape=(width,),
            )
        target = self._labels(model)
        if target is None:
            return None
        return Node(
            backend="sklearn",
            component=component,
            inputs=inputs,
            target=target,
            dtype=target.dtype if model.estimator.kind == "classifier" else "float64",
            shape=target.shape,
        )

    def _estimator(self, model: SklearnModel) -> Component:
        args = {**model.estimator.parameters, **model.given}
        if "random_state" in args and args["random_state"] is None:
            seed = self.context.spec.run.seed
            args["random_state"] = written_seed_of(seed, f"init/{self.label}")
        return Component(use=model.use, args=args)

    def _labels(self, model: SklearnModel) -> Read | None:
        """What a supervised estimator is fitted to."""
        name = model.use.partition(":")[2]
        if self.spec.target is None and not self._lost_target():
            message = f"{name} learns from targets; the node has no `target`"
            self.context.error("SP605", message, self.path, hint="add `target: FeatureSet.column`")
            return None
        target = self._output(self.target) if self.target else None
        if self.target is None or target is None:
            return None
        size = prod(target.shape)
        if size > 1 and not model.estimator.multi_output:
            message = (
                f"{name} has one target for a row; `{self.target.value}` is {show(target.shape)}"
            )
            self._error("SP602", message, "target")
            return None
        if size == 1 and not model.estimator.single_output:
            message = f"{name} needs several targets for a row; `{self.target.value}` is one"
            self._error("SP602", message, "target")
            return None
        if model.estimator.kind == "classifier" and not is_class(target.dtype):
            message = f"{name} needs integer class targets, `{self.target.value}` is {target.dtype}"
            self._error("SP652", message, "target")
            return None
        return self._read(self.target, target.dtype, () if size == 1 else (size,))

    def _width(self, model: SklearnModel, input_width: int) -> int | None:
        parameter = model.estimator.width
        name = model.use.partition(":")[2]
        if parameter is None or parameter == "input":
            return input_width
        width = model.given.get(parameter, model.estimator.parameters[parameter])
        if not isinstance(width, int) or width < 1:
            message = (
                f"{name}: the shape of the output is known only if `{parameter}` is an integer"
            )
            self._error("SP605", message, "model", f"such as `{parameter}: {input_width}`")
            return None
        if model.estimator.narrows and width > input_width:
            message = f"{name}: `{parameter}` is {width}, but the rows have width {input_width}"
            self._error("SP602", message, "model")
            return None
        return width
