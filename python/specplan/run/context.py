"""What every phase of a run works with."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import numpy as np

from specplan.data.folds import fold_rows
from specplan.run.hooks import Hooks, PhaseHooks

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from specplan.data.table import Table
    from specplan.plan.model import Data, Fold, Phase, Plan
    from specplan.run.call import Prepared
    from specplan.run.checkpoints import Checkpoints
    from specplan.run.display import Display
    from specplan.run.interruption import Interruption
    from specplan.run.program import Split
    from specplan.run.state import State
    from specplan.store.recorder import Recorder
    from specplan.store.run_files import Journal


class Context(msgspec.Struct, frozen=True, kw_only=True):
    """The parts of one run that its phases share."""

    plan: Plan
    tables: Mapping[str, Table]
    state: State
    recorder: Recorder
    journal: Journal
    display: Display
    interruption: Interruption
    checkpoints: Checkpoints
    calls: Mapping[str, Prepared] = {}
    hooks: Hooks = Hooks()
    inside: PhaseHooks = PhaseHooks()
    """What is called inside the phase that is run."""

    def split(self, phase: Phase, name: str | None) -> Split:
        """The rows that a phase reads under the name of a split, or all rows for None."""
        return split_of(self.plan, self.tables, phase, name)


def split_of(plan: Plan, tables: Mapping[str, Table], phase: Phase, name: str | None) -> Split:
    """The rows that a phase reads under the name of a split, or all rows for None."""
    from specplan.run.program import Split

    data, table = plan.data[phase.data], tables[phase.data]
    if name is None:
        return Split(table, None, table.rows)
    positions = _positions(data, table, data.fold_of(phase.passes), name)
    return Split(table, positions, len(positions))


def _positions(data: Data, table: Table, fold: Fold | None, name: str) -> NDArray[np.int64]:
    if fold is None:
        return table.splits[name]
    outside = None if fold.within is None else data.folds[fold.within]
    if name not in (fold.train.name, fold.val.name):
        return _positions(data, table, outside, name)
    pooled = [_positions(data, table, outside, other) for other in fold.of]
    pool = np.concatenate(pooled) if pooled else np.arange(table.rows)
    train, val = fold_rows(pool, fold.n, fold.index, fold.seed)
    return val if name == fold.val.name else train
