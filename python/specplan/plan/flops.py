"""Floating-point operations of the nodes of a phase: in closed form, or as they were counted for code of the user.

Counted as torch's `FlopCounterMode` does: two for each multiplication and addition of a matrix product or
convolution, nothing for all else, losses and optimizers among it.
"""

from __future__ import annotations

from itertools import pairwise
from math import prod
from typing import TYPE_CHECKING

import msgspec

from specplan.base.flops import ModelFlops
from specplan.components.model import Cnn, Mlp, TemporalCnn
from specplan.plan.shapes import as_channels, cnn_sizes

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence

    from specplan.components.model import Convolutional
    from specplan.plan.model import Graph, Node


class Layer(msgspec.Struct, frozen=True):
    """A matrix product or convolution, and what follows it, for one row.

    Attributes:
        flops: of a forward pass.
        outputs: elements that it gives; kept: elements that its activation, pooling and dropout keep beside
            them for the backward pass.
    """

    flops: int
    outputs: int
    kept: int = 0


class Flops(msgspec.Struct, frozen=True):
    """Of one row.

    Attributes:
        forward: of a forward pass.
        backward: of the backward pass that follows it; 0 without training.
    """

    forward: int = 0
    backward: int = 0

    def __add__(self, other: Flops) -> Flops:
        return Flops(self.forward + other.forward, self.backward + other.backward)


def known(node: Node) -> bool:
    """Whether the operations of a node can be told from its arguments, or were counted."""
    return _of_node(node) is not None


def _of_node(node: Node) -> ModelFlops | None:
    if node.component.code is not None:
        return node.flops
    if node.backend != "merge" and (node.backend == "sklearn" or node.component.use not in _LAYERS):
        return None
    each = [layer.flops for layer in layers(node)]
    # The weights of each layer, and the inputs of each but those of the first.
    total, first = sum(each), sum(each[:1])
    return ModelFlops(forward=total, weights=2 * total - first, inputs=total, both=2 * total)


def flops(
    graph: Graph,
    nodes: Sequence[str],
    *,
    trainable: Sequence[str] = (),
    judged: Collection[str] = (),
    apart: Collection[str] = (),
) -> Flops:
    """Of the nodes that are known, with the backward pass through those that lead to nodes that losses judge.

    No gradient passes to what nodes read that are `apart`.
    """
    reached = _leading_to(graph, nodes, judged, apart) if trainable else set()
    carrying: set[str] = set()
    total = Flops()
    for label in nodes:
        node = graph.nodes[label]
        from_inputs = label not in apart and any(
            read.value in carrying for read in node.inputs if not read.columns
        )
        trained = label in trainable
        if node.backend != "sklearn" and (trained or from_inputs):
            carrying.add(label)
        of_node = _of_node(node)
        if of_node is None:
            continue
        backward = 0
        if label in reached and label in carrying:
            backward = of_node.backward(weights=trained, inputs=from_inputs)
        total += Flops(of_node.forward, backward)
    return total


def _leading_to(
    graph: Graph, nodes: Sequence[str], ends: Collection[str], apart: Collection[str]
) -> set[str]:
    """The nodes through which a gradient flows back from `ends`; none through scikit-learn."""
    reached = set(ends)
    for label in reversed(nodes):
        node = graph.nodes[label]
        if label in reached and label not in apart and node.backend != "sklearn":
            reached |= {read.value for read in node.inputs if not read.columns}
    return reached


def layers(node: Node) -> list[Layer]:
    """The layers with weights of a node that is known."""
    describe = None if node.backend == "merge" else _LAYERS.get(node.component.use)
    return [] if describe is None else describe(node)


def _mlp(node: Node) -> list[Layer]:
    model = msgspec.convert(node.component.args, Mlp)
    widths = [prod(node.inputs[0].shape), *[model.hidden_dim] * model.n_layers]
    beside = 2 if model.dropout > 0 else 1
    hidden = [
        Layer(2 * before * after, after, beside * after) for before, after in pairwise(widths)
    ]
    width = prod(node.shape)
    return [*hidden, Layer(2 * widths[-1] * width, width)]


_CONVOLUTIONAL: Mapping[str, type[Convolutional]] = {"cnn": Cnn, "temporal_cnn": TemporalCnn}


def _cnn(node: Node) -> list[Layer]:
    model = msgspec.convert(node.component.args, _CONVOLUTIONAL[node.component.use])
    rows = as_channels(node.inputs[0].shape)
    channels = [rows[0], *[model.hidden_dim] * model.n_layers]
    kernel = model.kernel_size ** (len(rows) - 1)
    sizes = cnn_sizes(model, rows)
    blocks = []
    for (before, after), (convolved, pooled) in zip(pairwise(channels), sizes, strict=True):
        outputs = after * prod(convolved)
        # Max pooling keeps what it gives and where that was, in 8 bytes.
        kept = outputs + (3 * after * prod(pooled) if pooled != convolved else 0)
        kept += 2 * after * prod(pooled) if model.dropout > 0 else 0
        blocks.append(Layer(2 * before * kernel * outputs, outputs, kept))
    features, width = model.hidden_dim * prod(sizes[-1][1]), prod(node.shape)
    return [*blocks, Layer(2 * features * width, width)] if model.flatten_output else blocks


_LAYERS: Mapping[str, Callable[[Node], list[Layer]]] = {
    "mlp": _mlp,
    "cnn": _cnn,
    "temporal_cnn": _cnn,
}
