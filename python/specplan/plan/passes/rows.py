"""Pass: one look at the rows themselves, where it costs little or is asked for."""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING

from specplan._native import read_keys, scan_rows
from specplan.data.scan import FOLD_LEAK_HINT, LEAK_HINT, fold_leak, leak, not_finite
from specplan.errors import DataError
from specplan.plan.dtypes import is_class
from specplan.plan.fold_rows import outer_folds
from specplan.plan.model import Train
from specplan.plan.passes.fold_keys import rows_in
from specplan.plan.reads import columns_read, splits_read

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from specplan._native import RowScan
    from specplan.plan.model import Node, Objective
    from specplan.plan.passes.context import Context
    from specplan.plan.passes.data import FeatureSet
    from specplan.plan.passes.schedule import Schedule
    from specplan.plan.reads import ColumnsRead
    from specplan.spec.diagnostics import Path

SMALL_BYTES = 8 << 20
"""A file that is no larger is looked at unasked. Reading it takes a few hundredths of a second."""

_HINTS = {
    "SP507": "all rows of a column have one shape: pad or cut the lists where the data are made",
    "SP505": "fill it in, or leave the row out, where the data are made",
}


def look(
    context: Context,
    bound: Mapping[str, FeatureSet],
    nodes: Mapping[str, Node],
    scheduled: Schedule,
    *,
    check_data: bool,
) -> frozenset[str]:
    """Report equal rows in several splits, and values that are not finite.

    Returns the labels of the FeatureSets that were looked at; the run looks at the others. A table in
    memory is left to the run: the program that holds it compiles for every phase that it runs.
    """
    splits = splits_read(scheduled.phases, scheduled.folds)
    seen = []
    for label, columns in columns_read(nodes).items():
        feature_set = bound[label]
        table = feature_set.table
        if label not in splits or table is None or table.file is None or feature_set.data is None:
            continue
        if not check_data and table.file.stat().st_size > SMALL_BYTES:
            continue
        scan = _scan(context, feature_set, columns)
        if scan is not None:
            _report_values(context, feature_set, columns, scan, splits[label])
            _report_leaks(context, feature_set, len(columns.inputs), scan, scheduled)
            if _is_whole(feature_set, splits[label]):
                _report_classes(context, feature_set, nodes, scheduled)
            seen.append(label)
    return frozenset(seen)


def _scan(context: Context, feature_set: FeatureSet, columns: ColumnsRead) -> RowScan | None:
    table, data = feature_set.table, feature_set.data
    assert table is not None
    assert table.file is not None
    assert data is not None
    assert table.source.use != "memory"
    # What scalers make of rows is equal and finite where the rows are.
    stored = [data.scaled.get(name, name) for name in columns.all]
    wanted = [(name, prod(data.columns[name].shape)) for name in stored]
    try:
        return scan_rows(str(table.file), table.source.use, wanted, data.rows)
    except DataError as error:
        message = error.message.replace(str(table.file), table.called)
        if error.column is None:
            context.error("SP508", message, ("data", feature_set.label, "source"))
        else:
            place = _place(context, feature_set.label, error.column)
            context.error(error.code or "SP507", message, place, hint=_HINTS.get(error.code or ""))
        return None


def _report_values(
    context: Context,
    feature_set: FeatureSet,
    columns: ColumnsRead,
    scan: RowScan,
    splits: Collection[str | None],
) -> None:
    whole = _is_whole(feature_set, splits)
    for name, column in zip(columns.all, scan.columns, strict=True):
        if column.not_finite:
            message, place = (
                not_finite(name, column),
                _place(context, feature_set.label, feature_set.stored(name)),
            )
            # Which rows are in a split is not asked here: the run refuses those that it reads.
            if name in columns.finite and whole:
                context.error("SP514", message, place)
            else:
                context.warning("SP514", message, place)


def _is_whole(feature_set: FeatureSet, splits: Collection[str | None]) -> bool:
    """Whether every row of a FeatureSet is read."""
    return None in splits or set(feature_set.splits) <= set(splits)


def _report_classes(
    context: Context, feature_set: FeatureSet, nodes: Mapping[str, Node], scheduled: Schedule
) -> None:
    """Report classes that a node has no output for. Where not all rows are read, the run does."""
    for loss in _of_classes(scheduled):
        outputs, targets = loss.arguments
        read = nodes[targets.node].target
        if read is None or read.feature_set != feature_set.label or len(read.columns) > 1:
            continue
        wrong = _without_output(feature_set, read.columns[0], outputs.shape[0])
        if wrong is None:
            continue
        number = outputs.shape[0]
        message = (
            f"`{read.value}` holds the class {wrong}, but {outputs.node} has {number} outputs, "
            f"for the classes 0 to {number - 1}"
        )
        hint = "classes are counted from 0, where the data are made"
        if wrong >= number:
            hint = f"give {outputs.node} `output_shape: [{wrong + 1}]`"
        place: Path = ("graph", "nodes", outputs.node, "model", "output_shape")
        if wrong < 0 or "output_shape" not in (context.spec.graph.nodes[outputs.node].model or {}):
            place = ("graph", "nodes", targets.node, "target")
        context.error("SP653", message, place, hint=hint)


def _of_classes(scheduled: Schedule) -> list[Objective]:
    """The losses of all phases that read the outputs of a node and integer classes, each once."""
    found: dict[str, Objective] = {}
    for phase in scheduled.phases:
        evaluations = phase.evaluations if isinstance(phase, Train) else ()
        for loss in (*phase.losses, *(one for each in evaluations for one in each.losses)):
            if loss.component.use == "cross_entropy" and (
                tuple(argument.field for argument in loss.arguments) == ("outputs", "targets")
            ):
                found.setdefault(loss.label, loss)
    return list(found.values())


def _without_output(feature_set: FeatureSet, column: str, outputs: int) -> int | None:
    """A class of a column that is not one of the first `outputs`: the largest, or a negative one."""
    table, data = feature_set.table, feature_set.data
    assert table is not None
    assert data is not None
    assert table.source.use != "memory"
    stored = data.columns.get(column)
    if stored is None or stored.shape or column in data.scaled or not is_class(stored.dtype):
        return None
    keys = read_keys(str(table.file), table.source.use, [column])
    classes = [int(keys.texts(key)[0]) for key in range(len(keys.counts))]
    return next((each for each in (min(classes), max(classes)) if not 0 <= each < outputs), None)


def _report_leaks(
    context: Context, feature_set: FeatureSet, inputs: int, scan: RowScan, scheduled: Schedule
) -> None:
    splitter = feature_set.data.splitter if feature_set.data is not None else None
    if splitter is not None and splitter.args.get("leaks") == "allow":
        return
    folds = scheduled.folds[feature_set.label]
    if feature_set.cut is not None:
        read = splits_read(scheduled.phases, scheduled.folds)[feature_set.label]
        found = leak(scan, inputs, feature_set.cut, read)
        if found is not None:
            path: Path = ("data", feature_set.label, "splits")
            context.warning("SP506", found, path, hint=LEAK_HINT)
            return
    rows = rows_in(feature_set, folds) if folds else None
    for label, fold in outer_folds(folds).items():
        assert rows is not None, "there are no folds of what could not be read"
        found = fold_leak(scan, inputs, rows.parts(fold), rows.rows)
        if found is not None:
            place = scheduled.fold_places[label.rpartition(".")[0]]
            context.warning("SP506", found, place, hint=FOLD_LEAK_HINT)


def _place(context: Context, label: str, name: str) -> Path:
    spec = context.spec.data[label]
    domain = "features" if name in spec.features else "targets"
    names = spec.features if domain == "features" else spec.targets
    return ("data", label, domain, names.index(name))
