"""P1 and P3: a kill at any file operation loses nothing that was promised."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.torture.kills import FEWEST_CAUGHT, every_kill, kill_loop, one_kill_each, operations_of
from tests.torture.tools import read_log

if TYPE_CHECKING:
    from pathlib import Path

    from tests.torture.tools import Tools

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]


def test_a_kill_at_any_operation_leaves_a_whole_prefix(tools: Tools, scratch: Path) -> None:
    operations = operations_of(tools, "eager", scratch)
    assert len(one_kill_each(operations)) >= 400
    tally = kill_loop(tools, "eager", one_kill_each(operations), scratch)
    assert tally.violations == [], tally


def test_a_writer_that_moves_the_watermark_first_is_caught(tools: Tools, scratch: Path) -> None:
    faults = every_kill(operations_of(tools, "eager", scratch), ["kill-half"])
    tally = kill_loop(tools, "eager", faults, scratch, writer=tools.broken_writer)
    assert len(tally.violations) >= FEWEST_CAUGHT, tally


def test_reading_changes_nothing(tools: Tools, scratch: Path) -> None:
    store, said, log = scratch / "store", scratch / "said", scratch / "log"
    assert tools.write(["write", store, "small"], said) == 0
    requests = scratch / "requests"
    requests.write_text(f"{store}\t{said}\tkilled\n")
    environment = tools.environment(store, log=log)
    with requests.open() as lines:
        assert tools.write(["check", "small"], scratch / "verdict", environment, lines=lines) == 0
    assert (scratch / "verdict").read_text().startswith("ok ")
    read_only = 0
    assert {(done.name, done.offset) for done in read_log(log) if done.name != "say"} == {
        ("open", read_only)
    }
