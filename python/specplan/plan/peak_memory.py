"""An estimate of the memory that the phases of a plan take, beside Python and its libraries."""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING

import msgspec

from specplan.plan.by_feed import by_feed
from specplan.plan.dtypes import item_size
from specplan.plan.flops import layers
from specplan.plan.model import Train
from specplan.plan.recorded_bytes import batch_size

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from specplan.plan.model import Component, Evaluation, Phase, Plan, Shape

_FLOAT = 4
_MOST_STAGED = 64 << 20
"""What the recorder holds in memory at most, by default, before the loop has to wait for it."""


class Memory(msgspec.Struct, frozen=True, kw_only=True):
    """Bytes at the peak of a phase.

    Attributes:
        data: columns of all FeatureSets, and the rows of the phase's splits in the form that nodes read.
        parameters: of all nodes.
        gradients: of the nodes that were trained so far.
        optimizer: what it keeps for each of their parameters.
        snapshot: the best weights, and the optimizer's state with them, where they may be put back.
        activations: outputs of layers in a batch, and what the backward pass needs beside them.
        staging: what waits to be recorded, at most.
    """

    data: int = 0
    parameters: int = 0
    gradients: int = 0
    optimizer: int = 0
    snapshot: int = 0
    activations: int = 0
    staging: int = 0

    @property
    def total(self) -> int:
        """All of it."""
        return sum(msgspec.structs.astuple(self))


def peak_memory(plan: Plan, recorded: Sequence[int]) -> tuple[Memory, ...]:
    """Of each phase. `recorded` is how many bytes of tensors each phase records."""
    nodes = plan.graph.nodes
    tables = _table_bytes(plan)
    weights = _FLOAT * sum(node.parameters or 0 for node in nodes.values())
    found: list[Memory] = []
    trained: dict[str, int] = {}
    for phase, tensors in zip(plan.phases, recorded, strict=True):
        parts: list[Phase | Evaluation] = [phase]
        snapshot = False
        if isinstance(phase, Train):
            parts = [*by_feed(plan.graph, phase)]
            for label in phase.trainable:
                changing = phase.optimizer_of(label)
                state = _STATES.get(changing.use, _two)(changing)
                trained[label] = state * (nodes[label].parameters or 0)
            parts += phase.evaluations
            stopping = phase.early_stopping
            snapshot = stopping is not None and stopping.restore_best
        optimizer = _FLOAT * sum(trained.values())
        found.append(
            Memory(
                data=tables + sum(_rows_read(plan, part) for part in parts),
                parameters=weights,
                gradients=_FLOAT * sum(nodes[label].parameters or 0 for label in trained),
                optimizer=optimizer,
                snapshot=(weights + optimizer) * snapshot,
                activations=max(_activations(plan, part) for part in parts),
                staging=min(_MOST_STAGED, tensors),
            )
        )
    return tuple(found)


def _sgd(optimizer: Component) -> int:
    return int(optimizer.args["momentum"] != 0)


def _adam(optimizer: Component) -> int:
    return 2 + int(optimizer.args["amsgrad"])


def _rmsprop(optimizer: Component) -> int:
    return 1 + int(optimizer.args["momentum"] != 0) + int(optimizer.args["centered"])


def _two(_optimizer: Component) -> int:
    return 2


_STATES: Mapping[str, Callable[[Component], int]] = {
    "sgd": _sgd,
    "adam": _adam,
    "adamw": _adam,
    "rmsprop": _rmsprop,
}
"""Numbers that an optimizer keeps for each parameter; two for one that is not built in."""


def _size(dtype: str, shape: Shape) -> int:
    return item_size(dtype) * prod(shape)


def _table_bytes(plan: Plan) -> int:
    """The columns that something reads: they are in memory for the whole run."""
    used: set[tuple[str, str]] = set()
    for node in plan.graph.nodes.values():
        for read in (*node.inputs, *([node.target] if node.target is not None else ())):
            label = read.value.partition(".")[0]
            for name in read.columns:
                # A scaled column is there beside the one that it was made of.
                used |= {(label, name), (label, plan.data[label].scaled.get(name, name))}
    total = 0
    for label, name in used:
        column = plan.data[label].columns[name]
        total += plan.data[label].rows * _size(column.dtype, column.shape)
    return total


def _rows_read(plan: Plan, part: Phase | Evaluation) -> int:
    """The rows of a split, in each dtype and shape in which something reads them, and what is computed once."""
    nodes = plan.graph.nodes
    reads = {
        (read.columns, read.dtype, read.shape)
        for label in part.nodes
        for read in nodes[label].inputs
        if read.columns
    }
    for objective in (*part.losses, *part.metrics):
        for argument in objective.arguments:
            target = nodes[argument.node].target
            if argument.field == "targets" and target is not None:
                reads.add((target.columns, argument.dtype, argument.shape))
    sizes = [_size(dtype, shape) for _, dtype, shape in reads]
    sizes += [_size(nodes[label].dtype, nodes[label].shape) for label in computed_once(plan, part)]
    return part.rows * (sum(sizes) + item_size("int64"))


def computed_once(plan: Plan, part: Phase | Evaluation) -> tuple[str, ...]:
    """Nodes whose outputs depend on nothing but columns and fitted nodes: computed for all rows before the
    first step of a phase, and not in each step. Networks are not among them, even frozen ones.
    """
    constant: list[str] = []
    for label in part.nodes:
        node = plan.graph.nodes[label]
        from_columns = all(read.columns or read.value in constant for read in node.inputs)
        own = node.component.code is not None
        if node.backend != "torch" and not own and from_columns:
            constant.append(label)
    return tuple(constant)


def _activations(plan: Plan, part: Phase | Evaluation) -> int:
    """Of the largest batch."""
    nodes = plan.graph.nodes
    training = isinstance(part, Train)
    rows = batch_size(part)
    if isinstance(part, Train):
        rows *= max(1, len(part.sampler.roles))
    elements = 0
    for label in part.nodes:
        outputs = [layer.outputs for layer in layers(nodes[label])] or [prod(nodes[label].shape)]
        if training:
            kept = sum(layer.kept for layer in layers(nodes[label]))
            # Gradients of two layers are there at a time.
            elements += sum(outputs) + kept + 2 * max(outputs)
        else:
            elements += outputs[-1] + 2 * max(outputs)
    measured = 0 if training else _measured(part)
    return rows * elements * _FLOAT + measured


def _measured(part: Phase | Evaluation) -> int:
    """Metrics look at all rows at once, in float64: both arguments, and their difference."""
    elements = max(
        (3 * prod(metric.arguments[0].shape) for metric in part.metrics),
        default=0,
    )
    kept = {
        (argument.node, argument.field, argument.dtype, argument.shape)
        for metric in part.metrics
        for argument in metric.arguments
    }
    # The batches, and the one array that they are joined to.
    joined = 2 * sum(_size(dtype, shape) for _, _, dtype, shape in kept)
    return part.rows * (item_size("float64") * elements + joined)
