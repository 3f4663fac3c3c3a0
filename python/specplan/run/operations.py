"""What a step does to single registers, bound to their numbers."""

from __future__ import annotations

from operator import itemgetter
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from specplan.models.torch.padding import padded, padder

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from specplan.plan.model import Node, Shape
    from specplan.run.program import Registers


def taken(registers: list[int]) -> Callable[[Registers], tuple[Tensor, ...]]:
    """What stands in some registers, as a tuple whatever their number."""
    if len(registers) > 1:
        return itemgetter(*registers)
    [register] = registers
    return lambda values: (values[register],)


def tensor_of(rows: NDArray[Any]) -> Tensor:
    """Rows as a tensor over the same memory, where that can be written."""
    # A tensor over read-only memory, as a mapped file is, could be written through by mistake.
    return torch.from_numpy(rows if rows.flags.writeable else rows.copy())


def viewing(
    source: int, destination: int, dtype: torch.dtype, shape: Shape
) -> Callable[[Registers], None]:
    """An operation that views a register in another shape and type."""

    def operate(registers: Registers) -> None:
        registers[destination] = registers[source].to(dtype).reshape(-1, *shape)

    return operate


def calling(
    compute: Callable[..., Tensor], sources: Sequence[int], destination: int
) -> Callable[[Registers], None]:
    """An operation that computes a register from others."""

    def operate(registers: Registers) -> None:
        registers[destination] = compute(*[registers[source] for source in sources])

    return operate


def merging(node: Node) -> Callable[..., Tensor]:
    """What a merge that is built in computes from its inputs."""
    args = node.component.args
    axis = args["axis"]
    batch_axis = axis + 1 if axis >= 0 else axis
    shapes = [read.shape for read in node.inputs]
    # A scalar counts as a row of one element where rows are joined.
    scalars = any(not shape for shape in shapes)
    paddings = padded(shapes, axis) if args.get("pad") else []

    def join(*inputs: Tensor) -> Tensor:
        return torch.cat(inputs, batch_axis)

    def join_scalars(*inputs: Tensor) -> Tensor:
        return torch.cat(
            [value[:, None] if value.ndim == 1 else value for value in inputs], batch_axis
        )

    def join_padded(*inputs: Tensor) -> Tensor:
        rows = [pad(value) for pad, value in zip(pads, inputs, strict=True)]
        return torch.cat(rows, batch_axis)

    if any(any(padding) for padding in paddings):
        pads = [
            padder(each, args.get("pad_mode", "constant"), args.get("pad_value", 0.0))
            for each in paddings
        ]
        return join_padded
    return join_scalars if scalars else join
