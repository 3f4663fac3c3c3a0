"""Models that are built in. scikit-learn estimators are listed in `models/sklearn/estimators.json`."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from msgspec import Meta

from specplan.components.component import Component, Positive, Probability

MOST_LAYERS = 1000

Activation = Annotated[
    Literal["relu", "gelu", "elu", "leaky_relu", "silu", "sigmoid", "tanh", "identity"],
    Meta(description="Activation after each hidden layer."),
]
OutputShape = Annotated[
    tuple[Positive, ...] | None,
    Meta(
        description="Shape of one output row, without the batch axis; by default that of the target.",
        examples=[[1]],
    ),
]
Dropout = Annotated[
    Probability,
    Meta(description="Probability of zeroing a hidden value while training.", examples=[0.1]),
]

FlattenOutput = Annotated[
    bool,
    Meta(
        description="Whether a linear layer follows; without it the output is (channels, ...) of the last block.",
        examples=[False],
    ),
]


class Mlp(Component, frozen=True, tag="mlp"):
    """A multi-layer perceptron: the row is flattened, then `n_layers` hidden linear layers and one output layer."""

    output_shape: OutputShape = None
    n_layers: Annotated[
        int, Meta(ge=0, le=MOST_LAYERS, description="Number of hidden layers.", examples=[3])
    ] = 2
    hidden_dim: Annotated[
        Positive, Meta(description="Width of each hidden layer.", examples=[128])
    ] = 32
    activation: Activation = "relu"
    dropout: Dropout = 0.0


class Cnn(Component, frozen=True, tag="cnn"):
    """A convolutional network over rows of shape (channels, length) or (channels, height, width).

    `n_layers` blocks of convolution, activation, pooling and dropout; then the result is flattened and
    a linear layer maps it to the output shape. Rows of shape (length,) are one channel.
    """

    later: ClassVar[frozenset[str]] = frozenset({"flatten_output"})

    output_shape: OutputShape = None
    n_layers: Annotated[
        int, Meta(ge=1, le=MOST_LAYERS, description="Number of convolution blocks.", examples=[3])
    ] = 2
    hidden_dim: Annotated[
        Positive, Meta(description="Channels of each convolution.", examples=[32])
    ] = 16
    kernel_size: Annotated[
        Positive, Meta(description="Width of the kernel on every axis.", examples=[5])
    ] = 3
    stride: Annotated[
        Positive, Meta(description="Step of the kernel on every axis.", examples=[2])
    ] = 1
    padding: Annotated[
        int, Meta(ge=0, description="Zeros added at both ends of every axis.", examples=[0])
    ] = 1
    pooling: Annotated[
        Positive,
        Meta(
            description="Width of the max pooling after each activation; 1 is none.", examples=[2]
        ),
    ] = 1
    activation: Activation = "relu"
    dropout: Dropout = 0.0
    flatten_output: FlattenOutput = True


class TemporalCnn(Component, frozen=True, tag="temporal_cnn"):
    """A convolutional network over time, in which no value depends on later ones.

    It reads rows of shape (channels, length), or (length,) for one channel. `n_layers` blocks of
    convolution, activation and dropout keep the length; block `n` reads values that are `dilation ** n`
    apart. Then the result is flattened and a linear layer maps it to the output shape.
    """

    output_shape: OutputShape = None
    n_layers: Annotated[
        int, Meta(ge=1, le=20, description="Number of convolution blocks.", examples=[4])
    ] = 2
    hidden_dim: Annotated[
        Positive, Meta(description="Channels of each convolution.", examples=[32])
    ] = 16
    kernel_size: Annotated[
        Positive, Meta(description="Values that each convolution reads.", examples=[5])
    ] = 3
    dilation: Annotated[
        int,
        Meta(
            ge=1, le=16, description="How much farther apart they are in each block.", examples=[3]
        ),
    ] = 2
    activation: Activation = "relu"
    dropout: Dropout = 0.0
    flatten_output: FlattenOutput = True


Convolutional = Cnn | TemporalCnn
Network = Mlp | Cnn | TemporalCnn
