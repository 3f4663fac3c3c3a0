"""What the losses of a step add up to, and what they are called."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from torch import Tensor

    from specplan.plan.model import Objective


def weighted_sum(losses: Sequence[Objective]) -> Callable[[Sequence[Any]], Any]:
    """The sum of tensors or numbers, one for each loss, with the losses' weights.

    Without weights it is the plain sum from left to right, bit for bit: nothing is multiplied by 1.
    """
    weights = [loss.weight for loss in losses]
    if weights == [1.0]:
        return lambda values: values[0]

    def total(values: Sequence[Tensor]) -> Tensor:
        terms = [
            value if weight == 1.0 else weight * value
            for weight, value in zip(weights, values, strict=True)
        ]
        result = terms[0]
        for term in terms[1:]:
            result = result + term
        return result

    return total
