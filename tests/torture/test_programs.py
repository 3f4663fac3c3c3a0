"""P8: a program of objects that is killed and started again ends with the bits of one that nobody disturbed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from specplan.results.status import read_run_file
from specplan.store.layout import RunFolder
from tests.torture.figures import Size
from tests.torture.programs import QUICK, check
from tests.torture.resumes import Stop, resumed, undisturbed

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_killed_programs_end_with_the_same_bits(scratch: Path) -> None:
    tally = check(Size.QUICK, scratch)
    assert tally.violations == []
    assert tally.trials == len(QUICK)


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_a_program_goes_on_in_the_middle_of_an_epoch(scratch: Path) -> None:
    expected, _ = undisturbed("the plan", scratch / "reference")
    assert resumed("the plan", [Stop("batch", 9)], scratch / "killed", expected) is None
    [folder] = (scratch / "killed/runs/killed").iterdir()
    sessions = read_run_file(RunFolder(folder)).sessions
    assert [session.session for session in sessions] == [1, 2]
    # One after the fit phase, then one between two steps.
    assert sessions[1].checkpoint is not None
    assert sessions[1].checkpoint > 8
