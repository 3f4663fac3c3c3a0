"""`mlx experiments monitor`: the terminal UI without a terminal, and the lines of a pipe."""

from __future__ import annotations

import asyncio
import re
import sys
import time
from typing import TYPE_CHECKING, Any

import pytest
from click.testing import CliRunner
from textual.widgets import DataTable, Static

from specplan import Experiment
from specplan.cli import experiments
from specplan.cli.console import Console
from specplan.cli.main import group
from specplan.experiments import experiment, progress
from specplan.results.course import MetricCourse
from specplan.results.standing import Watch

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path

    from textual.pilot import Pilot

    Steps = Callable[[Console, Pilot[None]], Awaitable[None]]


def drive(root: Path, steps: Steps, *, every: float = 60.0) -> None:
    """Do something with the UI on a terminal of 120 x 30."""

    async def main() -> None:
        app = Console(root, every=every)
        async with app.run_test(size=(120, 30)) as pilot:
            await settled(app, pilot)
            await steps(app, pilot)

    asyncio.run(main())


async def settled(app: Console, pilot: Pilot[None]) -> None:
    await app.workers.wait_for_complete()
    await pilot.pause()


def table(app: Console) -> list[list[str]]:
    found: DataTable[Any] = app.query_one(DataTable)
    return [[str(cell) for cell in found.get_row_at(row)] for row in range(found.row_count)]


def shown(app: Console, part: str) -> list[str]:
    return str(app.query_one(f"#{part}", Static).visual).splitlines()


def screen(app: Console) -> str:
    """What stands on the screen, as text."""
    lines = [strip.text.rstrip() for strip in app.screen._compositor.render_strips()]
    return "\n".join(lines)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for name, values in {"alpha": (1.0, 0.5, 0.25), "beta": (3.0, 4.0)}.items():
        with experiment(tmp_path, name, dirty_git="ignore") as xp:
            for value in values:
                xp.log_metrics({"loss": value})
    return tmp_path


def test_the_screen(root: Path) -> None:
    async def steps(app: Console, _pilot: Pilot[None]) -> None:
        first, second = table(app)
        assert first[0] == "alpha"
        assert first[2:] == [app._found[0].host, "completed", "0/0", "", "", "", "loss 0.25 █▃▁"]
        assert second[-1] == "loss 4 ▁█"
        assert shown(app, "metrics") == ["loss  0.25         █▃▁"]
        text = screen(app)
        assert "mlx experiments" in text
        assert "2 experiments, by experiment" in text
        for part in ("Host", "Status", "alpha", "beta", "loss 0.25 █▃▁", "s Sort", "q Quit"):
            assert part in text

    drive(root, steps)


def test_keys(root: Path) -> None:
    async def steps(app: Console, pilot: Pilot[None]) -> None:
        await pilot.press("down")
        await pilot.pause()
        assert shown(app, "metrics") == ["loss  4            ▁█"]
        await pilot.press("r")
        assert [row[0] for row in table(app)] == ["beta", "alpha"]
        assert shown(app, "metrics") == ["loss  4            ▁█"]
        for order in ("status", "started", "host", "experiment"):
            await pilot.press("s")
            assert app.sub_title == f"2 experiments, by {order}"
        await pilot.press("q")
        assert not app.is_running

    drive(root, steps)


def test_a_live_run_is_followed(tmp_path: Path) -> None:
    exp = Experiment(prefix="me/project/live", dash_root=str(tmp_path))

    async def steps(app: Console, pilot: Pilot[None]) -> None:
        assert table(app) == []
        exp.run.start()
        exp.log("training [begins]", level="warn")
        exp.metrics("train").log(loss=2.0)
        for value, course in ((1.0, "█▁"), (0.0, "█▅▁")):
            exp.metrics("train").log(loss=value)
            exp.metrics("train").stats()  # which waits until all is on file
            app.look()
            await settled(app, pilot)
            [row] = table(app)
            assert (row[3], row[-1]) == ("running", f"loss {value:g} {course}")
        app.look()
        await settled(app, pilot)
        assert shown(app, "log") == ["[WARN] training [begins]"]

    drive(tmp_path, steps)
    exp.run.complete()


def test_progress_and_what_is_left(tmp_path: Path) -> None:
    async def steps(app: Console, _pilot: Pilot[None]) -> None:
        [row] = table(app)
        assert row[6] == "50 %"
        assert re.fullmatch(r"\d:\d\d:\d\d", row[7])
        assert shown(app, "metrics") == ["██████░░░░░░  50 % epochs", "  ████████████ 100 % rows"]

    with experiment(tmp_path, "x", dirty_git="ignore") as xp:
        xp.progress(0.5, desc="epochs")
        xp.progress(1.0, level=1, desc="rows")
        time.sleep(0.2)  # less than that after the first, nothing is recorded
        progress(1.0, level=1)
        xp.run.sync()
        drive(tmp_path, steps)
        words = ["experiments", "--workdir", str(tmp_path), "monitor", "--once"]
        line = CliRunner().invoke(group, words).stdout
    assert re.fullmatch(
        r"x/\S+ \[\S+\] running 0/0 50 % epochs > 100 % rows \d:\d\d:\d\d left\n", line
    )
    [each] = Watch(tmp_path).look()
    assert each.remaining_seconds is None


def test_nothing_is_there_yet(tmp_path: Path) -> None:
    async def steps(app: Console, pilot: Pilot[None]) -> None:
        assert table(app) == []
        await pilot.press("s", "r", "down")
        assert shown(app, "metrics") == []

    drive(tmp_path / "missing", steps)


def test_only_new_rows_are_read(tmp_path: Path) -> None:
    with experiment(tmp_path, "x", dirty_git="ignore") as xp:
        course = MetricCourse(xp.run.folder)
        for step in range(5):
            xp.log_metrics({"loss": float(step)})
            xp.run.sync()
            course.refresh()
            assert course.rows_read == step + 1
        assert course.metrics == {"loss": (0.0, 1.0, 2.0, 3.0, 4.0)}
        course.refresh()
        assert course.rows_read == 5


def test_of_very_many_rows_the_first_are_looked_at_in_part(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("specplan.results.course._MOST_ROWS", 6)
    with experiment(tmp_path, "x", dirty_git="ignore") as xp:
        for step in range(40):
            xp.log_metrics({f"metric{step // 10}": float(step)})
            xp.run.sync()  # names come one by one
        course = MetricCourse(xp.run.folder)
        course.refresh()
    assert {name: values[-1] for name, values in course.metrics.items()}["metric3"] == 39.0
    assert course.rows_read == 40


def test_no_experiments_are_said_to_be_none(tmp_path: Path) -> None:
    done = CliRunner().invoke(group, ["experiments", "--workdir", str(tmp_path / "no"), "list"])
    assert (done.exit_code, done.stdout) == (0, "")
    assert done.stderr == f"no experiments below {tmp_path / 'no'}\n"


def test_a_damaged_run_is_left_out(root: Path) -> None:
    [folder] = (path for path in (root / "alpha").iterdir() if path.is_dir())
    (folder / "run.json").write_text("{", encoding="utf-8")
    assert [each.experiment for each in Watch(root).look()] == ["beta"]


def test_without_textual_the_extra_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delitem(sys.modules, "specplan.cli.console")
    for name in [name for name in sys.modules if name.partition(".")[0] == "textual"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "textual", None)
    with pytest.raises(
        Exception, match="needs textual\nhint: pip install 'specplan\\[terminal\\]'"
    ):
        experiments._show_console(tmp_path, 1.0)


def test_a_pipe_gets_lines(root: Path) -> None:
    done = CliRunner().invoke(
        group, ["experiments", "--workdir", str(root), "monitor", "--console", "--once"]
    )
    assert done.exit_code == 0
    assert [line.split(" ")[-1] for line in done.stdout.splitlines()] == ["loss=0.25", "loss=4"]
