"""Where runs go."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from specplan.store.root import runs_root

if TYPE_CHECKING:
    import pytest


def test_the_first_that_is_said_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SPECPLAN_HOME", "home")
    of_plan = Path("deep")
    assert runs_root("given", folder=of_plan, results="of_plan") == Path("given")
    assert runs_root(folder=of_plan, results="of_plan") == Path("home")
    monkeypatch.setenv("SPECPLAN_HOME", "")
    assert runs_root(folder=of_plan, results="of_plan") == Path("deep/of_plan")
    assert runs_root(folder=of_plan) == Path("runs")
