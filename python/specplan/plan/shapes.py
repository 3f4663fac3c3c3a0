"""Shapes and parameter counts of the built-in models in closed form, without torch."""

from __future__ import annotations

from itertools import pairwise
from math import prod
from typing import TYPE_CHECKING

from specplan.components.model import TemporalCnn

if TYPE_CHECKING:
    from collections.abc import Sequence

    from specplan.components.model import Convolutional, Mlp
    from specplan.plan.model import Shape


LARGEST_SIZE = 2**40
"""Elements of a row, or parameters of a model, beyond which no machine holds them."""


class ShapeError(ValueError):
    """Shapes that do not fit; the message says which, and at which layer.

    Attributes:
        argument: the argument of the model that is too large for the rows; None where none is to blame.
    """

    def __init__(self, message: str, *, argument: str | None = None) -> None:
        super().__init__(message)
        self.argument = argument


def show(shape: Shape, *, batch: bool = False) -> str:
    """`(10,)`, or `(B, 10)` with the batch axis."""
    sizes = ("B", *map(str, shape)) if batch else tuple(map(str, shape))
    return f"({sizes[0]},)" if len(sizes) == 1 else f"({', '.join(sizes)})"


def mlp_parameters(model: Mlp, input_shape: Shape, output_shape: Shape) -> int:
    """Trainable parameters of an mlp."""
    widths = [prod(input_shape), *[model.hidden_dim] * model.n_layers, prod(output_shape)]
    return sum((before + 1) * after for before, after in pairwise(widths))


def as_channels(shape: Shape) -> Shape:
    """A row of one axis counts as one channel where rows are convolved."""
    return (1, *shape) if len(shape) == 1 else shape


def cnn_features(model: Convolutional, input_shape: Shape) -> Shape:
    """Shape after the last convolution block. Raises ShapeError as `cnn_sizes` does."""
    return (model.hidden_dim, *cnn_sizes(model, input_shape)[-1][1])


def cnn_sizes(model: Convolutional, input_shape: Shape) -> list[tuple[Shape, Shape]]:
    """Length, or height and width, after the convolution and after the pooling of each block.

    Raises:
        ShapeError: the rows are not (channels, length) or (channels, height, width), or a block
            leaves nothing of an axis.
    """
    rows = as_channels(input_shape)
    if isinstance(model, TemporalCnn):
        if len(rows) != 2:
            raise ShapeError(
                f"temporal_cnn reads rows of shape (channels, length), not {show(input_shape)}"
            )
        return [(rows[1:], rows[1:])] * model.n_layers
    if len(rows) not in (2, 3):
        raise ShapeError(
            f"cnn reads rows of shape (channels, length) or (channels, height, width), "
            f"not {show(input_shape)}"
        )
    sizes: list[tuple[Shape, Shape]] = []
    before = rows[1:]
    for layer in range(model.n_layers):
        convolved = tuple(
            (size + 2 * model.padding - model.kernel_size) // model.stride + 1 for size in before
        )
        if min(convolved) < 1:
            raise ShapeError(
                f"layer {layer} of cnn: kernel_size {model.kernel_size} with padding "
                f"{model.padding} does not fit into {show(before)}",
                argument="kernel_size",
            )
        before = tuple(size // model.pooling for size in convolved)
        if min(before) < 1:
            raise ShapeError(
                f"layer {layer} of cnn: pooling {model.pooling} leaves nothing of {show(convolved)}",
                argument="pooling",
            )
        sizes.append((convolved, before))
    return sizes


def cnn_parameters(model: Convolutional, input_shape: Shape, output_shape: Shape) -> int:
    """Trainable parameters of a cnn. Raises ShapeError as `cnn_features` does."""
    rows = as_channels(input_shape)
    features = cnn_features(model, input_shape)
    kernel = prod([model.kernel_size] * (len(rows) - 1))
    channels = [rows[0], *[model.hidden_dim] * model.n_layers]
    convolutions = sum((before * kernel + 1) * after for before, after in pairwise(channels))
    if not model.flatten_output:
        return convolutions
    return convolutions + (prod(features) + 1) * prod(output_shape)


def as_row(shape: Shape) -> Shape:
    """A scalar counts as a row of one element where rows are joined."""
    return shape or (1,)


def concat_shape(shapes: Sequence[Shape], axis: int, *, pad: bool = False) -> Shape:
    """Shape of rows joined along `axis`, which does not count the batch axis.

    With `pad` the other axes have the largest size of any.

    Raises:
        ShapeError: the ranks differ, the axis does not exist, or another axis differs.
    """
    rows = [as_row(shape) for shape in shapes]
    rank = len(rows[0])
    listed = " and ".join(show(row) for row in rows)
    if any(len(row) != rank for row in rows):
        raise ShapeError(f"cannot concatenate {listed} on axis {axis}: the ranks differ")
    if not -rank <= axis < rank:
        axes = "1 axis" if rank == 1 else f"{rank} axes"
        raise ShapeError(f"cannot concatenate {listed} on axis {axis}: rows have {axes}")
    position = axis % rank
    rests = {row[:position] + row[position + 1 :] for row in rows}
    if len(rests) > 1 and not pad:
        raise ShapeError(f"cannot concatenate {listed} on axis {axis}: another axis differs")
    joined = sum(row[position] for row in rows)
    largest = tuple(max(row[index] for row in rows) for index in range(rank))
    return (*largest[:position], joined, *largest[position + 1 :])
