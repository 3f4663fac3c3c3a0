"""Code that own.yaml names. Nothing imports it."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Any, Literal

from torch import Tensor, nn

if TYPE_CHECKING:
    from numpy.typing import NDArray


class Gated(nn.Module):
    """A layer, with arguments of several types."""

    def __init__(
        self,
        input_shape: tuple[int, ...],
        hidden: int = 32,
        act: Literal["relu", "tanh"] = "relu",
        sizes: list[int] | None = None,
    ) -> None:
        super().__init__()
        widths = [input_shape[0], hidden, *(sizes or []), 1]
        self.layers = nn.Sequential(*(nn.Linear(*pair) for pair in pairwise(widths)))
        self.after = nn.Tanh() if act == "tanh" else nn.ReLU()

    def forward(self, rows: Tensor) -> Tensor:
        outputs: Tensor = self.after(self.layers(rows))
        return outputs


def pinball(outputs: Tensor, targets: Tensor, quantile: float = 0.5) -> Tensor:
    rest = targets - outputs
    return (rest * quantile).maximum(rest * (quantile - 1)).mean()


def share_below(outputs: NDArray[Any], targets: NDArray[Any]) -> float:
    return float((targets < outputs).mean())
