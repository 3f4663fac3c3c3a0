"""P10: a Parquet table exists whole, old or new, whatever happens to its export."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.torture.compaction import Tables, compaction_loop
from tests.torture.errors import every_error
from tests.torture.kills import every_kill

if TYPE_CHECKING:
    from pathlib import Path

    from tests.torture.tools import Tools

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]


def test_an_export_that_is_killed_or_fails_at_any_operation(tools: Tools, scratch: Path) -> None:
    tables = Tables(tools, scratch)
    faults = every_kill(tables.operations) + every_error(tables.operations)
    tally = compaction_loop(tools, tables, faults, scratch)
    assert tally.trials >= 100
    assert tally.violations == [], tally
