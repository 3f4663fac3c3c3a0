"""What a run sees when it looks at its rows, and where it says that they are wrong."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from specplan.errors import DataError
from specplan.run.display import Silent
from specplan.run.run import run_plan
from specplan.run.state import State
from specplan.run.tables import read_tables
from tests.run import specs

if TYPE_CHECKING:
    from pathlib import Path

    from specplan.spec.diagnostics import Diagnostic

PHASES = (specs.train(epochs=1), specs.evaluation())


class Listening(Silent):
    """Remembers what it was told before the first phase."""

    def __init__(self) -> None:
        self.warnings: list[Diagnostic] = []

    def warned(self, warning: Diagnostic) -> None:
        self.warnings.append(warning)


def warnings(
    tmp_path: Path, columns: dict[str, Any], *phases: dict[str, Any], **rest: Any
) -> list[Diagnostic]:
    display = Listening()
    plan = specs.compiled(*(phases or PHASES), columns=columns, **rest)
    run_plan(plan, root=tmp_path, display=display)
    return display.warnings


def test_rows_of_a_table_in_memory_that_are_in_two_splits(tmp_path: Path) -> None:
    columns = specs.regression()
    trained, tested = specs.rows_of(500, "train")[0], specs.rows_of(500, "test")[0]
    for column in columns.values():
        column[tested] = column[trained]
    [warning] = warnings(tmp_path, columns)
    assert str(warning) == (
        f"data.Set.splits: warning[SP506]: 1 row of `test` is also in `train`, where row {tested} of the "
        f"data equals row {trained}\n"
        "hint: keep rows of one origin together with `group_by`, or say `leaks: allow` if they may be equal"
    )
    # Rows that no phase reads are not compared.
    assert warnings(tmp_path, columns, specs.train(epochs=1)) == []


@pytest.mark.parametrize(
    ("column", "value"), [("x", np.nan), ("x", np.inf), ("x", -np.inf), ("y", np.nan)]
)
def test_values_that_are_not_finite_are_refused(tmp_path: Path, column: str, value: float) -> None:
    columns = specs.regression()
    rows = np.sort(specs.rows_of(500, "train"))[[4, 9]]
    columns[column][rows] = value
    with pytest.raises(DataError) as error:
        specs.run(specs.compiled(*PHASES, columns=columns), tmp_path)
    place = "features" if column == "x" else "targets"
    assert str(error.value) == (
        f"data.Set.{place}[0]: error[SP514]: column `{column}` is {value} in row {rows[0]}, "
        "the first of 2 rows of `train`\n"
        "hint: leave such rows out or fill them in: one of them makes every weight NaN"
    )
    assert not list(tmp_path.iterdir())


def test_values_that_no_phase_reads_are_only_told(tmp_path: Path) -> None:
    columns = specs.regression()
    row = specs.rows_of(500, "test")[0]
    columns["x"][row] = np.nan
    [warning] = warnings(tmp_path, columns, specs.train(epochs=1))
    assert (warning.code, warning.severity) == ("SP514", "warning")
    assert f"the first in row {row}" in warning.message


def test_integers_are_looked_at_too(tmp_path: Path) -> None:
    assert warnings(tmp_path, specs.images(), specs.evaluation(losses=[])) == []


@pytest.mark.parametrize("by", ["group_by", "stratify_by"])
def test_groups_and_strata_of_a_table_in_memory(by: str) -> None:
    columns = specs.regression() | {"site": np.arange(500) % 20}
    splits = {"use": "random", "ratios": {"test": 0.2, "train": 0.8}, by: "site", "seed": 1}
    plan = specs.compiled(*PHASES, columns=columns, splits=splits, tags=["site"])
    rows = read_tables(plan, State())["Set"].splits
    assert {name: len(part) for name, part in rows.items()} == {"test": 100, "train": 400}
    assert plan.plan.data["Set"].sizes == {"test": 100, "train": 400}
    sites = {name: set(columns["site"][part].tolist()) for name, part in rows.items()}
    assert len(sites["test"] & sites["train"]) == (0 if by == "group_by" else 20)
