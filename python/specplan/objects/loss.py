"""Losses, and where they apply."""

from __future__ import annotations

import functools
import inspect
import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from specplan.components import COMPONENTS
from specplan.data.context import active_context, checked_label
from specplan.data.reference import ColumnReference
from specplan.models.torch.table import LOSSES, MODULES
from specplan.objects.node import GraphNode, nodes_of
from specplan.objects.optimizer import checked_backend
from specplan.spec.arguments import checked_list, checked_number, plain_arguments, written
from specplan.spec.wording import choices, quoted

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from specplan.data.context import ExperimentContext
    from specplan.data.reference import FeatureSetReference
    from specplan.spec.model import ComponentSpec

FIELDS = ("outputs", "targets")
RESERVED = ("train_loss", "eval_loss", "fit_loss")
_REDUCTIONS = ("none", "mean", "sum")


class Loss:
    """A loss function.

    Args:
        loss: mse, l1, smooth_l1, huber, cross_entropy, bce_with_logits or triplet_margin; the name of a class
            in `torch.nn`, in any case, with or without "Loss" at the end; such a class; or a function of
            tensors.
        loss_kwargs: its arguments.
        backend: "torch"; a name needs one.
        reduction: what values of several elements become: "none" and "mean" their mean, "sum" their sum.
        factory: makes the function of `loss_kwargs`, in place of `loss`.

    Raises:
        TypeError: the loss has no such argument, or is neither a name nor a function.
        ValueError: no backend, an unknown loss, reduction or backend, or a value that is not allowed.
    """

    def __init__(
        self,
        loss: str | Callable[..., Any] | None = None,
        *,
        loss_kwargs: Mapping[str, Any] | None = None,
        backend: str | None = None,
        reduction: str = "none",
        factory: Callable[..., Any] | None = None,
    ) -> None:
        if (loss is None) == (factory is None):
            raise ValueError("a Loss takes either `loss` or `factory`")
        if reduction not in _REDUCTIONS:
            raise ValueError(f"reduction is {quoted(_REDUCTIONS)}, not {reduction!r}")
        given = {**(loss_kwargs or {}), **({"reduction": "sum"} if reduction == "sum" else {})}
        self.reduction = reduction
        self.component: ComponentSpec = {}
        self.live: Any = None
        if isinstance(loss, str):
            self.backend = checked_backend("Loss", loss, backend)
            self.name = _known_name(loss)
            self._named(given)
            return
        self.backend = "torch" if backend is None else checked_backend("Loss", None, backend)
        if not callable(factory if loss is None else loss):
            raise TypeError(
                f'Loss: name it by a str, as in Loss("mse", backend="torch"), or give a function, '
                f"not {type(loss).__name__}"
            )
        made = factory(**given) if factory is not None else _made(loss, given)
        self.name = _name_of(loss if factory is None else made)
        self.live = made

    @property
    def reads(self) -> tuple[str, ...]:
        """The names of what the loss is called with, in order; empty where they are not known."""
        if self.live is None:
            return {_folded(name): known.reads for name, known in LOSSES.items()}[
                _folded(self.name)
            ]
        function = getattr(self.live, "forward", self.live)
        return tuple(inspect.signature(function).parameters)

    def spec(self, name: str) -> ComponentSpec:
        """The loss as a spec writes it; `name` is what an object is called that no spec can say."""
        return dict(self.component) if self.live is None else {"use": f"live:{name}"}

    def _named(self, given: dict[str, Any]) -> None:
        declared = COMPONENTS["loss"].get(self.name)
        cls = {_folded(known): known for known in LOSSES}[_folded(self.name)]
        known = {*LOSSES[cls].parameters, "weight", "pos_weight"}
        if declared is not None:
            short = declared.__struct_encode_fields__
            # Arguments that neither has are told of with those that are usual.
            if set(given) <= set(short) or not set(given) <= known:
                self.component = written("loss", self.name, given)
                return
        if "weight" in given or "pos_weight" in given:
            from specplan.models.torch.losses import class_of

            self.live = class_of(cls)(**given)
            return
        self.component = {
            "use": f"{MODULES['loss']}:{cls}",
            **plain_arguments(f"loss `{self.name}`", given, LOSSES[cls].parameters),
        }

    def __repr__(self) -> str:
        return f"Loss({self.name!r}, backend={self.backend!r})"


class AppliedLoss:
    """A loss and the node whose outputs and targets it compares.

    Args:
        loss: the loss.
        on: the node, or its label in the active context.
        inputs: what the loss is given: a list in the order of its arguments, or a mapping by their names.
            Each is "outputs" or "targets" of the node, with a role of the sampler as in "outputs.anchor", or
            a column of a FeatureSet: "Cells.temperature", or a reference to one.
        weight: factor in the sum of the losses of a phase; a finite number.
        label: name under which its values are recorded; by default the loss's own.

    Raises:
        TypeError: `loss` is no Loss, `on` no node, `inputs` no list or `weight` no number.
        ValueError: there is no such node, an input is unknown, the weight is not finite, or the label
            is reserved.
    """

    def __init__(
        self,
        loss: Loss,
        on: str | GraphNode,
        inputs: Sequence[Any] | Mapping[str, Any],
        weight: float = 1.0,
        label: str | None = None,
    ) -> None:
        if not isinstance(loss, Loss):
            raise TypeError(
                f'loss is a Loss, as in Loss("mse", backend="torch"), not {type(loss).__name__}'
            )
        self.loss = loss
        self.node = find_node(on)
        self.inputs = _ordered(loss, inputs, self.node)
        self.weight = checked_number("the weight of a loss", weight)
        if not math.isfinite(self.weight):
            raise ValueError(f"the weight of a loss is finite, not {self.weight}")
        self.label = checked_label(loss.name if label is None else label)
        if self.label in RESERVED:
            raise ValueError(f"`{self.label}` is the name of a sum of losses; choose another label")

    @property
    def node_id(self) -> str:
        """Id of the node."""
        return self.node.id

    def spec(self) -> dict[str, Any]:
        """The loss as an entry of `losses` in a spec."""
        return {
            **self.loss.spec(self.live_name),
            "node": self.node.label,
            "args": list(self.inputs),
            "weight": self.weight,
        }

    @property
    def live_name(self) -> str:
        """What a spec calls a function that it cannot write."""
        return f"loss-{self.label}"

    def __repr__(self) -> str:
        return f"AppliedLoss({self.label!r}, on={self.node.label!r}, weight={self.weight:g})"


def find_node(node: str | GraphNode, context: ExperimentContext | None = None) -> GraphNode:
    """The node itself, or the one of this label in a context, by default the active one.

    Raises:
        TypeError: it is neither a node nor a label.
        ValueError: the context has no node of this label.
    """
    if isinstance(node, GraphNode):
        return node
    if not isinstance(node, str):
        raise TypeError(f"a node is a ModelNode or the label of one, not {type(node).__name__}")
    nodes = {member.label: member for member in nodes_of(context or active_context())}
    if node not in nodes:
        raise ValueError(f"there is no node `{node}`; known: {choices(node, nodes)}")
    return nodes[node]


def _folded(name: str) -> str:
    return name.lower().replace("_", "").replace(" ", "").removesuffix("loss")


def _known_name(loss: str) -> str:
    """The short name of what is built in, or the folded name of the class in `torch.nn`."""
    short = {_folded(name): name for name in COMPONENTS["loss"]}
    folded = _folded(loss)
    if folded in short:
        return short[folded]
    by_name = {_folded(name): name for name in LOSSES}
    if folded not in by_name:
        known = [*COMPONENTS["loss"], *(name for key, name in by_name.items() if key not in short)]
        raise ValueError(f"there is no loss `{loss}`; known: {choices(loss, known)}")
    return folded


def _made(loss: Any, given: dict[str, Any]) -> Any:
    if isinstance(loss, type):
        return loss(**given)
    return functools.partial(loss, **given) if given else loss


def _name_of(function: Any) -> str:
    """A label from the name of a function or class."""
    function = function.func if isinstance(function, functools.partial) else function
    name = getattr(function, "__name__", type(function).__name__)
    return (_folded(name) or "loss") if name.isidentifier() else "loss"


def _ordered(
    loss: Loss, inputs: Sequence[Any] | Mapping[str, Any], node: GraphNode
) -> tuple[str, ...]:
    if isinstance(inputs, Mapping):
        known = loss.reads
        unknown = [name for name in inputs if name not in known]
        missing = list(known[len(inputs) :]) if not unknown else []
        if unknown or missing:
            raise ValueError(
                f"the inputs of {loss.name} are named {quoted(known)}, not {quoted(inputs) or 'nothing'}"
            )
        inputs = [inputs[name] for name in known if name in inputs]
    return tuple(_input(each, node) for each in checked_list("inputs", inputs))


def _input(named: str | FeatureSetReference | ColumnReference, node: GraphNode) -> str:
    """An input as a spec writes it."""
    if not isinstance(named, str):
        if isinstance(named, ColumnReference):
            return f"{named.feature_set.label}.{named.column}"
        columns = [*named.features, *named.targets, *named.tags]
        if len(columns) != 1:
            raise ValueError(f"an input of a loss is one column, not {quoted(columns)}")
        return f"{named.feature_set.label}.{columns[0]}"
    field, dot, rest = named.partition(".")
    if field in FIELDS and bool(dot) is bool(rest):
        return named
    known = {source.feature_set.label: source.feature_set for source in node.sources}
    if dot and field in known:
        return _column(named, known[field].columns)
    raise ValueError(f"a loss has no input `{named}`; known: {choices(named, FIELDS)}")


def _column(named: str, known: Mapping[str, Any]) -> str:
    """`FeatureSet.column` of a name that may say the kind of column and its form, too."""
    feature_set, *parts = named.split(".")
    if parts[0] in ("features", "targets", "tags") and parts[0] not in known:
        parts = parts[1:]
    column = ".".join(parts)
    if column not in known and len(parts) == 2 and parts[1] == "raw":
        column = parts[0]
    if column not in known:
        raise ValueError(
            f"FeatureSet `{feature_set}` has no column `{column}`; it has: {choices(column, known)}"
        )
    return f"{feature_set}.{column}"
