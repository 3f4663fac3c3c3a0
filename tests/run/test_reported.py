"""`progress(...)` and `tqdm`: how far code of the user's is."""

from __future__ import annotations

import io
import json
import math
from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest

import specplan
from specplan.experiments import experiment, progress, tqdm
from specplan.results.progress import Level, progress_of
from specplan.run.reported import Reporter

if TYPE_CHECKING:
    from pathlib import Path


class Kept:
    """What a reporter records."""

    def __init__(self) -> None:
        self.documents: list[str] = []

    def reporter(self, *, every: float = 0.0) -> Reporter:
        return Reporter(self.documents.append, every=every)

    @property
    def levels(self) -> list[list[tuple[float, str | None]]]:
        """Each document, its levels as pairs."""
        found = [json.loads(text)["levels"] for text in self.documents]
        return [[(each["value"], each.get("description")) for each in levels] for levels in found]


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_level_ends_those_inside_of_it() -> None:
    kept = Kept()
    reporter = kept.reporter()
    reporter.report(0.1, description="epochs")
    reporter.report(0.5, 2, "rows")
    reporter.report(1.7, 1)
    reporter.report(0.2)
    assert kept.levels == [
        [(0.1, "epochs")],
        [(0.1, "epochs"), (0.0, None), (0.5, "rows")],
        [(0.1, "epochs"), (1.0, None)],
        [(0.2, "epochs")],
    ]


def test_only_what_a_person_sees_is_recorded_and_the_last_of_all() -> None:
    kept = Kept()
    reporter = kept.reporter(every=3600)
    for step in range(1000):
        reporter.report(step / 1000)
    assert kept.levels == [[(0.0, None)]]
    reporter.close()
    reporter.close()
    assert kept.levels[1:] == [[(0.999, None)]]


@pytest.mark.parametrize(("value", "level"), [(math.nan, 0), (0.5, -1)])
def test_what_is_no_progress(value: float, level: int) -> None:
    with pytest.raises(ValueError, match="a number of a level from 0 on"):
        Kept().reporter().report(value, level)


def test_loops_are_levels() -> None:
    kept = Kept()
    with closing(kept.reporter()) as reporter:
        reporter.open()
        for _ in tqdm("ab", desc="outer", unit="it"):
            inner: tqdm[Any]
            with tqdm(total=2) as inner:
                inner.update(2)
                inner.set_description("inner")
                assert (len(inner), inner.n) == (2, 2)
        for _ in tqdm(iter("ab"), disable=True):
            progress(0.25, desc="by hand")
            break
    assert kept.levels[:5] == [
        [(0.0, "outer")],
        [(0.0, "outer"), (0.0, None)],
        [(0.0, "outer"), (1.0, None)],
        [(0.0, "outer"), (1.0, "inner")],
        [(0.5, "outer")],
    ]
    assert kept.levels[-1] == [(0.25, "by hand")]


def test_a_loop_that_is_left_is_over() -> None:
    kept = Kept()

    def leave() -> None:
        for row in tqdm([1, 2]):
            raise KeyError(row)

    with closing(kept.reporter()) as reporter:
        reporter.open()
        with pytest.raises(KeyError):
            leave()
        for _ in tqdm([1]):
            pass
    assert all(len(levels) == 1 for levels in kept.levels)
    with pytest.raises(TypeError, match="nothing to go through"):
        list(tqdm[Any](total=2))


def test_a_terminal_gets_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    terminal = Terminal()
    for _ in tqdm(range(2), desc="rows", file=terminal):
        pass
    assert terminal.getvalue().endswith("rows: 100 % 2/2\n")
    progress(0.5, level=1, desc="outside of a run", console=True)
    assert capsys.readouterr().err == "   50 % outside of a run\n"


def test_a_run_keeps_it(tmp_path: Path) -> None:
    with experiment(tmp_path, "x", dirty_git="ignore") as xp:
        xp.progress(0.5, desc="https://me:hidden@host/")
        progress(0.75, level=1)
    run = specplan.open("x", root=tmp_path)
    assert progress_of(run) == (Level(0.5, "https://***@host/"), Level(0.75))
    assert progress_of(run) == progress_of(run.refresh())
