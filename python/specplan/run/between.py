"""Evaluation of another split between the epochs of a train phase."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from specplan.run.evaluate import Evaluator
from specplan.run.program import Program
from specplan.run.recording import bound
from specplan.store.recorder import WHOLE, beside

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from specplan.plan.model import Evaluation, Train
    from specplan.run.context import Context
    from specplan.run.program import Registers

_BEFORE = -1
"""The epoch of what is measured before the first one."""


class Between:
    """One evaluation of a train phase."""

    def __init__(self, evaluation: Evaluation, phase: Train, context: Context) -> None:
        self._evaluation = evaluation
        self._state = context.state
        split = context.split(phase, evaluation.split, evaluation.data)
        program = Program(context.plan, context.state, split, evaluation.nodes, changing=phase.fits)
        self._evaluator = Evaluator(
            program,
            batch_size=evaluation.batch_size,
            losses=evaluation.losses,
            metrics=evaluation.metrics,
        )
        place = beside(phase.path, evaluation.name)
        self._record = bound(context.recorder, program, place, evaluation.records)
        self._sums = np.zeros(len(evaluation.losses))
        nodes = self._nodes()
        self._names = list(nodes)
        self._log = context.recorder.series(
            phase.path, [(node, evaluation.split, name) for name, node in nodes.items()]
        )

    def start(self) -> None:
        """Evaluate before the first epoch, where that is asked for."""
        if self._evaluation.run_on_start:
            self._run(_BEFORE)

    def run(self, epoch: int) -> dict[str, float]:
        """Evaluate after `epoch`, where it is this epoch's turn; returns the values by name."""
        if (epoch + 1) % self._evaluation.every_n_epochs:
            return {}
        return self._run(epoch)

    def _run(self, epoch: int) -> dict[str, float]:
        self._sums.fill(0.0)

        def on_batch(batch: int, registers: Registers, losses: NDArray[np.float64]) -> None:
            np.add(self._sums, losses, out=self._sums)
            self._record(registers, epoch, batch)

        values = self._named(self._evaluator.run(on_batch))
        if values:
            self._log(np.array(list(values.values())), epoch, WHOLE, self._state.steps)
        return values

    def _nodes(self) -> dict[str, str | None]:
        """The node of each series, by its name; None for the sum of all losses."""
        evaluation = self._evaluation
        node_of = {each.label: each.node for each in (*evaluation.losses, *evaluation.metrics)}
        prefix = f"{evaluation.name}_"
        named = evaluation.means | evaluation.sums
        return {
            name: None
            if name == evaluation.total
            else node_of[named.get(name, name.removeprefix(prefix))]
            for name in self._order()
        }

    def _order(self) -> list[str]:
        """Names of the series, those of single losses first."""
        evaluation = self._evaluation
        losses = [f"{evaluation.name}_{each.label}" for each in evaluation.losses]
        rest = [name for name in evaluation.measured if name not in losses]
        return [*losses, *rest]

    def _named(self, values: list[float]) -> dict[str, float]:
        """The values of the evaluator and what is made of them, by the names of their series."""
        evaluation = self._evaluation
        count = len(evaluation.losses)
        means = {each.label: value for each, value in zip(evaluation.losses, values, strict=False)}
        weights = {each.label: each.weight for each in evaluation.losses}
        sums = dict(zip(means, self._sums.tolist(), strict=True))
        found = {f"{evaluation.name}_{label}": value for label, value in means.items()}
        if evaluation.total is not None:
            found[evaluation.total] = values[count]
        metrics = values[count + bool(count) :]
        for each, value in zip(evaluation.metrics, metrics, strict=True):
            found[f"{evaluation.name}_{each.label}"] = value
        for name, label in evaluation.means.items():
            found[name] = weights[label] * means[label]
        for name, label in evaluation.sums.items():
            found[name] = weights[label] * sums[label]
        return {name: found[name] for name in self._names}
