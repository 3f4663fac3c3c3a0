"""Values of a sweep, and the points that they make."""

from __future__ import annotations

import itertools
import math
from typing import Any

import msgspec
import pytest

from specplan.spec.axes import AxisError, axis_of
from specplan.spec.model import AxisSpec
from specplan.sweep.points import drawn, grid, restored, seeded, values_of


def axis(**given: Any) -> Any:
    """An axis by the key that says its values."""
    return axis_of("params.x", msgspec.convert(given, AxisSpec))


@pytest.mark.parametrize(
    ("given", "values"),
    [
        ({"values": [1, "a", None]}, [1, "a", None]),
        ({"range": [0, 10]}, [*range(10)]),
        ({"range": [16, 64, 10]}, [16, 26, 36, 46, 56]),
        ({"range": [5, 0, -2]}, [5, 3, 1]),
        ({"range": [0, 0.3, 0.1]}, [0, 0.1, 0.2]),
        ({"range_mult": [1e-4, 4, 10]}, [1e-4, 1e-3, 1e-2, 1e-1]),
        ({"integers": [2, 4]}, [2, 3, 4]),
    ],
    ids=lambda given: next(iter(given)) if isinstance(given, dict) else "",
)
def test_values(given: dict[str, Any], values: list[Any]) -> None:
    found = axis(**given)
    assert not found.is_drawn
    assert found.count == len(values)
    assert [*found.known_values()] == (
        pytest.approx(values) if isinstance(values[-1], float) else values
    )


def test_whole_numbers_stay_whole() -> None:
    assert {type(value) for value in axis(range=[0, 6, 2]).values} == {int}
    assert {type(value) for value in axis(range_mult=[1, 3, 10]).values} == {int}


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"range": [5, 0]}, "no number from 5 up to 0 in steps of 1"),
        ({"range": [0, 1, 0]}, "a step of 0 leads nowhere"),
        ({"range": [0, 1e9]}, "1,000,000,000 values are more"),
        ({"range_mult": [1, 2.5, 10]}, "2.5 is not how many"),
        ({"range_mult": [1, 900, 1e9]}, "grow beyond"),
        ({"uniform": [1, 1]}, "no number between 1 and 1"),
        ({"log_uniform": [0, 1]}, "0 has no logarithm"),
        ({"integers": [3, 2]}, "no number between 3 and 2"),
    ],
    ids=["backwards", "no-step", "many", "fraction", "infinite", "empty", "zero", "integers"],
)
def test_numbers_that_make_no_values(given: dict[str, Any], message: str) -> None:
    with pytest.raises(AxisError, match=message.replace(".", r"\.")):
        axis(**given)


def axes() -> tuple[Any, ...]:
    """One of each kind."""
    return (
        axis_of("a", (1, "two")),
        axis_of("b", AxisSpec(integers=(0, 2))),
        axis_of("c", AxisSpec(log_uniform=(1e-4, 1))),
    )


def test_a_grid_has_its_last_axis_vary_fastest() -> None:
    points = [tuple(values_of(point).values()) for point in grid(axes()[:2])]
    assert points == [*itertools.product([1, "two"], [0, 1, 2])]


def test_drawn_points_are_the_same_for_a_seed_and_do_not_depend_on_their_number() -> None:
    first = [values_of(point) for point in drawn(axes(), 40, seed=1)]
    assert first[:7] == [values_of(point) for point in drawn(axes(), 7, seed=1)]
    assert first != [values_of(point) for point in drawn(axes(), 40, seed=2)]
    assert {values["a"] for values in first} == {1, "two"}
    assert {values["b"] for values in first} == {0, 1, 2}
    numbers = [values["c"] for values in first]
    assert all(1e-4 <= number <= 1 for number in numbers)
    below = sum(number < 1e-2 for number in numbers)
    assert 10 <= below <= 30, "half of the logarithms lie there"


def test_no_point_is_drawn_twice() -> None:
    points = [tuple(values_of(point).values()) for point in drawn(axes()[:2], 100, seed=3)]
    assert sorted(points, key=str) == sorted(itertools.product([1, "two"], [0, 1, 2]), key=str)


def test_every_point_has_every_seed() -> None:
    seeds = axis_of("run.seed", AxisSpec(range=(0, 2)))
    found = [values_of(point) for point in seeded(grid(axes()[:1]), seeds)]
    assert found == [{"a": value, "run.seed": seed} for value in (1, "two") for seed in (0, 1)]


def test_a_point_is_found_again_by_its_values() -> None:
    for point in drawn(axes(), 10, seed=5):
        again = restored(axes(), values_of(point))
        assert values_of(again) == values_of(point)
        assert again[0].index == point[0].index


def test_true_is_not_one() -> None:
    flags = (axis_of("a", (1, True)),)
    assert restored(flags, {"a": True})[0].index == 1
    assert math.isclose(restored(flags, {"a": 1})[0].value, 1)
