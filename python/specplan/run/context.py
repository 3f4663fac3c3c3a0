"""What every phase of a run works with."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from specplan.plan.fold_rows import FoldRows
from specplan.run.hooks import NO_HOOKS, Hooks, PhaseHooks, Subjects

if TYPE_CHECKING:
    from collections.abc import Mapping

    from specplan.data.table import Table
    from specplan.plan.model import Data, Phase, Plan
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
    hooks: Hooks = NO_HOOKS
    subjects: Subjects = Subjects()
    inside: PhaseHooks = PhaseHooks()
    """What is called inside the phase that is run."""

    @property
    def begins(self) -> bool:
        """Whether the run begins, and does not go on from a checkpoint."""
        return self.journal.run_file.sessions[-1].checkpoint is None

    def split(self, phase: Phase, name: str | None, data: str | None = None) -> Split:
        """The rows that a phase reads under the name of a split, or all rows for None.

        `data` is the FeatureSet; by default the one that the phase names.
        """
        return split_of(self.plan, self.tables, phase, name, data)


def split_of(
    plan: Plan, tables: Mapping[str, Table], phase: Phase, name: str | None, data: str | None = None
) -> Split:
    """The rows that a phase reads under the name of a split, or all rows for None."""
    from specplan.run.program import Split

    label = phase.data if data is None else data
    known = plan.data[label]
    table = tables[label].inside(known.fold_path_of(phase.passes))
    if name is None:
        return Split(table, None, table.rows)
    positions = fold_rows(known, table).positions(known.fold_of(phase.passes), name)
    return Split(table, positions, len(positions))


def fold_rows(data: Data, table: Table) -> FoldRows:
    """Which rows the splits of a table have inside its folds."""
    return FoldRows(
        rows=table.rows, splits=table.splits, folds=data.folds, keys=table.keys.__getitem__
    )
