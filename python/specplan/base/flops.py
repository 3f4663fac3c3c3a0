"""Floating-point operations of a model, as the compiler knows them or as they were counted."""

from __future__ import annotations

import msgspec


class ModelFlops(msgspec.Struct, frozen=True):
    """Of one row.

    Attributes:
        forward: of a forward pass.
        weights, inputs, both: of the backward pass that follows it, for the gradients of these.
    """

    forward: int
    weights: int = 0
    inputs: int = 0
    both: int = 0

    def backward(self, *, weights: bool, inputs: bool) -> int:
        """Of the backward pass for the gradients that are asked for."""
        if weights:
            return self.both if inputs else self.weights
        return self.inputs if inputs else 0
