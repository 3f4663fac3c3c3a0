"""The columns of a FeatureSet as contiguous numpy arrays, read once and checked against the plan."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np

from specplan._native import read_table_header
from specplan.data.arrow_columns import read_columns
from specplan.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from specplan.plan.model import Compiled, Data, Plan, Shape


class Table(msgspec.Struct, frozen=True):
    """Some columns of one FeatureSet, each of shape (rows, *shape). Files may be mapped, so arrays are read-only."""

    rows: int
    columns: Mapping[str, NDArray[Any]]

    def read(
        self,
        columns: Sequence[str],
        positions: NDArray[np.int64] | None,
        *,
        dtype: str,
        shape: Shape,
    ) -> NDArray[Any]:
        """The rows at `positions` (all for None) of `columns`, joined along the last axis of a row, cast and viewed."""
        parts = [self.columns[name] for name in columns]
        if positions is not None:
            parts = [part[positions] for part in parts]
        if len(parts) > 1:
            parts = [part[:, None] if part.ndim == 1 else part for part in parts]
            joined = np.concatenate(parts, axis=-1)
        else:
            joined = parts[0]
        return np.ascontiguousarray(joined, dtype=dtype).reshape(len(joined), *shape)


def read_tables(compiled: Compiled) -> dict[str, Table]:
    """Read every column that the plan's nodes and targets use, by FeatureSet.

    Raises:
        DataError: a file is missing, damaged or not the one that was compiled; or rows do not have the
            shape that the plan says; or a memory table is not bound in this process.
    """
    return {
        name: _read_table(name, compiled.plan.data[name], columns, compiled)
        for name, columns in _used_columns(compiled.plan).items()
    }


def _used_columns(plan: Plan) -> dict[str, list[str]]:
    used: dict[str, dict[str, None]] = {phase.data: {} for phase in plan.phases}
    for node in plan.graph.nodes.values():
        targets = () if node.target is None else (node.target,)
        for read in (*node.inputs, *targets):
            if read.columns:
                used.setdefault(read.value.partition(".")[0], {}).update(dict.fromkeys(read.columns))
    return {name: list(columns) for name, columns in used.items()}


def _read_table(name: str, data: Data, columns: Iterable[str], compiled: Compiled) -> Table:
    source = data.source
    shapes = {column: data.columns[column].shape for column in columns}
    if source.use == "memory":
        assert source.name is not None
        table = _memory_table(name, source.name, compiled.tables)
        arrays = {column: np.ascontiguousarray(table[column]) for column in shapes}
    else:
        assert source.path is not None
        path = compiled.folder / source.path
        _check_file(name, path, source.use, source.digest)
        arrays = read_columns(path, source.use, shapes)
    return Table(data.rows, arrays)


def _memory_table(
    feature_set: str, name: str, tables: Mapping[str, Mapping[str, NDArray[Any]]]
) -> Mapping[str, NDArray[Any]]:
    if name in tables:
        return tables[name]
    bound = ", ".join(f"`{other}`" for other in tables) or "none"
    msg = (
        f"FeatureSet `{feature_set}` reads the memory table `{name}`, which is not bound here; bound: {bound}\n"
        "hint: a plan that reads memory tables runs only in the program that compiled it"
    )
    raise DataError(msg)


def _check_file(feature_set: str, path: Path, use: Any, digest: str) -> None:
    if not path.is_file():
        msg = f"FeatureSet `{feature_set}`: there is no file `{path}`"
        raise DataError(msg)
    found = read_table_header(str(path), use).digest
    if found != digest:
        msg = (
            f"FeatureSet `{feature_set}`: `{path}` changed since the plan was compiled "
            f"(header digest {digest[:15]}… in the plan, {found[:15]}… in the file)\n"
            "hint: compile the spec again"
        )
        raise DataError(msg)
