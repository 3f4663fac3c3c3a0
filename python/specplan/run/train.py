"""The phase `train`: gradient training in batches, evaluation between epochs, early stopping."""

from __future__ import annotations

from contextlib import contextmanager
from time import monotonic
from typing import TYPE_CHECKING

import numpy as np
import torch

from specplan.run.between import Between
from specplan.run.early_stopping import Stopper
from specplan.run.feeding import Feeding
from specplan.run.objectives import weighted_sum
from specplan.run.position import Position
from specplan.run.progress import Progress
from specplan.run.recording import bind_records
from specplan.run.update import updating
from specplan.store.recorder import WHOLE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from numpy.typing import NDArray
    from torch import nn

    from specplan.plan.model import Train
    from specplan.run.context import Context
    from specplan.run.feeding import Turn


def train(phase: Train, context: Context) -> dict[str, float]:
    """Run a train phase; returns the last values, by name, up to the epoch whose weights it left behind."""
    trainable, frozen = _modules(phase, context)
    with _frozen(frozen):
        feeding = Feeding(phase, context)
        with torch.no_grad():
            turns = [_Turn(turn, phase, context) for turn in feeding.turns]
            evaluations = [Between(each, phase, context) for each in phase.evaluations]
        run_epoch = _compile_epoch(phase, feeding, turns, context)
        stopper = Stopper(phase.early_stopping, context.state)
        position = Position(series=1 + len(phase.losses), group=phase.accumulate)
        between_steps = context.checkpoints.enter(position, stopper, context.inside)
        while position.epoch < phase.epochs:
            epoch = position.epoch
            if not position.begun:
                _begin(epoch, evaluations, context)
                position.begun = True
            for module in trainable:
                module.train()
            values = run_epoch(position, between_steps)
            for module in trainable:
                module.eval()
            _end(epoch, evaluations, context, values)
            context.display.epoch_ended(phase, epoch, values)
            stop = stopper.saw(epoch, values)
            position.measured |= values
            if stopper.kept_epoch == epoch:
                position.kept = dict(position.measured)
            context.journal.epoch_kept(stopper.kept_epoch, stopper.best)
            if stop:
                break
            position.next_epoch()
            context.checkpoints.epoch_ended()
        context.checkpoints.leave()
        ending = stopper.finish(planned_epochs=phase.epochs)
        if ending is not None:
            context.journal.training_stopped(str(ending))
            context.display.training_stopped(phase, ending)
    return position.kept


def _begin(epoch: int, evaluations: Sequence[Between], context: Context) -> None:
    """What comes before the first step of an epoch."""
    if epoch == 0:
        for evaluation in evaluations:
            evaluation.start()
    for epoch_started in context.inside.epoch_started:
        epoch_started(epoch)


def _end(
    epoch: int, evaluations: Sequence[Between], context: Context, values: dict[str, float]
) -> None:
    """What comes after the last step of an epoch; it adds to the values."""
    for evaluation in evaluations:
        values |= evaluation.run(epoch)
    for epoch_ended in context.inside.epoch_ended:
        values |= epoch_ended(epoch, values)


def _modules(phase: Train, context: Context) -> tuple[list[nn.Module], list[nn.Module]]:
    """The modules that the phase trains, and those that only compute."""
    modules = context.state.modules()
    computing = [label for label in phase.nodes if label in modules]
    trainable = [modules[label] for label in computing if label in phase.trainable]
    return trainable, [modules[label] for label in computing if label not in phase.trainable]


@contextmanager
def _frozen(modules: Sequence[nn.Module]) -> Iterator[None]:
    """Without gradients of their own; a gradient still passes through to nodes before them."""
    trained = [p for module in modules for p in module.parameters() if p.requires_grad]
    for parameter in trained:
        parameter.requires_grad = False
    try:
        yield
    finally:
        for parameter in trained:
            parameter.requires_grad = True


class _Turn:
    """What one step computes, with everything bound.

    Attributes:
        loss: of the registers, where the phase has one that is not weighted: all that it measures.
        losses: gives the losses of the registers, not weighted; `places` are their numbers among all of the
            phase, and `total` adds them up with their weights.
        columns: the registers that a batch is loaded into.
    """

    def __init__(self, turn: Turn, phase: Train, context: Context) -> None:
        program = turn.program
        alone = len(phase.losses) == 1 and phase.losses[0].weight == 1.0
        self.loss = program.loss(phase.losses[0]) if alone else None
        self.losses = program.losses(turn.losses)
        self.places = [phase.losses.index(loss) + 1 for loss in turn.losses]
        self.total = weighted_sum(turn.losses)
        self.record = bind_records(context.recorder, program, phase, turn.records)
        for compiled in context.inside.compiled:
            compiled(program)
        self.operations = program.operations
        self.registers = program.registers()
        self.columns = slice(len(program.columns))

    def learn(
        self,
        update: Callable[[torch.Tensor, int], None],
        batch: int,
        values: NDArray[np.float64],
    ) -> None:
        """Change the weights by the losses of the registers, and put what these are into `values`."""
        terms = self.losses(self.registers)
        loss = self.total(terms)
        update(loss, batch)
        # Losses of the feeds whose turn it is not are exactly 0.
        values.fill(0.0)
        values[0] = loss.item()
        for place, term in zip(self.places, terms, strict=True):
            values[place] = term.item()


def _compile_epoch(
    phase: Train, feeding: Feeding, turns: Sequence[_Turn], context: Context
) -> Callable[[Position, Callable[[], None]], dict[str, float]]:
    """The loop over the steps of one epoch with everything bound, from a position in it on.

    It takes what is to be called before each step, and returns the epoch's mean losses by name.
    """
    state = context.state
    update = updating(phase, state)
    names = ["train_loss", *[loss.label for loss in phase.losses]]
    nodes = [None, *[loss.node for loss in phase.losses]]
    log = context.recorder.series(
        phase.path, [(node, phase.split, name) for node, name in zip(nodes, names, strict=True)]
    )
    progress = Progress(context.display, phase)
    batch_started, batch_ended = context.inside.batch_started, context.inside.batch_ended
    every_epoch = phase.record == "all" or phase.early_stopping is not None
    values = np.zeros(len(names))

    def run_epoch(position: Position, between_steps: Callable[[], None]) -> dict[str, float]:
        epoch, first, sums = position.epoch, position.steps, position.sums
        recorded = every_epoch or epoch == phase.epochs - 1
        for batch, (number, rows) in enumerate(feeding.epoch(epoch, first), first):
            between_steps()
            turn = turns[number]
            registers = turn.registers
            registers[turn.columns] = rows
            for start in batch_started:
                start(epoch, batch, registers)
            for operate in turn.operations:
                operate(registers)
            if turn.loss is not None:
                loss = turn.loss(registers)
                update(loss, batch)
                values.fill(loss.item())
            else:
                turn.learn(update, batch, values)
            sums += values
            if recorded:
                turn.record(registers, epoch, batch)
            log(values, epoch, batch, state.steps)
            state.steps += 1
            for end in batch_ended:
                end(epoch, batch, registers)
            position.steps = batch + 1
            if monotonic() >= progress.due:
                progress.stepped(epoch, batch + 1)
        means = sums / position.steps
        log(means, epoch, WHOLE, state.steps)
        return dict(zip(names, means.tolist(), strict=True))

    return run_epoch
