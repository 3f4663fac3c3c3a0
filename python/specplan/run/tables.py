"""The data that a plan reads: every column that its nodes and targets use, once for the whole run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from specplan.data.table import Table, read_file
from specplan.errors import DataError
from specplan.plan.memory import read_memory_header

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from numpy.typing import NDArray

    from specplan.plan.model import Compiled, Data, Plan, Source


def read_tables(compiled: Compiled) -> dict[str, Table]:
    """Read the FeatureSets of a plan.

    Raises:
        DataError: a file is missing, damaged or not the one that was compiled; rows do not have the
            shape that the plan says; or a memory table is not bound in this process.
    """
    return {
        name: _read_table(name, compiled.plan.data[name], columns, compiled)
        for name, columns in _used_columns(compiled.plan).items()
    }


def _used_columns(plan: Plan) -> dict[str, list[str]]:
    used: dict[str, dict[str, None]] = {phase.data: {} for phase in plan.phases if phase.data}
    for node in plan.graph.nodes.values():
        targets = () if node.target is None else (node.target,)
        for read in (*node.inputs, *targets):
            if read.columns:
                feature_set = read.value.partition(".")[0]
                used.setdefault(feature_set, {}).update(dict.fromkeys(read.columns))
    return {name: list(columns) for name, columns in used.items()}


def _read_table(name: str, data: Data, columns: Iterable[str], compiled: Compiled) -> Table:
    source = data.source
    shapes = {column: data.columns[column].shape for column in columns}
    try:
        if source.use == "memory":
            table = _memory_table(source, data.columns, compiled.tables)
            arrays = {column: np.ascontiguousarray(table[column]) for column in shapes}
        else:
            assert source.path is not None
            path = compiled.folder / source.path
            arrays = read_file(path, source.use, digest=source.digest, shapes=shapes)
    except DataError as error:
        msg = f"FeatureSet `{name}`: {error}"
        raise DataError(msg) from error
    for column, array in arrays.items():
        expected = data.columns[column].dtype
        if len(array) != data.rows:
            found = f"has {len(array)} rows, the plan says {data.rows}"
        elif array.dtype.name != expected:
            found = f"is {array.dtype}, the plan says {expected}"
        else:
            continue
        raise DataError(f"FeatureSet `{name}`: `{column}` {found}")
    return Table(data.rows, arrays)


def _memory_table(
    source: Source, columns: Iterable[str], tables: Mapping[str, Mapping[str, NDArray[Any]]]
) -> Mapping[str, NDArray[Any]]:
    assert source.name is not None
    if source.name not in tables:
        bound = ", ".join(f"`{name}`" for name in tables) or "none"
        msg = (
            f"the memory table `{source.name}` is not bound here; bound: {bound}\n"
            "hint: a plan that reads memory tables runs only in a program that holds them"
        )
        raise DataError(msg)
    table = tables[source.name]
    held = {name: table[name] for name in columns if name in table}
    if read_memory_header(held).digest != source.digest:
        msg = f"the memory table `{source.name}` changed since the plan was compiled"
        raise DataError(msg)
    return table
