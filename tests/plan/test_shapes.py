"""The closed forms against modules that are built by hand."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from specplan.components.model import Cnn, Mlp, TemporalCnn
from specplan.plan.dtypes import NUMBERS, common_dtype, item_size
from specplan.plan.shapes import (
    ShapeError,
    cnn_features,
    cnn_parameters,
    concat_shape,
    mlp_parameters,
    show,
)


def parameters(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


def test_mlp() -> None:
    by_hand = nn.Sequential(
        nn.Flatten(), nn.Linear(12, 8), nn.ReLU(), nn.Linear(8, 8), nn.ReLU(), nn.Linear(8, 6)
    )
    model = Mlp(n_layers=2, hidden_dim=8)
    assert mlp_parameters(model, (3, 4), (2, 3)) == parameters(by_hand)
    assert mlp_parameters(Mlp(n_layers=0), (12,), (6,)) == parameters(nn.Linear(12, 6))
    assert mlp_parameters(Mlp(), (10,), (1,)) == 1441


@pytest.mark.parametrize(
    ("row", "model"),
    [
        ((1, 8, 8), Cnn(pooling=2)),
        ((3, 9, 13), Cnn(hidden_dim=5, kernel_size=4, stride=2, padding=2)),
        ((3, 17, 20), Cnn(n_layers=3, kernel_size=2, padding=0, pooling=2)),
        ((2, 30), Cnn(kernel_size=5, stride=3, padding=1)),
        ((1, 7), Cnn(n_layers=1, padding=3, pooling=3)),
    ],
)
def test_cnn(row: tuple[int, ...], model: Cnn) -> None:
    flat = len(row) == 2
    convolution, pool = (nn.Conv1d, nn.MaxPool1d) if flat else (nn.Conv2d, nn.MaxPool2d)
    layers: list[nn.Module] = []
    channels = row[0]
    for _ in range(model.n_layers):
        layers.append(
            convolution(channels, model.hidden_dim, model.kernel_size, model.stride, model.padding)
        )
        layers.append(pool(model.pooling))
        channels = model.hidden_dim
    features = nn.Sequential(*layers)
    shape = tuple(features(torch.zeros(2, *row)).shape[1:])
    assert cnn_features(model, row) == shape
    head = nn.Linear(int(np.prod(shape)), 4)
    assert cnn_parameters(model, row, (4,)) == parameters(features) + parameters(head)


def test_rows_that_a_cnn_cannot_read() -> None:
    with pytest.raises(ShapeError, match=r"^cnn reads rows of .*, not \(2, 3, 4, 5\)$"):
        cnn_features(Cnn(), (2, 3, 4, 5))
    with pytest.raises(ShapeError, match=r"^temporal_cnn reads rows of .*, not \(1, 8, 8\)$"):
        cnn_features(TemporalCnn(), (1, 8, 8))


def test_cnn_names_the_layer_that_leaves_nothing() -> None:
    with pytest.raises(ShapeError, match=r"layer 3 of cnn: pooling 2 leaves nothing of \(1, 1\)"):
        cnn_features(Cnn(n_layers=4, pooling=2), (1, 8, 8))


@pytest.mark.parametrize(
    ("shapes", "axis"),
    [([(2, 3), (2, 5)], -1), ([(2, 3), (4, 3)], 0), ([(4,), (1,)], -1)],
)
def test_concat(shapes: list[tuple[int, ...]], axis: int) -> None:
    arrays = [np.zeros((7, *shape)) for shape in shapes]
    along = axis + 1 if axis >= 0 else axis
    assert concat_shape(shapes, axis) == np.concatenate(arrays, axis=along).shape[1:]


def test_a_scalar_is_joined_as_one_element() -> None:
    assert concat_shape([(), (3,), ()], -1) == (5,)


@pytest.mark.parametrize(
    ("shapes", "axis", "message"),
    [
        ([(2, 3), (2,)], -1, "cannot concatenate (2, 3) and (2,) on axis -1: the ranks differ"),
        (
            [(2, 3), (4, 5)],
            0,
            "cannot concatenate (2, 3) and (4, 5) on axis 0: another axis differs",
        ),
        ([(2,), (2,)], 1, "cannot concatenate (2,) and (2,) on axis 1: rows have 1 axis"),
    ],
)
def test_shapes_that_cannot_be_joined(
    shapes: list[tuple[int, ...]], axis: int, message: str
) -> None:
    with pytest.raises(ShapeError) as caught:
        concat_shape(shapes, axis)
    assert str(caught.value) == message


def test_show() -> None:
    assert (show(()), show((3,)), show((3, 4)), show((), batch=True)) == (
        "()",
        "(3,)",
        "(3, 4)",
        "(B,)",
    )


@pytest.mark.parametrize("one", sorted(NUMBERS))
@pytest.mark.parametrize("two", sorted(NUMBERS))
def test_dtypes_join_as_numpys_do(one: str, two: str) -> None:
    assert common_dtype(one, two) == np.result_type(one, two).name
    assert item_size(one) == np.dtype(one).itemsize
