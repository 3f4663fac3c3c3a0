"""Losses, and where they apply."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from specplan.components import COMPONENTS
from specplan.data.context import active_context, checked_label
from specplan.experiment.graph import ModelNode, check_backend
from specplan.spec.arguments import checked_list, checked_number, written
from specplan.spec.wording import choices, quoted

if TYPE_CHECKING:
    from collections.abc import Sequence

    from specplan.data.context import ExperimentContext

FIELDS = ("outputs", "targets")
_NAMED = (("input", "target"), ("anchor", "positive", "negative"))
RESERVED = ("train_loss", "eval_loss", "fit_loss")


class Loss:
    """A loss function, averaged over the batch.

    Args:
        loss: mse, l1, smooth_l1, huber, cross_entropy, bce_with_logits or triplet_margin; or the name of the class in
            `torch.nn`, in any case, with or without "Loss" at the end.
        loss_kwargs: its arguments.
        backend: "torch".

    Raises:
        TypeError: the loss has no such argument.
        ValueError: no backend, an unknown loss or backend, or a value that is not allowed.
    """

    def __init__(
        self,
        loss: str,
        *,
        loss_kwargs: Mapping[str, Any] | None = None,
        backend: str | None = None,
    ) -> None:
        check_backend("Loss", loss, backend)
        known = {_folded(name): name for name in COMPONENTS["loss"]}
        if _folded(loss) not in known:
            raise ValueError(
                f"there is no loss `{loss}`; known: {choices(loss, COMPONENTS['loss'])}"
            )
        self.name = known[_folded(loss)]
        self.component = written("loss", self.name, loss_kwargs or {})
        self.backend = backend

    def __repr__(self) -> str:
        return f"Loss({self.name!r}, backend='torch')"


class AppliedLoss:
    """A loss and the node whose outputs and targets it compares.

    Args:
        loss: the loss.
        on: the node, or its label in the active context.
        inputs: what the loss is given, in order, each "outputs" or "targets", where a sampler gives tuples
            of rows with the role, as in "outputs.anchor"; or by the names that losses of `torch.nn` have,
            `input` and `target`, or `anchor`, `positive` and `negative`.
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
        on: str | ModelNode,
        inputs: Sequence[str] | Mapping[str, str],
        weight: float = 1.0,
        label: str | None = None,
    ) -> None:
        if not isinstance(loss, Loss):
            raise TypeError(
                f'loss is a Loss, as in Loss("mse", backend="torch"), not {type(loss).__name__}'
            )
        self.loss = loss
        self.node = find_node(on)
        self.inputs = _ordered(inputs)
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
            **self.loss.component,
            "node": self.node.label,
            "args": list(self.inputs),
            "weight": self.weight,
        }

    def __repr__(self) -> str:
        return f"AppliedLoss({self.label!r}, on={self.node.label!r}, weight={self.weight:g})"


def find_node(node: str | ModelNode, context: ExperimentContext | None = None) -> ModelNode:
    """The node itself, or the one of this label in a context, by default the active one.

    Raises:
        TypeError: it is neither a node nor a label.
        ValueError: the context has no node of this label.
    """
    if isinstance(node, ModelNode):
        return node
    if not isinstance(node, str):
        raise TypeError(f"a node is a ModelNode or the label of one, not {type(node).__name__}")
    nodes = {member.label: member for member in (context or active_context()).members(ModelNode)}
    if node not in nodes:
        raise ValueError(f"there is no node `{node}`; known: {choices(node, nodes)}")
    return nodes[node]


def _folded(name: str) -> str:
    return name.lower().replace("_", "").removesuffix("loss")


def _ordered(inputs: Sequence[str] | Mapping[str, str]) -> tuple[str, ...]:
    if isinstance(inputs, Mapping):
        named = next((names for names in _NAMED if set(inputs) == set(names)), None)
        if named is None:
            raise ValueError(
                "the inputs of a loss are named `input` and `target`, or `anchor`, `positive` and "
                f"`negative`, not {quoted(inputs)}"
            )
        inputs = [inputs[name] for name in named]
    names = checked_list("inputs", inputs)
    for name in names:
        field, dot, role = str(name).partition(".")
        if field not in FIELDS or bool(dot) != bool(role):
            raise ValueError(f"a loss has no input `{name}`; known: {choices(field, FIELDS)}")
    return tuple(names)
