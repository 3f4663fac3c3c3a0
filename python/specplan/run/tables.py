"""The data that a plan reads: every column that its nodes and targets use, once for the whole run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import msgspec
import numpy as np

from specplan._native import read_keys
from specplan.code.division import digest_of_rows
from specplan.components import COMPONENTS
from specplan.components.split import ConditionSplit, RowsSplit
from specplan.data.chosen_rows import choose, taken
from specplan.data.cut import CutError
from specplan.data.keys import keys_of
from specplan.data.split import cut, in_cut_order, key_columns
from specplan.data.table import COMPILE_AGAIN, Table, read_file
from specplan.errors import DataError
from specplan.plan.canonical import pointer_to
from specplan.plan.memory import read_memory_header
from specplan.plan.reads import columns_judged, columns_read, columns_sampled
from specplan.plan.sampled import named_columns, read_keyed
from specplan.run.context import fold_rows
from specplan.run.scaling import with_scaled
from specplan.spec.wording import quoted

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from numpy.typing import NDArray

    from specplan._native import Keys
    from specplan.components.split import Splitter
    from specplan.data.cut import Cut
    from specplan.plan.model import Compiled, Component, Data, Divided, Plan, Source
    from specplan.run.state import State


def read_tables(compiled: Compiled, state: State) -> dict[str, Table]:
    """Read the FeatureSets of a plan. The builder of `state` makes scalers and splitters.

    Raises:
        DataError: a file is missing, damaged or not the one that was compiled; rows do not have the
            shape that the plan says, or cannot be divided as it says; or a memory table is not bound in
            this process.
    """
    keys = columns_sampled(compiled.plan.phases)
    return {
        name: _with_keys(
            _read_table(name, compiled.plan.data[name], columns, compiled, state),
            name,
            keys.get(name, ()),
            compiled,
        )
        for name, columns in _used_columns(compiled.plan).items()
    }


def _used_columns(plan: Plan) -> dict[str, tuple[str, ...]]:
    used: dict[str, tuple[str, ...]] = {phase.data: () for phase in plan.phases if phase.data}
    used |= {name: read.all for name, read in columns_read(plan.graph.nodes).items()}
    for name, columns in columns_judged(plan.phases).items():
        used[name] = tuple(dict.fromkeys((*used.get(name, ()), *columns)))
    return used


def _with_keys(table: Table, name: str, keys: Sequence[str], compiled: Compiled) -> Table:
    """The table with the columns that samplers look at, which may be text."""
    if not keys:
        return table
    try:
        found = read_keyed(compiled.plan.data[name], keys, compiled.folder, compiled.tables)
    except DataError as error:
        raise _of(name, error) from error
    folds = {
        path: msgspec.structs.replace(inside, sampled=found) for path, inside in table.folds.items()
    }
    return msgspec.structs.replace(table, sampled=found, folds=folds)


def _read_table(
    name: str, data: Data, columns: Iterable[str], compiled: Compiled, state: State
) -> Table:
    source = data.source
    stored = {data.scaled.get(column, column): None for column in columns}
    if scales := any(column in data.scaled for column in columns):
        # A scaler sees all of its columns, also those that no node reads.
        stored |= dict.fromkeys(data.scaled.values())
    shapes = {column: data.columns[column].shape for column in stored}
    try:
        if source.use == "memory":
            named = [column for column in data.columns if column not in data.scaled]
            table = _memory_table(source, named, compiled.tables)
            arrays = {column: np.ascontiguousarray(table[column]) for column in shapes}
        else:
            assert source.path is not None
            path = compiled.folder / source.path
            arrays = read_file(path, source.use, digest=source.digest, shapes=shapes)
    except DataError as error:
        raise _of(name, error) from error
    for column, array in arrays.items():
        expected = data.columns[column].dtype
        if len(array) != data.rows:
            other = f"has {len(array)} rows, the plan says {data.rows}"
        elif array.dtype.name != expected:
            other = f"is {array.dtype}, the plan says {expected}"
        else:
            continue
        message = f"`{column}` {other}"
        raise _of(name, DataError(message, code="SP502", column=column, hint=COMPILE_AGAIN))
    try:
        found = _cut(name, data, compiled, state)
        keys = {
            fold.key_columns: _keys(fold.key_columns, data.source, compiled)
            for fold in data.folds.values()
            if fold.key_columns
        }
        divided = Table(data.rows, arrays, found, found.rows() if found else {}, keys)
        _check_folds(data, divided)
        return with_scaled(name, data, divided, state.builder.scaler) if scales else divided
    except DataError as error:
        raise _of(name, error) from error


def _of(name: str, error: DataError) -> DataError:
    """The error, with the part of the plan that it concerns."""
    pointer = error.pointer
    if pointer is None and error.column is not None:
        pointer = pointer_to("data", name, "columns", error.column)
    return DataError(
        f"FeatureSet `{name}`: {error.message}",
        code=error.code,
        pointer=pointer or pointer_to("data", name, "source"),
        column=error.column,
        hint=error.hint,
    )


def _cut(name: str, data: Data, compiled: Compiled, state: State) -> Cut | None:
    if data.splitter is None or not data.splits:
        return None
    place = pointer_to("data", name, "splitter")
    if data.divided is not None:
        return _cut_by_code(name, data.splitter, data.divided, compiled, state)
    declaration = COMPONENTS["split"][data.splitter.use]
    arguments = {
        # A plan keeps the keys of its mappings in no order: that of the splits counts.
        name: {split: value[split] for split in data.sizes} if isinstance(value, dict) else value
        for name, value in data.splitter.args.items()
    }
    splitter = cast(
        "Splitter", msgspec.convert({**arguments, "use": data.splitter.use}, declaration)
    )
    names = key_columns(splitter)
    try:
        if isinstance(splitter, ConditionSplit | RowsSplit):
            found = choose(splitter, _deciding(splitter, data, compiled))
        else:
            keys = _keys(names, data.source, compiled) if names else None
            found = cut(splitter, data.rows, keys)
    except CutError as error:
        raise DataError(error.message, code=error.code, pointer=place, hint=error.hint) from error
    if found.sizes != data.sizes or sum(found.cells) != data.rows:
        message = f"the values of {quoted(names)} changed since the plan was compiled, and the splits with them"
        raise DataError(message, code="SP502", pointer=place, hint=COMPILE_AGAIN)
    return found


def _cut_by_code(
    name: str, splitter: Component, planned: Divided, compiled: Compiled, state: State
) -> Cut:
    data = compiled.plan.data[name]
    names = named_columns(splitter)
    columns = read_keyed(data, names, compiled.folder, compiled.tables) if names else {}
    found = state.builder.divided(splitter, planned.seed, data.rows, columns, name)
    if digest_of_rows(found) != planned.digest:
        message = f"`{splitter.use}` gives splits other rows than when the plan was compiled"
        hint = "what it gives follows from its arguments, the columns that it is given and the generator"
        place = pointer_to("data", name, "splitter")
        raise DataError(message, code="SP502", pointer=place, hint=hint)
    return taken(in_cut_order(found), data.rows)


def _deciding(
    splitter: ConditionSplit | RowsSplit, data: Data, compiled: Compiled
) -> dict[str, NDArray[Any]]:
    """The columns that say which rows splits have."""
    names = key_columns(splitter)
    if data.source.use == "memory":
        assert data.source.name is not None
        table = compiled.tables[data.source.name]
        return {name: np.asarray(table[name]) for name in names}
    assert data.source.path is not None
    shapes = {name: data.columns[name].shape for name in names}
    path = compiled.folder / data.source.path
    return read_file(path, data.source.use, digest=data.source.digest, shapes=shapes)


def _check_folds(data: Data, table: Table) -> None:
    rows = fold_rows(data, table)
    for path, fold in data.folds.items():
        if not fold.key_columns or fold.index:
            continue
        pooled = table.keys[fold.key_columns].among(rows.pool(fold.of, rows.around(fold)))
        least = len(pooled.counts) if fold.group_by else min(pooled.counts)
        sizes = [len(part) for part in rows.parts(fold)] if least >= fold.n else []
        group = path.rpartition(".")[0]
        planned = {
            other.index: other.val.rows
            for place, other in data.folds.items()
            if place.rpartition(".")[0] == group
        }
        if planned != dict(enumerate(sizes)):
            message = (
                f"the values of {quoted(fold.key_columns)} changed since the plan was compiled, "
                "and the folds with them"
            )
            raise DataError(message, code="SP502", hint=COMPILE_AGAIN)


def _keys(names: tuple[str, ...], source: Source, compiled: Compiled) -> Keys:
    if source.use == "memory":
        assert source.name is not None
        return keys_of(compiled.tables[source.name][name] for name in names)
    assert source.path is not None
    return read_keys(str(compiled.folder / source.path), source.use, names)


def _memory_table(
    source: Source, columns: Iterable[str], tables: Mapping[str, Mapping[str, NDArray[Any]]]
) -> Mapping[str, NDArray[Any]]:
    assert source.name is not None
    if source.name not in tables:
        bound = ", ".join(f"`{name}`" for name in tables) or "none"
        message = f"the memory table `{source.name}` is not bound here; bound: {bound}"
        hint = "a plan that reads memory tables runs only in a program that holds them"
        raise DataError(message, code="SP501", hint=hint)
    table = tables[source.name]
    held = {name: table[name] for name in columns if name in table}
    if read_memory_header(held).digest != source.digest:
        message = f"the memory table `{source.name}` changed since the plan was compiled"
        raise DataError(message, code="SP502", hint=COMPILE_AGAIN)
    return table
