from __future__ import annotations

import pytest

from specplan.spec.suggest import closest


@pytest.mark.parametrize(
    ("name", "match"),
    [("epocs", "epochs"), ("EPOCHS", "epochs"), ("Split", "split"), ("zzz", None), ("", None)],
)
def test_closest(name: str, match: str | None) -> None:
    assert closest(name, ["epochs", "split", "record"]) == match


def test_closest_keeps_the_case_of_what_is_known() -> None:
    assert closest("sensordata", ["SensorData"]) == "SensorData"


def test_nothing_is_known() -> None:
    assert closest("a", []) is None
