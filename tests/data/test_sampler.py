from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from specplan.components.sampler import Condition, Paired, Roles, Simple, Triplet
from specplan.data.sampler import Drawing, SamplerError


def positions(epoch: int, **arguments: Any) -> list[int] | None:
    found = Drawing(Simple(batch_size=4, **arguments), 7, 10, {}).epoch(epoch).order
    return None if found is None else found.tolist()


def drawn(sampler: Any, **columns: Any) -> Drawing:
    arrays = {name: np.asarray(column) for name, column in columns.items()}
    return Drawing(sampler, 7, len(next(iter(arrays.values()))), arrays)


def batches(drawing: Drawing, epoch: int) -> list[list[int]]:
    found = drawing.epoch(epoch)
    assert found.order is not None
    order = found.order.tolist()
    sizes = found.sizes
    if isinstance(sizes, int):
        return [order[start : start + sizes] for start in range(0, len(order), sizes)]
    ends = np.cumsum(sizes).tolist()
    return [order[end - size : end] for end, size in zip(ends, sizes, strict=True)]


def test_each_epoch_has_its_own_order() -> None:
    for epoch in range(3):
        expected = np.random.default_rng([7, epoch]).permutation(10).tolist()
        assert positions(epoch, shuffle=True) == expected
    assert positions(0, shuffle=True) != positions(1, shuffle=True)


def test_without_reshuffling_each_epoch_has_the_same_order() -> None:
    expected = np.random.default_rng(7).permutation(10).tolist()
    assert positions(0, shuffle=True, reshuffle=False) == expected
    assert positions(5, shuffle=True, reshuffle=False) == expected


def test_without_shuffling_the_order_is_that_of_the_split() -> None:
    assert positions(0) is None


def test_a_short_batch_can_be_dropped() -> None:
    assert positions(0, drop_last=True) == list(range(8))
    assert positions(1, shuffle=True, drop_last=True) == positions(1, shuffle=True)[:8]  # type: ignore[index]


keys = st.lists(st.sampled_from("abc"), min_size=1, max_size=40)
flags = st.booleans()


@given(values=keys, size=st.integers(1, 7), shuffle=flags, drop_last=flags)
def test_a_batch_has_rows_of_one_group(
    values: list[str], size: int, shuffle: bool, drop_last: bool
) -> None:
    sampler = Simple(batch_size=size, shuffle=shuffle, drop_last=drop_last, group_by="k")
    drawing = drawn(sampler, k=values)
    found = batches(drawing, 3)
    assert all(len({values[row] for row in batch}) == 1 for batch in found)
    assert drawing.steps == len(found)
    rows = [row for batch in found for row in batch]
    assert drawing.samples == len(rows) == len(set(rows))
    assert drop_last or len(rows) == len(values)


@given(values=keys, extra=st.integers(0, 5), strict=flags, shuffle=flags)
def test_a_batch_has_as_many_rows_of_each_stratum(
    values: list[str], extra: int, strict: bool, shuffle: bool
) -> None:
    counts = [values.count(value) for value in sorted(set(values))]
    sampler = Simple(
        batch_size=len(counts) + extra,
        stratify_by="k",
        strict_stratification=strict,
        shuffle=shuffle,
    )
    drawing = drawn(sampler, k=values)
    found = batches(drawing, 0)
    assert drawing.steps == len(found)
    assert drawing.samples == sum(map(len, found))
    assert drawing.samples == (len(counts) * min(counts) if strict else len(values))
    for batch in found if strict else ():
        held = [sum(values[row] == value for row in batch) for value in set(values)]
        assert max(held) - min(held) <= 1


def test_a_batch_holds_a_row_of_each_stratum() -> None:
    with pytest.raises(SamplerError) as caught:
        drawn(Simple(batch_size=2, stratify_by="k"), k=["a", "b", "c"])
    assert caught.value.args == (
        "batch_size 2 is less than the 3 values of `k`\n"
        "hint: a batch has a row of each: `batch_size` is at least 3",
    )


@given(values=st.lists(st.integers(0, 3), min_size=2, max_size=30), most=st.integers(1, 4))
def test_triplets_fit_their_conditions(values: list[int], most: int) -> None:
    sampler = Triplet(
        pos_conditions={"k": Condition()},
        neg_conditions={"k": Condition(mode="dissimilar")},
        max_samples_per_anchor=most,
        shuffle=True,
    )
    fit = [(values.count(value) - 1, len(values) - values.count(value)) for value in values]
    expected = sum(min(most, max(same, other)) for same, other in fit if same and other)
    if not expected:
        with pytest.raises(SamplerError, match="none has a partner for every role"):
            drawn(sampler, k=values)
        return
    drawing = drawn(sampler, k=values)
    assert drawing.members is not None
    tuples = list(zip(*(member.tolist() for member in drawing.members), strict=True))
    assert len(set(tuples)) == len(tuples) == drawing.samples == expected
    for anchor, positive, negative in tuples:
        assert len({anchor, positive, negative}) == 3
        assert values[anchor] == values[positive] != values[negative]
    assert drawing.weights is None


def test_partners_are_drawn_by_the_seed() -> None:
    sampler = Paired(conditions={"k": Condition(tolerance=0.5)})
    columns = {"k": np.random.default_rng(0).standard_normal(50)}
    one, again, other = (Drawing(sampler, seed, 50, columns) for seed in (1, 1, 2))
    assert one.members is not None
    assert again.members is not None
    assert other.members is not None
    assert np.array_equal(one.members[1], again.members[1])
    assert not np.array_equal(one.members[1], other.members[1])


def test_the_best_partners_are_the_nearest() -> None:
    nearest = Paired(
        conditions={"k": Condition(tolerance=9, weight_mode="linear")},
        choose_best_only=True,
        max_samples_per_anchor=1,
    )
    drawing = drawn(nearest, k=[0.0, 1.0, 5.0, 5.5])
    assert drawing.members is not None
    assert drawing.weights is not None
    assert drawing.members[1].tolist() == [1, 0, 3, 2]
    np.testing.assert_allclose(drawing.weights, 1 - np.array([1, 1, 0.5, 0.5]) / 9, rtol=1e-6)


def test_anchors_without_a_partner_are_left_out_or_get_the_nearest() -> None:
    values = [0.0, 0.1, 3.0]
    paired = drawn(Paired(conditions={"k": Condition(tolerance=0.2)}), k=values)
    assert paired.samples == 2
    fallback = Condition(tolerance=0.2, allow_fallback=True, min_weight=0.25)
    paired = drawn(Paired(conditions={"k": fallback}), k=values)
    assert paired.members is not None
    assert paired.weights is not None
    assert [member.tolist() for member in paired.members] == [[0, 1, 2], [1, 0, 1]]
    assert paired.weights.tolist() == [1, 1, 0.25]


@pytest.mark.parametrize(
    ("metric", "partner"), [("euclidean", 2), ("manhattan", 1), ("chebyshev", 2), ("cosine", 2)]
)
def test_rows_of_several_elements_are_compared_by_a_metric(metric: Any, partner: int) -> None:
    condition = Condition(metric=metric, tolerance=99)
    sampler = Roles(
        condition_mapping={"near": {"k": condition}},
        choose_best_only=True,
        max_samples_per_anchor=1,
    )
    drawing = drawn(sampler, k=[[1.0, 1.0], [3.5, 1.0], [2.6, 2.5], [-9.0, 1.0]])
    assert drawing.members is not None
    assert drawing.members[1][0] == partner
