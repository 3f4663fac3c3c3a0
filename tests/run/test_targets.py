"""Targets that a loss cannot judge are found before anything is written."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from specplan.errors import DataError
from tests.run import specs

if TYPE_CHECKING:
    from pathlib import Path

    from specplan.plan.model import Compiled

LOSSES = {"entropy": {"use": "cross_entropy", "node": "Net"}}
TRAIN = specs.train(losses=["entropy"], epochs=1)
VALIDATION = {"use": "evaluation", "split": "test", "as": "val"}


def classifier(columns: dict[str, Any], *phases: dict[str, Any]) -> Compiled:
    """Ten outputs over the columns of `specs.images`."""
    nodes = {"Net": specs.node({**specs.MLP, "output_shape": [10]})}
    return specs.compiled(*phases, columns=columns, nodes=nodes, losses=LOSSES)


def message(value: int, row: int) -> str:
    return (
        f"data.Set.targets[0]: error[SP653]: `Set.y` holds the class {value} in row {row}, but node `Net` has 10 outputs; "
        "allowed: 0 to 9\n"
        "hint: give Net `output_shape: [n]` for n classes, which count from 0"
    )


@pytest.mark.parametrize("value", [12, 10, -1, -100])
def test_the_first_row_with_a_class_that_has_no_output(tmp_path: Path, value: int) -> None:
    columns = specs.images()
    first, second = np.sort(specs.rows_of(200, "train"))[[17, 90]]
    columns["y"][first] = value
    columns["y"][second] = 99
    with pytest.raises(DataError) as error:
        specs.run(classifier(columns, TRAIN), tmp_path)
    assert str(error.value) == message(value, first)
    assert not list(tmp_path.iterdir())


def test_rows_that_nothing_reads_may_be_unlabelled(tmp_path: Path) -> None:
    columns = specs.images()
    row = int(specs.rows_of(200, "test").min())
    columns["y"][row] = -1
    specs.run(classifier(columns, TRAIN), tmp_path)
    for phases in (
        (TRAIN, specs.evaluation(losses=["entropy"])),
        (TRAIN | {"callbacks": [VALIDATION]},),
    ):
        with pytest.raises(DataError) as error:
            specs.run(classifier(columns, *phases), tmp_path)
        assert str(error.value) == message(-1, row)


def test_a_class_for_each_of_several_places(tmp_path: Path) -> None:
    columns = specs.images()
    columns["y"] = np.tile(columns["y"][:, None], 3).astype(np.uint8)
    nodes = {"Net": specs.node({**specs.MLP, "output_shape": [10, 3]})}
    phase = TRAIN | {"split": None}
    arguments: dict[str, Any] = {"nodes": nodes, "losses": LOSSES}
    specs.run(specs.compiled(phase, columns=columns, **arguments), tmp_path)
    columns["y"][44, 1] = 200
    with pytest.raises(DataError) as error:
        specs.run(specs.compiled(phase, columns=columns, **arguments), tmp_path)
    assert str(error.value) == message(200, 44)


def test_a_target_that_is_no_probability(tmp_path: Path) -> None:
    columns = specs.regression(50) | {"y": np.linspace(0, 1, 50)}
    columns["y"][49] = 1.5
    losses = {"mse": {"use": "bce_with_logits", "node": "Net"}}
    plan = specs.compiled(specs.train(), specs.evaluation(), columns=columns, losses=losses)
    with pytest.raises(DataError) as error:
        specs.run(plan, tmp_path)
    assert str(error.value) == (
        "data.Set.targets[0]: error[SP653]: `Set.y` is 1.5 in row 49; bce_with_logits takes 0 to 1"
    )


def test_a_value_that_float32_cannot_hold(tmp_path: Path) -> None:
    columns = specs.regression(50)
    columns["x"][3, 4] = 1e300
    plan = specs.compiled(specs.train(), specs.evaluation(), columns=columns)
    with pytest.raises(DataError, match="`x` has values beyond the range of float32"):
        specs.run(plan, tmp_path)
