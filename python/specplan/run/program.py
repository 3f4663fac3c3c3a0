"""The forward pass of a phase, compiled to closures over numbered registers.

A step works on one list of registers. Columns of the data have the numbers from 0 up, so one slice
assignment loads a batch; what a step computes has the numbers from -1 down. Everything that the plan
names is looked up here, once: the loop over steps sees only numbers and bound functions.
"""

from __future__ import annotations

import copy
from operator import itemgetter
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec
import numpy as np
import torch
from torch import Tensor

from specplan.components.sampler import DEFAULT_ROLE
from specplan.data.table import cast
from specplan.plan.model import Read
from specplan.plan.passes.order import reachable
from specplan.run.operations import calling, merging, taken, tensor_of, viewing

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence

    from numpy.typing import NDArray

    from specplan.data.table import Table
    from specplan.plan.model import Argument, Node, Objective, Plan, Record, Shape
    from specplan.run.state import State

Registers = list[Any]


class Split(msgspec.Struct, frozen=True):
    """The rows that a program reads.

    Attributes:
        positions: row numbers in the order of the split, None for all rows.
        rows: how many.
    """

    table: Table
    positions: NDArray[np.int64] | None
    rows: int


class Reading(msgspec.Struct, frozen=True, kw_only=True):
    """Rows that some nodes read together.

    Attributes:
        data: the FeatureSet; nodes: those that read its columns themselves, None where all read these rows.
        roles: in which the rows come; a node is computed once for each.
        weights: of each row or tuple of rows in the losses, float32; None where all are 1.
    """

    split: Split
    data: str = ""
    nodes: frozenset[str] | None = None
    roles: tuple[str, ...] = (DEFAULT_ROLE,)
    weights: Tensor | None = None


class Lane(NamedTuple):
    """In which order a column is read: that of one role of one reading, by its number.

    The role "" is the order of the tuples themselves.
    """

    reading: int
    role: str


class Program:
    """Compiles the nodes of one phase over the rows they read, then what losses, metrics and records read.

    Nodes that are `fitted` are so at once when they are compiled, those that are `learning` with each batch. Outputs of
    those that are `changing`, which learn elsewhere meanwhile, are never computed beforehand.
    No gradient passes to what nodes read that are `apart`.

    Attributes:
        columns: one tensor over all rows of a split for each register from 0 up. Outputs of
            scikit-learn nodes and merges that depend on nothing but columns are columns too.
        lanes: in which order each of the columns is read.
        operations: what a step computes, in order.
        device: where columns and outputs are.
        rows: of the first split.
        roles: for each node that is computed the roles in which it is.
    """

    def __init__(
        self,
        plan: Plan,
        state: State,
        readings: Split | Sequence[Reading],
        nodes: Sequence[str],
        *,
        fitted: Collection[str] = (),
        apart: Collection[str] = (),
        learning: Collection[str] = (),
        changing: Collection[str] = (),
    ) -> None:
        self.columns: list[Tensor] = []
        self.lanes: list[Lane] = []
        self.operations: list[Callable[[Registers], None]] = []
        self._plan = plan
        self._state = state
        self.device = state.device
        self._readings = [Reading(split=readings)] if isinstance(readings, Split) else readings
        self._known: dict[object, int] = {}
        self._rows: dict[object, Tensor] = {}
        self.roles: dict[str, tuple[str, ...]] = {}
        self._computed = 0
        self.rows = self._readings[0].split.rows
        self._apart = apart
        self._learning = learning
        self._changing = changing
        for label in nodes:
            self.roles[label] = self._readings[self._readings_of(label)[0]].roles
            for role in self.roles[label]:
                self._add_node(label, role, fitted=label in fitted)

    def registers(self) -> Registers:
        """Fresh registers. Call it when everything has been compiled."""
        return [None] * (len(self.columns) + self._computed)

    def losses(self, objectives: Sequence[Objective]) -> Callable[[Registers], list[Tensor]]:
        """A function of the registers that gives the value of each loss, not weighted."""
        bound = [self._loss(objective) for objective in objectives]
        return lambda registers: [function(*arguments(registers)) for function, arguments in bound]

    def loss(self, objective: Objective) -> Callable[[Registers], Tensor]:
        """A function of the registers that gives the value of one loss, not weighted."""
        function, arguments = self._loss(objective)
        return lambda registers: function(*arguments(registers))

    def _loss(
        self, objective: Objective
    ) -> tuple[Callable[..., Tensor], Callable[[Registers], tuple[Tensor, ...]]]:
        registers = self.arguments(objective)
        first = self._readings_of(objective.arguments[0].node)[0]
        weights = self._readings[first].weights
        if weights is None:
            return self._state.builder.loss(objective), taken(registers)
        registers.append(self._column_of(("weights", first), weights, Lane(first, "")))
        return self._state.builder.weighted_loss(objective), itemgetter(*registers)

    def metric(self, objective: Objective) -> Callable[..., float]:
        """A function of all outputs and targets of the split."""
        return self._state.builder.metric(objective)

    def arguments(self, objective: Objective) -> list[int]:
        """The registers that a loss or metric reads."""
        return [self._argument(argument) for argument in objective.arguments]

    def inputs(self, label: str) -> list[int]:
        """The registers that a node reads; where rows have roles, in the first of them."""
        role = self.roles[label][0]
        return [self._input(label, role, read) for read in self._plan.graph.nodes[label].inputs]

    def record(self, record: Record) -> int:
        """The register of what is recorded."""
        if record.field == "sample_id":
            return self._sample_ids(record.node, record.role)
        return self._field(record.node, record.role, record.field, record.dtype, record.shape)

    def _argument(self, argument: Argument) -> int:
        role, field = argument.role, argument.field
        if argument.column:
            _, _, name = argument.column.partition(".")
            read = Read(
                value=argument.column, columns=(name,), dtype=argument.dtype, shape=argument.shape
            )
            lane = Lane(self._reading(argument.node, read), role)
            return self._column(read, lane, argument.dtype, argument.shape)
        return self._field(argument.node, role, field, argument.dtype, argument.shape)

    def _field(self, label: str, role: str, field: str, dtype: str, shape: Shape) -> int:
        node = self._plan.graph.nodes[label]
        if field == "outputs":
            return self._output(label, role, dtype, shape)
        assert node.target is not None
        return self._column(
            node.target, Lane(self._reading(label, node.target), role), dtype, shape
        )

    def _input(self, label: str, role: str, read: Read) -> int:
        if read.columns:
            return self._column(
                read, Lane(self._reading(label, read), role), read.dtype, read.shape
            )
        return self._output(read.value, role, read.dtype, read.shape)

    def _readings_of(self, label: str) -> list[int]:
        """The readings on which a node depends."""
        below = reachable(
            {name: self._reads_nodes(name) for name in self._plan.graph.nodes}, [label]
        )
        return [
            number
            for number, reading in enumerate(self._readings)
            if reading.nodes is None or not reading.nodes.isdisjoint(below)
        ]

    def _reads_nodes(self, label: str) -> list[str]:
        return [read.value for read in self._plan.graph.nodes[label].inputs if not read.columns]

    def _reading(self, label: str, read: Read) -> int:
        """The reading from which columns of a node come: its own, or that of the nodes before it."""
        own = [
            number
            for number, reading in enumerate(self._readings)
            if reading.nodes is None
            or (label in reading.nodes and reading.data == read.feature_set)
        ]
        return next(
            number
            for number in (*own, *self._readings_of(label))
            if self._readings[number].data in ("", read.feature_set)
        )

    def _column(self, read: Read, lane: Lane, dtype: str, shape: Shape) -> int:
        key = (read.columns, read.dtype, dtype, shape)
        if (lane, key) not in self._known:
            split, held = self._readings[lane.reading].split, (lane.reading, key)
            if held not in self._rows:
                rows = split.table.read(
                    read.columns, split.positions, dtype=read.dtype, shape=read.shape
                )
                values = cast(rows, dtype, read.columns).reshape(-1, *shape)
                self._rows[held] = tensor_of(values).to(self._state.device)
            self._column_of((lane, key), self._rows[held], lane)
        return self._known[lane, key]

    def _sample_ids(self, node: str, role: str) -> int:
        number = next(
            number
            for number, reading in enumerate(self._readings)
            if reading.nodes is None or node == reading.data or node in reading.nodes
        )
        key = "sample_id", number
        if key not in self._rows:
            split = self._readings[number].split
            self._rows[key] = tensor_of(
                np.arange(split.rows) if split.positions is None else split.positions
            ).to(self._state.device)
        return self._column_of((role, *key), self._rows[key], Lane(number, role))

    def _output(self, label: str, role: str, dtype: str, shape: Shape) -> int:
        node = self._plan.graph.nodes[label]
        source = self._known[role, label]
        if (dtype, shape) == (node.dtype, node.shape):
            return source
        key = (role, label, dtype, shape)
        if key not in self._known:
            torch_dtype = getattr(torch, dtype)
            if source >= 0:
                values = self.columns[source].to(torch_dtype).reshape(-1, *shape)
                self._column_of(key, values, self.lanes[source])
            else:
                view = viewing(source, self._next_computed(), torch_dtype, shape)
                self._known[key] = -self._computed
                self.operations.append(view)
        return self._known[key]

    def _column_of(self, key: object, rows: Tensor, lane: Lane) -> int:
        """The register of a column, which is added unless it is known by its key."""
        if key not in self._known:
            self.columns.append(rows)
            self.lanes.append(lane)
            self._known[key] = len(self.columns) - 1
        return self._known[key]

    def _next_computed(self) -> int:
        self._computed += 1
        return -self._computed

    def _add_node(self, label: str, role: str, *, fitted: bool) -> None:
        node = self._plan.graph.nodes[label]
        inputs = [self._input(label, role, read) for read in node.inputs]
        if node.backend == "torch":
            operate = self._state.builder.forward(
                label,
                node,
                self._state.nodes[label],
                inputs,
                self._next_computed(),
                apart=label in self._apart and any(each < 0 for each in inputs),
            )
            self._known[role, label] = -self._computed
            self.operations.append(operate)
            return
        if label in self._learning:
            learn = self._learn(label, node)
            self.operations.append(
                calling(learn, [*inputs, *self._targets(label, role)], self._next_computed())
            )
            self._known[role, label] = -self._computed
            return
        if node.component.code is not None:
            # What it makes of a batch may be other than what it makes of each of its rows.
            join = self._state.builder.merge(label, node)
            self.operations.append(calling(join, inputs, self._next_computed()))
            self._known[role, label] = -self._computed
            return
        compute = (
            self._sklearn(label, node, fitted=fitted)
            if node.backend == "sklearn"
            else merging(node)
        )
        lanes = {self.lanes[register] if register >= 0 else None for register in inputs}
        lane = lanes.pop()
        if lane is None or lanes or label in self._changing:
            self.operations.append(calling(compute, inputs, self._next_computed()))
            self._known[role, label] = -self._computed
            return
        held = (label, lane.reading)
        if held not in self._rows:
            self._rows[held] = compute(*[self.columns[register] for register in inputs])
        self._column_of((role, label), self._rows[held], lane)

    def _sklearn(self, label: str, node: Node, *, fitted: bool) -> Callable[[Tensor], Tensor]:
        from specplan.models.sklearn import build as estimators

        state, live = self._state, self._state.nodes
        fit_to = self._fit_target(node) if fitted else None

        def compute(inputs: Tensor) -> Tensor:
            rows = inputs.detach().cpu().numpy()
            if fitted:
                live[label] = estimators.fitted(live[label], rows, fit_to)
                state.fitted.add(label)
            return torch.from_numpy(outputs(live[label], rows)).to(state.device)

        outputs = estimators.outputs(estimators.method_of(node), dtype=node.dtype, shape=node.shape)
        return compute

    def _targets(self, label: str, role: str) -> list[int]:
        """The register of what a node learns from; none for one that needs no target."""
        target = self._plan.graph.nodes[label].target
        if target is None:
            return []
        return [self._field(label, role, "targets", target.dtype, target.shape)]

    def _learn(self, label: str, node: Node) -> Callable[..., Tensor]:
        """A batch goes into the estimator, then the estimator is asked for it."""
        from specplan.models.sklearn import build as estimators

        state, live = self._state, self._state.nodes
        if label not in state.learning_in_batches:
            # It may be that of a snapshot, or of another phase that recorded it.
            live[label] = copy.deepcopy(live[label])
            state.learning_in_batches.add(label)
        outputs = estimators.outputs(estimators.method_of(node), dtype=node.dtype, shape=node.shape)
        given = dict(node.partial_fit)
        if estimators.classifies(live[label]) and "classes" not in given:
            assert node.target is not None
            reading = self._readings[self._reading(label, node.target)]
            given["classes"] = np.unique(
                reading.split.table.read(
                    node.target.columns, None, dtype=node.target.dtype, shape=node.target.shape
                )
            )

        def learn(inputs: Tensor, *targets: Tensor) -> Tensor:
            rows = inputs.detach().cpu().numpy()
            estimators.learn(live[label], rows, *(each.cpu().numpy() for each in targets), **given)
            state.fitted.add(label)
            return torch.from_numpy(outputs(live[label], rows)).to(state.device)

        return learn

    def _fit_target(self, node: Node) -> NDArray[Any] | None:
        target = node.target
        if target is None:
            return None
        split = self._readings[0].split
        return split.table.read(
            target.columns, split.positions, dtype=target.dtype, shape=target.shape
        )
