"""Evaluation between the epochs of a train phase."""

from __future__ import annotations

from typing import Any

from specplan.experiment.eval_phase import EvalPhase
from specplan.spec.arguments import written


class Evaluation:
    """Run an eval phase after some epochs; records `<name>_loss` and `<name>_<loss label>`.

    Args:
        eval_phase: what is evaluated. It needs a split.
        every_n_epochs: epochs between two evaluations.
        name: first part of the names of what is recorded; by default the label of the split.
        label: unique in the train phase; by default `name`, then the label of `eval_phase`.

    Raises:
        TypeError: `eval_phase` is no EvalPhase.
        ValueError: the phase has no split, or a value is not allowed.
    """

    def __init__(
        self,
        eval_phase: EvalPhase,
        *,
        every_n_epochs: int = 1,
        name: str | None = None,
        label: str | None = None,
    ) -> None:
        if not isinstance(eval_phase, EvalPhase):
            raise TypeError(f"eval_phase is an EvalPhase, not {type(eval_phase).__name__}")
        if eval_phase.split is None:
            raise ValueError(
                f"an Evaluation needs a split, and `{eval_phase.label}` reads all rows"
            )
        self.eval_phase = eval_phase
        self.label = label or name or eval_phase.label
        self.component = written(
            "callback",
            "evaluation",
            {
                "split": eval_phase.split,
                "losses": [loss.label for loss in eval_phase.losses],
                "every_n_epochs": every_n_epochs,
                "as": name,
                "batch_size": eval_phase.batch_size,
            },
        )

    def spec(self) -> dict[str, Any]:
        """The evaluation as an entry of `callbacks` in a spec."""
        return dict(self.component)

    def __repr__(self) -> str:
        return f"Evaluation({self.eval_phase!r}, every_n_epochs={self.component['every_n_epochs']})"
