"""Built-in torch models as a Python program names them. They hold no weights: a run makes those."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from specplan.spec.arguments import written

if TYPE_CHECKING:
    from collections.abc import Mapping

    from specplan.spec.model import ComponentSpec

Shape = tuple[int, ...]
Activation = Literal["relu", "gelu", "elu", "leaky_relu", "silu", "sigmoid", "tanh", "identity"]


class Sequential:
    """Abstract base of the built-in models: what `ModelGraph.build` has to know about one.

    Attributes:
        component: the model as a spec writes it.
        input_shape: shape of one input row; None until it is given or built.
        output_shape: shape of one output row; None until it is given or built.
    """

    component: ComponentSpec
    input_shape: Shape | None
    output_shape: Shape | None

    def __init__(self, use: str, input_shape: Shape | None, arguments: Mapping[str, Any]) -> None:
        self.component = written("model", use, arguments)
        self._asked_shape = input_shape
        self.input_shape = input_shape
        self.output_shape = arguments["output_shape"]

    @property
    def is_built(self) -> bool:
        """Whether both shapes are known."""
        return self.input_shape is not None and self.output_shape is not None

    def build(self, input_shape: Shape, output_shape: Shape) -> None:
        """Take over the shapes that the graph was compiled with. Axes of one element may differ.

        Raises:
            ValueError: another input shape was asked for.
        """
        if self._asked_shape is None:
            self.input_shape = input_shape
        elif _without_ones(self._asked_shape) != _without_ones(input_shape):
            raise ValueError(
                f"{type(self).__name__} was made for rows of shape {self._asked_shape}, "
                f"its node reads rows of shape {input_shape}"
            )
        self.output_shape = output_shape

    @property
    def backend(self) -> str:
        """ "torch"."""
        return "torch"

    def node_section(self) -> dict[str, Any]:
        """What a spec says of the node beside its model: nothing."""
        return {}

    def bound(self) -> object:
        """Nothing is bound: a spec says all of it."""
        raise AssertionError(self.component)

    def __repr__(self) -> str:
        arguments = {"input_shape": self.input_shape, **self.component}
        arguments["output_shape"] = self.output_shape
        said = ", ".join(
            f"{key}={tuple(value) if isinstance(value, list) else value!r}"
            for key, value in arguments.items()
            if key != "use" and value is not None
        )
        return f"{type(self).__name__}({said})"


class SequentialMLP(Sequential):
    """A multi-layer perceptron: flatten, `n_layers` hidden linear layers, one output layer.

    Args:
        input_shape: shape of one input row; by default what the node reads.
        output_shape: shape of one output row; by default that of the node's target.
        n_layers: number of hidden layers.
        hidden_dim: width of each hidden layer.
        activation: relu, gelu, elu, leaky_relu, silu, sigmoid, tanh or identity.
        dropout: probability of zeroing a hidden value while training.

    Raises:
        ValueError: an argument has a value that is not allowed.
    """

    def __init__(
        self,
        input_shape: Shape | None = None,
        output_shape: Shape | None = None,
        n_layers: int = 2,
        hidden_dim: int = 32,
        activation: Activation = "relu",
        dropout: float = 0.0,
    ) -> None:
        super().__init__(
            "mlp",
            input_shape,
            {
                "output_shape": output_shape,
                "n_layers": n_layers,
                "hidden_dim": hidden_dim,
                "activation": activation,
                "dropout": dropout,
            },
        )


class SequentialCNN(Sequential):
    """A convolutional network over rows of shape (channels, length) or (channels, height, width).

    Rows of shape (length,) are one channel.

    Args:
        input_shape: shape of one input row; by default what the node reads.
        output_shape: shape of one output row; by default that of the node's target.
        n_layers: number of blocks of convolution, activation, pooling and dropout.
        hidden_dim: channels of each convolution.
        kernel_size: width of the kernel on every axis.
        stride: step of the kernel on every axis.
        padding: zeros added at both ends of every axis.
        pooling: width of the max pooling after each activation; 1 is none.
        activation: relu, gelu, elu, leaky_relu, silu, sigmoid, tanh or identity.
        dropout: probability of zeroing a hidden value while training.
        flatten_output: whether a linear layer maps what the last block gives to `output_shape`.

    Raises:
        ValueError: an argument has a value that is not allowed.
    """

    def __init__(  # noqa: PLR0913 -- one for each parameter of the component
        self,
        input_shape: Shape | None = None,
        output_shape: Shape | None = None,
        n_layers: int = 2,
        hidden_dim: int = 16,
        kernel_size: int = 3,
        stride: int = 1,
        padding: int = 1,
        pooling: int = 1,
        activation: Activation = "relu",
        dropout: float = 0.0,
        flatten_output: bool = True,  # noqa: FBT001, FBT002 -- as documented
    ) -> None:
        super().__init__(
            "cnn",
            input_shape,
            {
                "output_shape": output_shape,
                "n_layers": n_layers,
                "hidden_dim": hidden_dim,
                "kernel_size": kernel_size,
                "stride": stride,
                "padding": padding,
                "pooling": pooling,
                "activation": activation,
                "dropout": dropout,
                **_unless_true("flatten_output", flatten_output),
            },
        )


class TemporalCNN(Sequential):
    """A convolutional network over time, in which no value depends on later ones.

    It reads rows of shape (channels, length), or (length,) for one channel, and keeps the length.

    Args:
        input_shape: shape of one input row; by default what the node reads.
        output_shape: shape of one output row; by default that of the node's target.
        n_layers: number of blocks of convolution, activation and dropout.
        hidden_dim: channels of each convolution.
        kernel_size: values that each convolution reads.
        dilation: block `n` reads values that are `dilation ** n` apart.
        activation: relu, gelu, elu, leaky_relu, silu, sigmoid, tanh or identity.
        dropout: probability of zeroing a hidden value while training.
        flatten_output: whether a linear layer maps what the last block gives to `output_shape`.

    Raises:
        ValueError: an argument has a value that is not allowed.
    """

    def __init__(  # noqa: PLR0913 -- one for each parameter of the component
        self,
        input_shape: Shape | None = None,
        output_shape: Shape | None = None,
        n_layers: int = 2,
        hidden_dim: int = 16,
        kernel_size: int = 3,
        dilation: int = 2,
        activation: Activation = "relu",
        dropout: float = 0.0,
        flatten_output: bool = True,  # noqa: FBT001, FBT002
    ) -> None:
        super().__init__(
            "temporal_cnn",
            input_shape,
            {
                "output_shape": output_shape,
                "n_layers": n_layers,
                "hidden_dim": hidden_dim,
                "kernel_size": kernel_size,
                "dilation": dilation,
                "activation": activation,
                "dropout": dropout,
                **_unless_true("flatten_output", flatten_output),
            },
        )


def _without_ones(shape: Shape) -> Shape:
    return tuple(size for size in shape if size != 1)


def _unless_true(name: str, value: object) -> dict[str, object]:
    return {} if value is True else {name: value}
