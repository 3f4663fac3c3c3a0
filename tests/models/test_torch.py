from __future__ import annotations

from typing import get_args

import msgspec
import pytest
import torch
from torch import nn

from specplan.components import COMPONENTS
from specplan.components.model import Activation, Cnn, Mlp, TemporalCnn
from specplan.models.torch.activation import ACTIVATIONS
from specplan.models.torch.build import MODELS, build_module
from specplan.models.torch.losses import LOSSES, build_loss
from specplan.models.torch.optimizers import OPTIMIZERS, build_optimizer
from specplan.plan.shapes import cnn_features, cnn_parameters, mlp_parameters


def parameters(module: nn.Module) -> int:
    return sum(p.numel() for p in module.parameters())


def test_every_declared_component_is_built() -> None:
    assert MODELS.keys() == COMPONENTS["model"].keys()
    assert LOSSES.keys() == COMPONENTS["loss"].keys()
    assert OPTIMIZERS.keys() == COMPONENTS["optimizer"].keys()
    literal = get_args(Activation)[0]
    assert set(get_args(literal)) == ACTIVATIONS.keys()


@pytest.mark.parametrize("input_shape", [(), (10,), (2, 5), (1, 2, 3)])
@pytest.mark.parametrize("output_shape", [(1,), (), (2, 3)])
@pytest.mark.parametrize("n_layers", [0, 2])
@pytest.mark.parametrize("dropout", [0.0, 0.5])
def test_an_mlp_has_the_shapes_and_size_that_a_plan_says(
    input_shape: tuple[int, ...], output_shape: tuple[int, ...], n_layers: int, dropout: float
) -> None:
    model = Mlp(n_layers=n_layers, dropout=dropout)
    arguments = msgspec.structs.asdict(model)
    module = build_module("mlp", arguments, input_shape=input_shape, output_shape=output_shape)
    assert module(torch.zeros(4, *input_shape)).shape == (4, *output_shape)
    assert parameters(module) == mlp_parameters(model, input_shape, output_shape)
    assert sum(isinstance(layer, nn.Dropout) for layer in module.modules()) == (
        n_layers if dropout else 0
    )


def test_the_documented_mlp_has_1441_parameters() -> None:
    arguments = msgspec.structs.asdict(Mlp())
    assert parameters(build_module("mlp", arguments, input_shape=(10,), output_shape=(1,))) == 1441


@pytest.mark.parametrize("input_shape", [(17,), (2, 17), (1, 8, 8), (3, 9, 14)])
@pytest.mark.parametrize(
    "model",
    [
        Cnn(),
        Cnn(pooling=2),
        Cnn(kernel_size=5, stride=2, padding=2, n_layers=1, dropout=0.1),
        Cnn(stride=2, hidden_dim=5, flatten_output=False),
    ],
)
def test_a_cnn_has_the_shapes_and_size_that_a_plan_says(
    input_shape: tuple[int, ...], model: Cnn
) -> None:
    arguments = msgspec.structs.asdict(model)
    shape = (2, 5) if model.flatten_output else cnn_features(model, input_shape)
    module = build_module("cnn", arguments, input_shape=input_shape, output_shape=shape)
    assert module(torch.zeros(4, *input_shape)).shape == (4, *shape)
    assert parameters(module) == cnn_parameters(model, input_shape, shape)


@pytest.mark.parametrize(
    "model", [TemporalCnn(), TemporalCnn(n_layers=4, kernel_size=2, dilation=3, dropout=0.5)]
)
def test_a_temporal_cnn_reads_nothing_that_comes_later(model: TemporalCnn) -> None:
    arguments = msgspec.structs.asdict(model) | {"flatten_output": False}
    module = build_module(
        "temporal_cnn", arguments, input_shape=(3, 12), output_shape=(16, 12)
    ).eval()
    rows = torch.randn(2, 3, 12)
    later = rows.clone()
    later[:, :, 7:] += 1
    before, after = module(rows), module(later)
    assert torch.equal(before[:, :, :7], after[:, :, :7])
    assert (before[:, :, 7:] != after[:, :, 7:]).any()


@pytest.mark.parametrize("input_shape", [(12,), (3, 12)])
def test_a_temporal_cnn_has_the_size_that_a_plan_says(input_shape: tuple[int, ...]) -> None:
    model = TemporalCnn(n_layers=3, hidden_dim=5, kernel_size=4)
    arguments = msgspec.structs.asdict(model)
    module = build_module("temporal_cnn", arguments, input_shape=input_shape, output_shape=(2,))
    assert module(torch.zeros(4, *input_shape)).shape == (4, 2)
    assert cnn_features(model, input_shape) == (5, 12)
    assert parameters(module) == cnn_parameters(model, input_shape, (2,))


def test_losses_take_their_parameters() -> None:
    outputs, targets = torch.randn(8, 3), torch.randn(8, 3)
    huber = build_loss("huber", {"delta": 0.3})(outputs, targets)
    assert torch.equal(huber, nn.functional.huber_loss(outputs, targets, delta=0.3))
    classes = torch.tensor([0, 1, 2, 0, 1, 2, 0, 1])
    entropy = build_loss("cross_entropy", {"label_smoothing": 0.1})(outputs, classes)
    assert torch.equal(entropy, nn.functional.cross_entropy(outputs, classes, label_smoothing=0.1))


@pytest.mark.parametrize("use", OPTIMIZERS)
def test_declared_defaults_of_optimizers_are_those_of_torch(use: str) -> None:
    weights = [nn.Parameter(torch.zeros(2))]
    declared = msgspec.to_builtins(COMPONENTS["optimizer"][use]())
    del declared["use"]
    ours = build_optimizer(use, declared, weights).defaults
    assert ours == OPTIMIZERS[use](weights).defaults
