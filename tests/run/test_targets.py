from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from specplan.errors import DataError
from tests.run.specs import MLP, compiled, evaluation, node, regression, rows_of, run, train

if TYPE_CHECKING:
    from pathlib import Path

LOGITS = {"Net": node(MLP | {"output_shape": [3]})}


def _loss(use: str) -> dict[str, Any]:
    return {"mse": {"use": use, "node": "Net"}}


@pytest.mark.parametrize("wrong", [-100, -1, 3])
def test_a_class_without_a_logit(wrong: int, tmp_path: Path) -> None:
    columns = regression(50) | {"y": np.arange(50) % 3}
    columns["y"][17] = wrong
    plan = compiled(
        train(), evaluation(), columns=columns, nodes=LOGITS, losses=_loss("cross_entropy")
    )
    message = f"FeatureSet `Set`: `y` is {wrong} in row 17; loss `mse` takes the classes 0 to 2"
    with pytest.raises(DataError, match=re.escape(message)):
        run(plan, tmp_path)
    assert not list(tmp_path.iterdir())


def test_a_target_that_is_no_probability(tmp_path: Path) -> None:
    columns = regression(50) | {"y": np.linspace(0, 1, 50)}
    columns["y"][49] = 1.5
    plan = compiled(train(), evaluation(), columns=columns, losses=_loss("bce_with_logits"))
    message = "FeatureSet `Set`: `y` is 1.5 in row 49; loss `mse` takes values from 0 to 1"
    with pytest.raises(DataError, match=re.escape(message)):
        run(plan, tmp_path)


def test_rows_that_no_phase_reads_may_hold_anything(tmp_path: Path) -> None:
    columns = regression(50) | {"y": np.arange(50) % 3}
    columns["y"][rows_of(50, "test")] = 9
    plan = compiled(train(), columns=columns, nodes=LOGITS, losses=_loss("cross_entropy"))
    assert run(plan, tmp_path).run_file.status == "completed"


def test_a_value_that_float32_cannot_hold(tmp_path: Path) -> None:
    columns = regression(50)
    columns["x"][3, 4] = 1e300
    with pytest.raises(DataError, match="`x` has values beyond the range of float32"):
        run(compiled(train(), evaluation(), columns=columns), tmp_path)
