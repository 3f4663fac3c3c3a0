"""P1: kills of the real command."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.torture.figures import Size
from tests.torture.real_runs import TRIALS, kill_runs

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]


def test_a_run_that_is_killed_keeps_what_it_recorded(scratch: Path) -> None:
    tally = kill_runs(scratch, TRIALS[Size.QUICK])
    assert tally.violations == [], tally
