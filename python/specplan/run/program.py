"""The forward pass of a phase, compiled to closures over numbered registers.

A step works on one list of registers. Columns of the data have the numbers from 0 up, so one slice
assignment loads a batch; what a step computes has the numbers from -1 down. Everything that the plan
names is looked up here, once: the loop over steps sees only numbers and bound functions.
"""

from __future__ import annotations

from operator import itemgetter
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np
import torch
from torch import Tensor

from specplan.data.table import cast

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence

    from numpy.typing import NDArray

    from specplan.data.table import Table
    from specplan.plan.model import Argument, Node, Objective, Plan, Read, Record, Shape
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


class Program:
    """Compiles the nodes of one phase over one split, then what losses, metrics and records read.

    Attributes:
        columns: one tensor over all rows of the split for each register from 0 up. Outputs of
            scikit-learn nodes and merges that depend on nothing but columns are columns too.
        operations: what a step computes, in order.
        rows: of the split.
    """

    def __init__(
        self,
        plan: Plan,
        state: State,
        split: Split,
        nodes: Sequence[str],
        *,
        fitted: Collection[str] = (),
    ) -> None:
        self.columns: list[Tensor] = []
        self.operations: list[Callable[[Registers], None]] = []
        self._plan = plan
        self._state = state
        self._split = split
        self._known: dict[object, int] = {}
        self._computed = 0
        self.rows = split.rows
        for label in nodes:
            self._add_node(label, fitted=label in fitted)

    def registers(self) -> Registers:
        """Fresh registers. Call it when everything has been compiled."""
        return [None] * (len(self.columns) + self._computed)

    def losses(self, objectives: Sequence[Objective]) -> Callable[[Registers], list[Tensor]]:
        """A function of the registers that gives the value of each loss, not weighted."""
        bound = [
            (
                self._state.builder.loss(objective),
                itemgetter(*self.arguments(objective)),
            )
            for objective in objectives
        ]
        if len(bound) == 1:
            [(function, arguments)] = bound
            return lambda registers: [function(*arguments(registers))]
        return lambda registers: [function(*arguments(registers)) for function, arguments in bound]

    def metric(self, objective: Objective) -> Callable[..., float]:
        """A function of all outputs and targets of the split."""
        return self._state.builder.metric(objective)

    def arguments(self, objective: Objective) -> list[int]:
        """The registers that a loss or metric reads."""
        return [self._argument(argument) for argument in objective.arguments]

    def inputs(self, label: str) -> list[int]:
        """The registers that a node reads."""
        return [self._input(read) for read in self._plan.graph.nodes[label].inputs]

    def record(self, record: Record) -> int:
        """The register of what is recorded."""
        if record.field == "sample_id":
            return self._sample_ids()
        return self._field(record.node, record.field, record.dtype, record.shape)

    def _argument(self, argument: Argument) -> int:
        return self._field(argument.node, argument.field, argument.dtype, argument.shape)

    def _field(self, label: str, field: str, dtype: str, shape: Shape) -> int:
        node = self._plan.graph.nodes[label]
        if field == "outputs":
            return self._output(label, dtype, shape)
        assert node.target is not None
        return self._column(node.target, dtype, shape)

    def _input(self, read: Read) -> int:
        if read.columns:
            return self._column(read, read.dtype, read.shape)
        return self._output(read.value, read.dtype, read.shape)

    def _column(self, read: Read, dtype: str, shape: Shape) -> int:
        key = (read.columns, read.dtype, dtype, shape)
        if key not in self._known:
            rows = self._split.table.read(
                read.columns, self._split.positions, dtype=read.dtype, shape=read.shape
            )
            self._known[key] = self._add_column(cast(rows, dtype, read.columns).reshape(-1, *shape))
        return self._known[key]

    def _sample_ids(self) -> int:
        key = "sample_id"
        if key not in self._known:
            positions = self._split.positions
            rows = np.arange(self._split.rows) if positions is None else positions
            self._known[key] = self._add_column(rows)
        return self._known[key]

    def _output(self, label: str, dtype: str, shape: Shape) -> int:
        node = self._plan.graph.nodes[label]
        source = self._known[label]
        if (dtype, shape) == (node.dtype, node.shape):
            return source
        key = (label, dtype, shape)
        if key not in self._known:
            torch_dtype = getattr(torch, dtype)
            if source >= 0:
                values = self.columns[source].to(torch_dtype).reshape(-1, *shape)
                self._known[key] = self._add_column(values)
            else:
                view = _view(source, self._next_computed(), torch_dtype, shape)
                self._known[key] = -self._computed
                self.operations.append(view)
        return self._known[key]

    def _add_column(self, rows: NDArray[Any] | Tensor) -> int:
        if isinstance(rows, np.ndarray):
            # A tensor over read-only memory, as a mapped file is, could be written through by mistake.
            rows = torch.from_numpy(rows if rows.flags.writeable else rows.copy())
        self.columns.append(rows)
        return len(self.columns) - 1

    def _next_computed(self) -> int:
        self._computed += 1
        return -self._computed

    def _add_node(self, label: str, *, fitted: bool) -> None:
        node = self._plan.graph.nodes[label]
        inputs = [self._input(read) for read in node.inputs]
        constant = all(register >= 0 for register in inputs)
        if node.backend == "torch":
            operate = self._state.builder.forward(
                label, node, self._state.nodes[label], inputs[0], self._next_computed()
            )
            self._known[label] = -self._computed
            self.operations.append(operate)
            return
        compute = (
            self._sklearn(label, node, fitted=fitted) if node.backend == "sklearn" else _merge(node)
        )
        if constant:
            self._known[label] = self._add_column(compute(*[self.columns[i] for i in inputs]))
        else:
            self.operations.append(_call(compute, inputs, self._next_computed()))
            self._known[label] = -self._computed

    def _sklearn(self, label: str, node: Node, *, fitted: bool) -> Callable[[Tensor], Tensor]:
        from specplan.models.sklearn import build as estimators

        state, live, use = self._state, self._state.nodes, node.component.use
        fit_to = self._fit_target(node) if fitted else None

        def compute(inputs: Tensor) -> Tensor:
            rows = inputs.detach().numpy()
            if fitted:
                live[label] = estimators.fitted(live[label], rows, fit_to)
                state.fitted.add(label)
            found = estimators.outputs(use, live[label], rows, dtype=node.dtype, shape=node.shape)
            return torch.from_numpy(found)

        return compute

    def _fit_target(self, node: Node) -> NDArray[Any] | None:
        target = node.target
        if target is None:
            return None
        return self._split.table.read(
            target.columns, self._split.positions, dtype=target.dtype, shape=target.shape
        )


def _view(
    source: int, destination: int, dtype: torch.dtype, shape: Shape
) -> Callable[[Registers], None]:
    def operate(registers: Registers) -> None:
        registers[destination] = registers[source].to(dtype).reshape(-1, *shape)

    return operate


def _call(
    compute: Callable[..., Tensor], sources: Sequence[int], destination: int
) -> Callable[[Registers], None]:
    def operate(registers: Registers) -> None:
        registers[destination] = compute(*[registers[source] for source in sources])

    return operate


def _merge(node: Node) -> Callable[..., Tensor]:
    axis = node.component.args["axis"]
    batch_axis = axis + 1 if axis >= 0 else axis

    def compute(*inputs: Tensor) -> Tensor:
        # A scalar counts as a row of one element where rows are joined.
        rows = [value[:, None] if value.ndim == 1 else value for value in inputs]
        return torch.cat(rows, batch_axis)

    return compute
