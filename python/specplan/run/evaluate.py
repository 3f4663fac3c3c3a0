"""The phase `eval`: a forward pass over a split. Evaluation between epochs works in the same way."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch

from specplan.run.batches import batches
from specplan.run.objectives import weighted_sum
from specplan.run.program import Program, Reading
from specplan.run.progress import Progress
from specplan.run.recording import bind_records
from specplan.store.recorder import WHOLE

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray
    from torch import Tensor

    from specplan.plan.model import Eval, Fit, Objective
    from specplan.run.context import Context
    from specplan.run.program import Registers, Split

    OnBatch = Callable[[int, Registers, NDArray[np.float64]], None]


class Evaluator:
    """Losses and metrics over all rows of one split, by a compiled program."""

    def __init__(
        self,
        program: Program,
        *,
        batch_size: int | None,
        losses: Sequence[Objective],
        metrics: Sequence[Objective],
        between_batches: Callable[[], None] = lambda: None,
        on_start: Sequence[Callable[[int, int, Registers], None]] = (),
    ) -> None:
        self._program = program
        self._batch_size = batch_size or program.rows
        self._objectives = losses
        self._losses = program.losses(losses)
        self._total = weighted_sum(losses) if losses else None
        self._metrics = [(program.metric(metric), program.arguments(metric)) for metric in metrics]
        self._kept = sorted({register for _, read in self._metrics for register in read})
        self._between_batches = between_batches
        self._on_start = on_start

    @torch.no_grad()
    def run(self, on_batch: OnBatch) -> list[float]:
        """The value of each loss, of their weighted sum (where there are losses), of each metric.

        `on_batch` gets the number, the registers and the losses of each batch.
        """
        program, between_batches = self._program, self._between_batches
        registers = program.registers()
        columns, operations = len(program.columns), program.operations
        parts: dict[int, list[Tensor]] = {register: [] for register in self._kept}
        means = np.zeros(len(self._objectives))
        for batch, values in enumerate(batches(program.columns, None, self._batch_size)):
            between_batches()
            registers[:columns] = values
            for start in self._on_start:
                start(0, batch, registers)
            for operate in operations:
                operate(registers)
            losses = np.array([loss.item() for loss in self._losses(registers)])
            means += losses * (len(values[0]) / program.rows)
            for register, rows in parts.items():
                rows.append(registers[register])
            on_batch(batch, registers, losses)
        totals = [] if self._total is None else [self._total(means.tolist())]
        return [*means.tolist(), *totals, *self._measured(parts)]

    def _measured(self, parts: dict[int, list[Tensor]]) -> list[float]:
        whole = {register: torch.cat(rows).cpu().numpy() for register, rows in parts.items()}
        return [metric(*[whole[register] for register in read]) for metric, read in self._metrics]


def evaluate(phase: Eval, context: Context) -> dict[str, float]:
    """Run an eval phase; returns what it measured, by name."""
    with torch.no_grad():
        program = Program(context.plan, context.state, _readings(phase, context), phase.nodes)
    return measure(
        phase,
        program,
        context,
        batch_size=phase.batch_size,
        total="eval_loss",
        between_batches=context.checkpoints.stop_if_asked,
    )


def _readings(phase: Eval, context: Context) -> Split | list[Reading]:
    """What the nodes of the phase read: one FeatureSet, or several row by row."""
    if not phase.joined:
        return context.split(phase, phase.split)
    nodes = context.plan.graph.nodes
    return [
        Reading(
            split=context.split(phase, phase.split, label),
            data=label,
            nodes=frozenset(
                name
                for name in phase.nodes
                if any(read.columns and read.feature_set == label for read in nodes[name].inputs)
            ),
        )
        for label in (phase.data, *phase.joined)
    ]


def measure(
    phase: Eval | Fit,
    program: Program,
    context: Context,
    *,
    batch_size: int | None,
    total: str,
    between_batches: Callable[[], None] = lambda: None,
) -> dict[str, float]:
    """Run the program over its split and record tensors, losses and metrics of an eval or fit phase."""
    for compiled in context.inside.compiled:
        compiled(program)
    batch_ended = context.inside.batch_ended
    evaluator = Evaluator(
        program,
        batch_size=batch_size,
        losses=phase.losses,
        metrics=phase.metrics,
        between_batches=between_batches,
        on_start=context.inside.batch_started,
    )
    record = bind_records(context.recorder, program, phase)
    step = context.state.steps
    series: list[tuple[str | None, str | None, str]] = [
        (loss.node, phase.split, loss.label) for loss in phase.losses
    ]
    log_batch = context.recorder.series(phase.path, series)
    if phase.losses:
        series.append((None, phase.split, total))
    series += [(metric.node, phase.split, metric.label) for metric in phase.metrics]
    log_whole = context.recorder.series(phase.path, series)
    progress = Progress(context.display, phase)

    def on_batch(batch: int, registers: Registers, losses: NDArray[np.float64]) -> None:
        record(registers, 0, batch)
        log_batch(losses, 0, batch, step)
        for end in batch_ended:
            end(0, batch, registers)
        progress.stepped(0, batch + 1)

    values = evaluator.run(on_batch)
    log_whole(np.array(values), 0, WHOLE, step)
    return {name: value for (_, _, name), value in zip(series, values, strict=True)}
