"""What every phase of a run works with."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from specplan.run.program import Split

if TYPE_CHECKING:
    from collections.abc import Mapping

    from specplan.data.table import Table
    from specplan.plan.model import Plan
    from specplan.run.display import Display
    from specplan.run.interruption import Interruption
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

    def split(self, feature_set: str, name: str | None) -> Split:
        """The rows of one split, or all rows for None."""
        return split_of(self.tables, feature_set, name)


def split_of(tables: Mapping[str, Table], feature_set: str, name: str | None) -> Split:
    """The rows of one split of a FeatureSet, or all rows for None."""
    table = tables[feature_set]
    if name is None:
        return Split(table, None, table.rows)
    positions = table.splits[name]
    return Split(table, positions, len(positions))
