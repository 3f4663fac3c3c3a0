"""What a splitter of the user makes of the rows: seen when it was run, because only its code knows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from specplan.code.batches import packed
from specplan.code.division import digest_of_rows
from specplan.code.probe import Divide, Parts
from specplan.data.chosen_rows import taken
from specplan.data.split import in_cut_order
from specplan.data.table import read_file
from specplan.errors import DataError
from specplan.plan.model import Divided
from specplan.plan.passes.own_code import needed, to_run
from specplan.plan.streams import written_seed_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from specplan.data.cut import Cut
    from specplan.plan.passes.context import Context
    from specplan.plan.passes.own_component import OwnCode
    from specplan.plan.passes.splits import Rows


def own_split(
    context: Context, own: OwnCode, rows: Rows, names: tuple[str, ...]
) -> tuple[Cut, Divided] | None:
    """How rows are divided that could be read; None where a fault was reported. `names` are the columns that the code is given."""
    assert rows.rows is not None
    try:
        columns = _columns(rows, names)
    except DataError as error:
        context.error(error.code or "SP508", error.message, (*rows.path, "use"))
        return None
    seed = written_seed_of(context.spec.run.seed, f"split/{rows.label}")
    job = Divide(
        **to_run(context, own),
        rows=rows.rows,
        seed=seed,
        columns={name: packed(values) for name, values in columns.items()},
    )
    found = needed(context, own, job, Parts, rows.path, gives="splits")
    if found is None:
        return None
    splits = {name: np.frombuffer(part, np.int64) for name, part in found.splits.items()}
    divided = Divided(seed=seed, digest=digest_of_rows(splits))
    return taken(in_cut_order(splits), rows.rows), divided


def _columns(rows: Rows, names: tuple[str, ...]) -> dict[str, NDArray[Any]]:
    table = rows.table
    assert table is not None
    if table.file is None:
        return {name: table.arrays[name] for name in names}
    if not names:
        return {}
    shapes = {name: column.shape for name in names if (column := rows.columns[name]) is not None}
    assert table.source.use != "memory"
    return read_file(table.file, table.source.use, digest=table.source.digest, shapes=shapes)
