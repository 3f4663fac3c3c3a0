"""The check that a loss over classes has an output for every class that it will read."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from specplan.data.split import split_rows
from specplan.errors import DataError
from specplan.plan.model import Train

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from specplan.data.table import Table
    from specplan.plan.model import Objective, Phase, Plan

Classes = tuple[str, str | None, str, str, int]
"""FeatureSet, split, node of the targets, node of the outputs, number of outputs."""


def check_class_targets(plan: Plan, tables: Mapping[str, Table]) -> None:
    """Look at the class targets of every split that a cross entropy is computed on, once each.

    Raises:
        DataError: a class is negative or has no output; names the first row that holds one.
    """
    wanted = {classes: None for phase in plan.phases for classes in _classes(phase)}
    for classes in wanted:
        _check(plan, tables, classes)


def _classes(phase: Phase) -> Iterator[Classes]:
    splits: list[tuple[str | None, tuple[Objective, ...]]] = [(phase.split, phase.losses)]
    if isinstance(phase, Train):
        splits += [(evaluation.split, evaluation.losses) for evaluation in phase.evaluations]
    for split, losses in splits:
        for loss in losses:
            if loss.component.use == "cross_entropy":
                outputs, targets = loss.arguments
                if targets.field == "targets":
                    yield phase.data, split, targets.node, outputs.node, outputs.shape[0]


def _check(plan: Plan, tables: Mapping[str, Table], classes: Classes) -> None:
    feature_set, split, target_node, node, number = classes
    target = plan.graph.nodes[target_node].target
    assert target is not None
    data = plan.data[feature_set]
    rows = np.arange(data.rows)
    if split is not None:
        assert data.splitter is not None
        rows = np.sort(split_rows(data.sizes, data.splitter.args["seed"])[split])
    values = tables[feature_set].read(target.columns, rows, dtype=target.dtype, shape=target.shape)
    values = values.reshape(len(rows), -1)
    wrong = np.argwhere((values < 0) | (values >= number))
    if len(wrong):
        row, position = wrong[0]
        msg = (
            f"SP653: `{target.value}` holds the class {values[row, position]} in row {rows[row]}, "
            f"but node `{node}` has {number} outputs; allowed: 0 to {number - 1}\n"
            f"hint: give {node} `output_shape: [n]` for n classes, which count from 0"
        )
        raise DataError(msg)
