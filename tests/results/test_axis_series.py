from __future__ import annotations

import re

import pytest

from specplan.results.axis_series import AxisSeries


def grid() -> AxisSeries[int]:
    return AxisSeries(
        ("epoch", "batch"),
        {(epoch, batch): 10 * epoch + batch for epoch in (0, 1) for batch in range(3)},
    )


def test_a_series_tells_its_axes() -> None:
    series = grid()
    assert series.axes == ("epoch", "batch")
    assert series.shape == {"epoch": 2, "batch": 3}
    assert series.axis_values("batch") == [0, 1, 2]
    assert series.axes_values() == {"epoch": [0, 1], "batch": [0, 1, 2]}
    assert repr(series) == "AxisSeries(epoch: 2, batch: 3; 6 entries)"


def test_a_series_is_read_as_a_mapping() -> None:
    series = grid()
    assert list(series) == series.keys() == [(0, 0), (0, 1), (0, 2), (1, 0), (1, 1), (1, 2)]
    assert dict(series.items()) == dict(zip(series.keys(), series.values(), strict=True))
    assert series[1, 2] == series.at(epoch=1, batch=2) == 12
    assert (1, 2) in series
    assert (2, 0) not in series


def test_a_part_is_chosen_by_coordinate_by_several_or_by_a_function() -> None:
    series = grid()
    assert series.where(epoch=1).values() == series.select(epoch=1) == [10, 11, 12]
    assert series.select(batch=[0, 2]) == [0, 2, 10, 12]
    assert series.select(epoch=lambda epoch: epoch > 0, batch=range(2)) == [10, 11]
    assert len(series.where(epoch=7)) == 0


def test_an_axis_is_collapsed_by_name_or_function() -> None:
    series = grid()
    assert dict(series.collapse("batch", sum).items()) == {0: 3, 1: 33}
    assert series.collapse("batch", sum).axes == ("epoch",)
    assert series.collapse("epoch", "last").values() == [10, 11, 12]
    assert series.collapse("epoch", max).collapse("batch", max).one() == 12


def test_axes_of_one_coordinate_are_squeezed_away() -> None:
    row = grid().where(epoch=1).squeeze()
    assert (row.axes, row.keys(), row[2]) == (("batch",), [0, 1, 2], 12)
    assert grid().where(epoch=0, batch=1).squeeze().one() == 1
    assert grid().squeeze().axes == ("epoch", "batch")


def test_the_first_and_last_are_those_of_an_order() -> None:
    series = AxisSeries(("epoch", "batch"), {(1, 0): "b", (0, None): "c", (0, 0): "a"})
    assert (series.first(), series.last()) == ("b", "a")
    assert series.first(sort_by="epoch") == "c"
    assert series.last(sort_by=["batch", "epoch"]) == "c"


def test_choosing_reads_nothing() -> None:
    class Unreadable(dict[tuple[int, ...], int]):
        def __getitem__(self, key: tuple[int, ...]) -> int:
            raise AssertionError(key)

    series = AxisSeries(("epoch", "batch"), Unreadable({(0, 0): 1, (0, 1): 2}))
    assert len(series.where(batch=1).squeeze()) == 1
    with pytest.raises(AssertionError):
        series.where(batch=1).one()


def test_mistakes_are_told() -> None:
    series = grid()
    with pytest.raises(KeyError, match="there is no axis `epok`; there: `epoch`, `batch`"):
        series.where(epok=1)
    with pytest.raises(KeyError, match="`at` needs a coordinate for each axis; `batch` is missing"):
        series.at(epoch=1)
    with pytest.raises(KeyError, match=re.escape("there is no value at epoch=3, batch=0 in AxisS")):
        series[3, 0]
    with pytest.raises(ValueError, match=r"^one value was expected, and there are 6$"):
        series.one()
    with pytest.raises(
        ValueError, match=r"^AxisSeries has no reducer `mean`; it has `first`, `last`"
    ):
        series.collapse("batch", "mean")
    with pytest.raises(ValueError, match="nothing to collapse: AxisSeries.* is empty"):
        series.where(epoch=9).collapse("batch", "first")
    with pytest.raises(ValueError, match=r"is empty$"):
        series.where(epoch=9).last()
