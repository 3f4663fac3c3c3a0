"""Folds of groups and strata: the rows that a run reads are those that the plan has counted."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pytest
from pyarrow import feather

from specplan.errors import DataError
from specplan.plan.compile import compile_mapping
from specplan.results.open import open_run
from tests.run import specs

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

ROWS = 100
COLUMNS = specs.regression(ROWS) | {
    "cell": np.array([f"c{row % 13}" for row in range(ROWS)]),
    "kind": np.arange(ROWS) % 3 % 2,
}
PHASES = [
    specs.train(epochs=1, record="all"),
    specs.evaluation(label="val", split="val", record="all"),
]


def compiled(splits: dict[str, Any] | None = None, **folds: Any) -> Any:
    group = {"group": "cv", "for_each": {"use": "folds", "n": 4, **folds}, "do": PHASES}
    return specs.compiled(
        group, columns=COLUMNS, tags=["cell", "kind"], splits=specs.RANDOM | (splits or {})
    )


def read_rows(run: Any, phase: str) -> list[int]:
    found: list[int] = run.execution(phase).arrow.column("sample_id").to_pylist()
    return found


def folds_of(plan: Any, root: Path) -> list[tuple[list[int], list[int]]]:
    run = open_run(specs.run(plan, root).folder.path)
    planned = plan.plan.data["Set"].folds
    found = []
    for index in range(4):
        known = read_rows(run, f"cv.fold_{index}.train")
        left_out = read_rows(run, f"cv.fold_{index}.val")
        fold = planned[f"cv.fold_{index}"]
        assert (fold.train.rows, fold.val.rows) == (len(known), len(left_out))
        found.append((known, left_out))
    assert len({row for _, left_out in found for row in left_out}) == len(found[0][0] + found[0][1])
    return found


@pytest.mark.parametrize(
    ("splits", "folds"),
    [
        ({"group_by": "cell"}, {}),
        ({}, {"group_by": "cell"}),
        ({}, {"group_by": ["cell"], "shuffle": False}),
    ],
    ids=["of the splits", "of the folds", "in order"],
)
def test_rows_of_a_group_are_left_out_together(
    tmp_path: Path, splits: dict[str, Any], folds: dict[str, Any]
) -> None:
    cells = COLUMNS["cell"]
    for known, left_out in folds_of(compiled(splits, **folds), tmp_path):
        assert not {cells[row] for row in known} & {cells[row] for row in left_out}


@pytest.mark.parametrize("at", ["splits", "folds"])
def test_each_fold_has_its_share_of_each_stratum(tmp_path: Path, at: str) -> None:
    said: dict[str, Any] = {"stratify_by": "kind"}
    plan = compiled(said) if at == "splits" else compiled(**said)
    numbers = [
        sum(COLUMNS["kind"][row] == 1 for row in left_out)
        for _, left_out in folds_of(plan, tmp_path)
    ]
    assert max(numbers) - min(numbers) <= 1


def test_groups_may_be_parted_where_that_is_said() -> None:
    folds = compiled({"group_by": "cell"}, group_by=[]).plan.data["Set"].folds
    assert {fold.group_by for fold in folds.values()} == {()}


def test_a_fold_in_a_fold_has_its_own_groups(tmp_path: Path) -> None:
    inner = {"group": "inner", "for_each": {"use": "folds", "n": 2}, "do": PHASES}
    plan = specs.compiled(
        {"group": "cv", "for_each": {"use": "folds", "n": 3, "group_by": "cell"}, "do": [inner]},
        columns=COLUMNS,
        tags=["cell", "kind"],
        splits=specs.RANDOM | {"stratify_by": "kind"},
    )
    run = open_run(specs.run(plan, tmp_path).folder.path)
    for path, fold in plan.plan.data["Set"].folds.items():
        if fold.within is not None:
            assert fold.stratify_by == ("kind",)
            assert len(read_rows(run, f"{path}.val")) == fold.val.rows


def test_groups_that_have_changed_since_are_refused(tmp_path: Path) -> None:
    cells = np.arange(ROWS) % 13

    def write(cells: NDArray[Any]) -> None:
        rng = np.random.default_rng(0)
        table = pa.table({"x": rng.normal(size=ROWS), "y": rng.normal(size=ROWS), "cell": cells})
        feather.write_feather(table, tmp_path / "set.arrow", compression="uncompressed")

    write(cells)
    spec = {
        "specplan": 1,
        "data": {
            "Set": {
                "source": {"use": "arrow", "path": "set.arrow"},
                "features": ["x"],
                "targets": ["y"],
                "tags": ["cell"],
            }
        },
        "graph": {"nodes": {"Net": specs.node(specs.MLP)}, "optimizer": specs.ADAM},
        "losses": {"mse": {"use": "mse", "node": "Net"}},
        "plan": [
            {
                "group": "cv",
                "for_each": {"use": "folds", "n": 4, "group_by": "cell"},
                "do": [specs.train(), specs.evaluation(split="val")],
            }
        ],
    }
    plan = compile_mapping(spec, folder=tmp_path)
    specs.run(plan, tmp_path)
    # The header of the file says nothing of it.
    write(np.where(np.arange(ROWS) < 60, 0, cells))
    with pytest.raises(DataError, match="the values of `cell` changed since the plan was compiled"):
        specs.run(plan, tmp_path)
