"""The check that a loss can judge the targets that it will read, before anything is written.

torch would fail in the middle of the run, or give a number: it leaves out the class -100, and takes any
value for a probability.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from specplan.errors import DataError
from specplan.plan.canonical import pointer_to
from specplan.plan.model import Eval, Train
from specplan.run.context import split_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from numpy.typing import NDArray

    from specplan.data.table import Table
    from specplan.plan.model import Argument, Objective, Phase, Plan


def check_targets(plan: Plan, tables: Mapping[str, Table]) -> None:
    """Look at the targets of every split that a cross entropy is computed on.

    Raises:
        DataError: a class is negative or has no output, or a target of a binary cross entropy is not in
            [0, 1]; names the first row that holds one.
    """
    for phase, data, split, loss in _losses(plan):
        refusal = _REFUSALS.get(loss.component.use)
        if refusal is None:
            continue
        for argument, other in (loss.arguments, loss.arguments[::-1]):
            target = plan.graph.nodes[argument.node].target
            if argument.field != "targets" or target is None or target.feature_set != data:
                continue
            read = split_of(plan, tables, phase, split, data)
            rows = np.arange(read.rows) if read.positions is None else np.sort(read.positions)
            values = read.table.read(target.columns, rows, dtype=target.dtype, shape=target.shape)
            values = values.reshape(len(rows), -1)
            wrong, explain = refusal(values, other)
            if wrong.any():
                row, element = np.argwhere(wrong)[0]
                message, hint = explain(target.value, values[row, element], rows[row])
                column = target.columns[0]
                place = pointer_to("data", data, "columns", column)
                raise DataError(message, code="SP653", pointer=place, column=column, hint=hint)


def _losses(plan: Plan) -> Iterator[tuple[Phase, str, str | None, Objective]]:
    """Each loss with the FeatureSets and splits on which it may be computed."""
    for phase in plan.phases:
        read = {(phase.data, phase.split)}
        if isinstance(phase, Eval):
            read |= {(label, phase.split) for label in phase.joined}
        if isinstance(phase, Train):
            read |= {(feed.data, feed.split) for feed in phase.feeds}
        for loss in phase.losses:
            for data, split in sorted(read, key=str):
                yield phase, data, split, loss
        for evaluation in phase.evaluations if isinstance(phase, Train) else ():
            for loss in evaluation.losses:
                yield phase, evaluation.data or phase.data, evaluation.split, loss


Refused = tuple["NDArray[np.bool_]", "Callable[[str, Any, int], tuple[str, str | None]]"]
"""Which values are refused, and what is said of one by column, value and row: a message, and a hint."""


def _no_class(values: NDArray[Any], outputs: Argument) -> Refused:
    node, number = outputs.node, outputs.shape[0]

    def explain(column: str, value: Any, row: int) -> tuple[str, str]:
        message = (
            f"`{column}` holds the class {value} in row {row}, "
            f"but node `{node}` has {number} outputs; allowed: 0 to {number - 1}"
        )
        return message, f"give {node} `output_shape: [n]` for n classes, which count from 0"

    return (values < 0) | (values >= number), explain


def _no_probability(values: NDArray[Any], _outputs: Argument) -> Refused:
    def explain(column: str, value: Any, row: int) -> tuple[str, None]:
        return f"`{column}` is {value} in row {row}; bce_with_logits takes 0 to 1", None

    return (values < 0) | (values > 1), explain


_REFUSALS: Mapping[str, Callable[[NDArray[Any], Argument], Refused]] = {
    "cross_entropy": _no_class,
    "bce_with_logits": _no_probability,
}
