"""Targets that a loss cannot judge. They are found before a run begins, because torch would fail in the middle
of it, or give a number: it leaves out the class -100, and any value is a probability to it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from specplan.errors import DataError
from specplan.plan.model import Train
from specplan.run.context import split_of
from specplan.spec.wording import quoted

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from numpy.typing import NDArray

    from specplan.data.table import Table
    from specplan.plan.model import Objective, Plan


def check_targets(plan: Plan, tables: Mapping[str, Table]) -> None:
    """Look at the targets of every loss that takes only some values.

    Raises:
        DataError: naming the first row with another value.
    """
    for feature_set, split, loss in _losses(plan):
        wrong = _WRONG.get(loss.component.use)
        for argument in loss.arguments:
            target = plan.graph.nodes[argument.node].target
            if wrong is None or argument.field != "targets" or target is None:
                continue
            rows = split_of(plan, tables, feature_set, split)
            values = rows.table.read(
                target.columns, rows.positions, dtype=target.dtype, shape=target.shape
            ).reshape(rows.rows, -1)
            refused, takes = wrong(loss, values)
            if refused.any():
                position, element = np.argwhere(refused)[0]
                row = position if rows.positions is None else rows.positions[position]
                raise DataError(
                    f"FeatureSet `{feature_set}`: {quoted(target.columns)} is {values[position, element]} "
                    f"in row {row}; loss `{loss.label}` takes {takes}"
                )


def _losses(plan: Plan) -> Iterator[tuple[str, str | None, Objective]]:
    for phase in plan.phases:
        for loss in phase.losses:
            yield phase.data, phase.split, loss
        for evaluation in phase.evaluations if isinstance(phase, Train) else ():
            for loss in evaluation.losses:
                yield phase.data, evaluation.split, loss


def _no_class(loss: Objective, values: NDArray[Any]) -> tuple[NDArray[np.bool_], str]:
    classes = loss.arguments[0].shape[0]
    return (values < 0) | (values >= classes), f"the classes 0 to {classes - 1}"


def _no_probability(_loss: Objective, values: NDArray[Any]) -> tuple[NDArray[np.bool_], str]:
    return (values < 0) | (values > 1), "values from 0 to 1"


_WRONG: Mapping[str, Callable[[Objective, NDArray[Any]], tuple[NDArray[np.bool_], str]]] = {
    "cross_entropy": _no_class,
    "bce_with_logits": _no_probability,
}
