from __future__ import annotations

import math

import pytest

from specplan.plan.model import EarlyStopping
from specplan.run.early_stopping import Stopper
from specplan.run.state import State
from specplan.store.run_file import BestEpoch


def stopper_after(values: list[float | None], **changes: object) -> Stopper:
    """A stopper that has seen the values of the epochs up to where it stops."""
    rule = {"monitor": "loss", "mode": "min", "patience": 2, "min_delta": 0.0}
    stopper = Stopper(EarlyStopping(**(rule | {"restore_best": False} | changes)), State())  # type: ignore[arg-type]
    for epoch, value in enumerate(values):
        if stopper.saw(epoch, {} if value is None else {"loss": value}):
            break
    return stopper


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
    stopper = stopper_after(values, **changes)
    assert (stopper.epochs, stopper.kept_epoch) == expected


@pytest.mark.parametrize(
    ("values", "changes", "said"),
    [
        ([3, 2, 1], {"restore_best": True}, "None"),
        ([1, 2, 3], {}, "None"),
        ([1, 2, 3, 4], {}, "stopped early after 3 epochs, the last 2 without a better loss"),
        (
            [3, 0.061234, 2, 3, 1],
            {"restore_best": True},
            "stopped early after 4 epochs, best epoch 1 restored (loss 0.06123)",
        ),
        ([1, 7, 3], {"mode": "max", "restore_best": True}, "best epoch 1 restored (loss 7)"),
        (
            [math.nan] * 3,
            {"restore_best": True},
            "stopped early after 2 epochs, the last 2 without a better loss",
        ),
    ],
)
def test_what_it_says(values: list[float | None], changes: dict[str, object], said: str) -> None:
    ending = stopper_after(values, **changes).finish(planned_epochs=len(values))
    assert str(ending) == said


@pytest.mark.parametrize(
    ("values", "mode", "best"),
    [
        ([3, 1, 2, 4], "min", BestEpoch(epoch=1, value=1)),
        ([1, 3, 2, None], "max", BestEpoch(epoch=1, value=3)),
        ([3, -math.inf, 2], "min", BestEpoch(epoch=1)),
        ([math.nan, None], "min", BestEpoch()),
    ],
)
def test_where_the_metric_was_best(values: list[float | None], mode: str, best: BestEpoch) -> None:
    assert stopper_after(values, mode=mode).best == best


def test_a_phase_without_early_stopping_has_no_best_epoch() -> None:
    stopper = Stopper(None, State())
    stopper.saw(0, {"loss": 1.0})
    assert stopper.best is None
