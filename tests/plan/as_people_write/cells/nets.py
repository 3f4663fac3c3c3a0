from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from torch import Tensor, nn

from specplan import Callback

if TYPE_CHECKING:
    import numpy as np


class Gru(nn.Module):
    """The last state of a GRU over (length, channels), and a linear layer."""

    def __init__(
        self,
        input_shape: tuple[int, ...],
        output_shape: tuple[int, ...],
        hidden: int = 8,
        layers: int = 1,
        bidirectional: bool = False,
        pool: Literal["last", "mean"] = "last",
    ) -> None:
        super().__init__()
        self.pool = pool
        self.gru = nn.GRU(
            input_shape[-1], hidden, layers, batch_first=True, bidirectional=bidirectional
        )
        self.last = nn.Linear(hidden, output_shape[0])

    def forward(self, rows: Tensor) -> Tensor:
        states, _ = self.gru(rows)
        chosen = states[:, -1] if self.pool == "last" else states.mean(1)
        outputs: Tensor = self.last(chosen)
        return outputs


class Conv(nn.Module):
    def __init__(self, channels: int, width: int = 4, kernel: int = 3) -> None:
        super().__init__()
        self.conv = nn.Conv1d(channels, width, kernel)

    def forward(self, rows: Tensor) -> Tensor:
        means: Tensor = self.conv(rows).mean(-1)
        return means


class Embed(nn.Module):
    def __init__(self, count: int, size: int = 4) -> None:
        super().__init__()
        self.table = nn.Embedding(count, size)

    def forward(self, rows: Tensor) -> Tensor:
        found: Tensor = self.table(rows.long())
        return found


def relative(outputs: Tensor, targets: Tensor, floor: float = 1.0) -> Tensor:
    return ((outputs - targets).abs() / targets.abs().clamp_min(floor)).mean()


def per_row(outputs: Tensor, targets: Tensor) -> Tensor:
    return (outputs - targets) ** 2


def worst(outputs: np.ndarray, targets: np.ndarray) -> float:
    return float(abs(outputs - targets).max())


class Report(Callback):
    def __init__(self, every: int = 1) -> None:
        self.every = every

    def on_epoch_end(self, **moment: Any) -> None:
        """Nothing: it is there to be named."""
