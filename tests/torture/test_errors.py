"""P5: a file operation that fails is named, stays, and hurts nothing that was promised before."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.torture.errors import POLICIES, error_loop, every_error, one_error_each
from tests.torture.kills import operations_of

if TYPE_CHECKING:
    from pathlib import Path

    from tests.torture.tools import Tools

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]


@pytest.mark.parametrize("policy", POLICIES)
def test_an_error_at_any_operation(tools: Tools, scratch: Path, policy: str) -> None:
    faults = one_error_each(operations_of(tools, "eager", scratch))
    assert len(faults) >= 400
    tally = error_loop(tools, "eager", faults, scratch, policy)
    assert tally.violations == [], tally


@pytest.mark.timeout(120)
@pytest.mark.parametrize("policy", POLICIES)
def test_space_that_cannot_be_taken_ahead(tools: Tools, scratch: Path, policy: str) -> None:
    operations = operations_of(tools, "rolling", scratch)
    faults = every_error(done for done in operations if done.name == "fallocate")
    assert len(faults) >= 40
    tally = error_loop(tools, "rolling", faults, scratch, policy)
    assert tally.violations == [], tally
