"""P8: a run that is killed and resumed ends with the bits of one that nobody disturbed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.torture.figures import Size
from tests.torture.resumes import BROKEN, Stop, check, resumed, undisturbed

if TYPE_CHECKING:
    from pathlib import Path


FAULTS_OF = {"no_patience": "early stopping", "no_gradients": "accumulation and clipping"}


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_killed_runs_end_with_the_same_bits(scratch: Path) -> None:
    tally = check(Size.QUICK, scratch)
    assert tally.violations == []
    assert tally.trials == 60


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize("broken", BROKEN)
def test_a_fault_is_found(broken: str, scratch: Path) -> None:
    name = FAULTS_OF.get(broken, "dropout")
    expected, _ = undisturbed(name, scratch / "reference")
    found = [
        resumed(name, [Stop("step", at)], scratch / f"trial-{at}", expected, broken)
        for at in (4, 12, 25)
    ]
    assert any(violation is not None for violation in found)
