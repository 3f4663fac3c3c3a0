from __future__ import annotations

import math

import pytest

from specplan.plan.model import EarlyStopping
from specplan.run.early_stopping import Stopper
from specplan.run.state import State


def epochs_of(values: list[float | None], **changes: object) -> tuple[int, int]:
    """How many epochs are run, and which one is kept."""
    rule = {"monitor": "loss", "mode": "min", "patience": 2, "min_delta": 0.0}
    stopper = Stopper(EarlyStopping(**(rule | {"restore_best": False} | changes)), State())  # type: ignore[arg-type]
    for epoch, value in enumerate(values):
        if stopper.saw(epoch, {} if value is None else {"loss": value}):
            break
    return epoch + 1, stopper.kept_epoch


@pytest.mark.parametrize(
    ("values", "changes", "expected"),
    [
        ([3, 2, 1], {}, (3, 2)),
        ([1, 2, 3, 4], {}, (3, 2)),
        ([1, 2, 3, 4], {"restore_best": True}, (3, 0)),
        ([1, 2, 0.5, 2, 2, 2], {"restore_best": True}, (5, 2)),
        ([1, 2, 3, 2, 1], {"mode": "max", "restore_best": True}, (5, 2)),
        ([1.0, 0.99, 0.98, 0.97], {"min_delta": 0.1}, (3, 2)),
        ([1, 1, 1], {}, (3, 2)),
        ([1, None, None, 1], {}, (3, 2)),
        ([1, math.nan, math.nan, 1], {}, (3, 2)),
        ([math.nan, math.nan, math.nan], {"restore_best": True}, (2, 1)),
    ],
)
def test_when_it_stops_and_what_it_keeps(
    values: list[float | None], changes: dict[str, object], expected: tuple[int, int]
) -> None:
    assert epochs_of(values, **changes) == expected
