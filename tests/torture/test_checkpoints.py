"""P10: a checkpoint is there whole, the one before or the new one, whatever happens while it is written."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.torture.checkpoints import checkpoint_loop, operations
from tests.torture.errors import one_error_each
from tests.torture.kills import one_kill_each

if TYPE_CHECKING:
    from pathlib import Path

    from tests.torture.tools import Tools

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]


def test_a_checkpoint_that_is_killed_or_fails_at_any_operation(tools: Tools, scratch: Path) -> None:
    done = operations(tools, scratch)
    faults = one_kill_each(done) + one_error_each(done)[::2]
    tally = checkpoint_loop(tools, faults, scratch)
    assert tally.trials >= 50
    assert tally.violations == [], tally
