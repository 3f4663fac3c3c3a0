"""The rows of FeatureSets from which a node of a run was computed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from specplan.data.column_names import TRANSFORMED
from specplan.data.context import active_context
from specplan.data.feature_set import FeatureSet
from specplan.errors import RunError
from specplan.results.scalers import Learned

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from specplan.data.feature_set_view import FeatureSetView
    from specplan.results.execution_store import ExecutionStore
    from specplan.results.open import Run


def source_views(
    run: Run, store: ExecutionStore, node: str, *, role: str, epoch: int | None, batch: int | None
) -> dict[str, FeatureSetView]:
    """The rows that went through a node, each once and in ascending order, by FeatureSet.

    Raises:
        RunError: a FeatureSet is not in the active context, or has other rows than the run read.
    """
    views = {}
    for source in store.sources_of(node):
        ids = store.sample_ids(source, role)
        rows = [ids[key] for key in ids if epoch in (None, key[0]) and batch in (None, key[1])]
        unique = np.unique(np.concatenate(rows)) if rows else np.empty(0, np.int64)
        views[source] = feature_set(run, source).take(unique.tolist())
    return views


def feature_set(run: Run, label: str) -> FeatureSet:
    """The FeatureSet of the active context that a run read.

    Raises:
        RunError: it is not there, or has another number of rows.
    """
    known = {member.label: member for member in active_context().members(FeatureSet)}
    if label not in known:
        raise RunError(
            f"the rows of FeatureSet `{label}` are not in the run\n"
            f"hint: make or load `{label}` in the active context"
        )
    planned = run.plan.data[label].rows
    if len(known[label]) != planned:
        raise RunError(
            f"FeatureSet `{label}` has {len(known[label])} rows, and the run read one of {planned}"
        )
    return known[label]


def unscaler(run: Run, path: str, node: str, domain: str) -> Callable[[Any], NDArray[Any]]:
    """What takes the scalers of a node's target back from outputs or targets of the phase at `path`.

    The run knows what its scalers learned; those of the program's own have to be in the active context.

    Raises:
        RunError: the FeatureSet is not there.
        ValueError: the node has no target, or other values are asked for.
    """
    target = run.plan.graph.nodes[node].target
    if target is None or domain not in ("outputs", "targets"):
        raise ValueError(
            f"only outputs and targets of a node with a target can be unscaled, not {domain} of `{node}`"
        )
    label = target.value.partition(".")[0]
    data = run.plan.data[label]
    if set(target.columns) & data.scaled.keys():
        phase = next(phase for phase in run.plan.phases if phase.path == path.partition("@")[0])
        learned, fold = Learned(run.folder, run.plan), data.fold_path_of(phase.passes)
        return lambda rows: learned.unscaled(rows, label, target.columns, fold=fold)
    source = feature_set(run, label)
    known = source.keys("targets")
    # A plan calls the scaled form of a column `key.transformed`.
    keys = [
        column if column in known else column.removesuffix(f".{TRANSFORMED}")
        for column in target.columns
    ]
    return lambda rows: source.unscale_data_for_cols(data=rows, domain="targets", columns=keys)
