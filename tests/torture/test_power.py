"""P2: what was promised to be on disk survives a loss of power, and everything else is whole or not there."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.torture.figures import Size
from tests.torture.kills import FEWEST_CAUGHT
from tests.torture.power import EXT4, TRIALS, lacks, power_loop
from tests.torture.replay import LEVELS, STATES, replay_loop

if TYPE_CHECKING:
    from pathlib import Path

    from tests.torture.power import FileSystem
    from tests.torture.tools import Tools

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]


@pytest.mark.parametrize("level", LEVELS)
def test_any_state_that_a_file_system_may_leave(tools: Tools, scratch: Path, level: str) -> None:
    tally = replay_loop(tools, "eager", level, STATES[Size.QUICK], scratch / level)
    assert tally.violations == [], tally


def test_a_history_without_syncs_is_caught(tools: Tools, scratch: Path) -> None:
    states = STATES[Size.QUICK]
    tally = replay_loop(tools, "eager", "disk", states, scratch / "forgotten", forget_syncs=True)
    assert len(tally.violations) >= FEWEST_CAUGHT, tally


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("file_system", EXT4, ids=str)
def test_power_is_lost(tools: Tools, scratch: Path, file_system: FileSystem, level: str) -> None:
    missing = lacks(file_system)
    if missing is not None:
        pytest.skip(missing)
    tally = power_loop(tools, "eager", level, file_system, TRIALS[Size.QUICK], scratch / level)
    assert tally.violations == [], tally
