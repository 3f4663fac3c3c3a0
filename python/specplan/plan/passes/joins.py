"""Why values cannot be joined, in the words of the spec."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from specplan.plan.shapes import as_row, show
from specplan.spec.wording import quoted

if TYPE_CHECKING:
    from collections.abc import Sequence

    from specplan.plan.model import Shape


def refused(names: Sequence[str], shapes: Sequence[Shape], axis: int) -> tuple[str, str]:
    """What is wrong with joining values of these shapes along `axis`, and what would fit."""
    rows = [as_row(shape) for shape in shapes]
    listed = " and ".join(f"`{name}` {show(row)}" for name, row in zip(names, rows, strict=True))
    message = f"cannot concatenate {listed} on axis {axis}"
    ranks = Counter(map(len, rows))
    if len(ranks) > 1:
        usual = ranks.most_common(1)[0][0]
        others = [name for name, row in zip(names, rows, strict=True) if len(row) != usual]
        return f"{message}: the numbers of axes differ", _flattened(others, usual, rows)
    (rank,) = ranks
    if not -rank <= axis < rank:
        axes = "1 axis" if rank == 1 else f"{rank} axes"
        return f"{message}: rows have {axes}", f"`axis` goes from {-rank} to {rank - 1}"
    return _misfit(message, rows, axis % rank)


def _flattened(others: list[str], usual: int, rows: list[Shape]) -> str:
    if usual == 1:
        how = "a node with `output_shape: [n]`, such as a cnn, makes one axis of several"
        return f"{quoted(others)} would have to have 1 axis: {how}"
    shapes = {show(row) for row in rows if len(row) == usual}
    wanted = f"{usual} axes, as in {' and '.join(sorted(shapes))}"
    return f"{quoted(others)} would have to have {wanted}"


def _misfit(message: str, rows: list[Shape], joined: int) -> tuple[str, str]:
    axis = next(
        index
        for index in range(len(rows[0]))
        if index != joined and len({row[index] for row in rows}) > 1
    )
    sizes = " and ".join(str(row[axis]) for row in rows)
    hint = "only the axis along which they are joined may differ"
    fitting = [
        index
        for index in range(len(rows[0]))
        if len({row[:index] + row[index + 1 :] for row in rows}) == 1
    ]
    if fitting:
        hint = f"they fit along another axis: `axis: {fitting[0]}`"
    return f"{message}: along axis {axis} they have {sizes}", hint
