"""The batches of a train phase: of one feed, or of several by its schedule."""

from __future__ import annotations

from functools import cached_property
from itertools import chain, islice, repeat
from typing import TYPE_CHECKING, NamedTuple

import torch

from specplan.components.sampler import DEFAULT_ROLE
from specplan.data.sampler import Drawing, OwnDrawing, SamplerError
from specplan.data.table import COMPILE_AGAIN
from specplan.errors import DataError
from specplan.plan.sampled import declared_sampler, sampled_columns
from specplan.run.batches import batches
from specplan.run.program import Program, Reading

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from torch import Tensor

    from specplan.data.sampler import Epoch
    from specplan.plan.model import Feed, Objective, Record, Train
    from specplan.run.context import Context
    from specplan.run.program import Lane


class Turn(NamedTuple):
    """What a step computes: all of the phase, or what depends on one feed where they take turns.

    Attributes:
        first: number of the feed that the first reading of the program is.
        losses: those that it computes; the others are 0 in its steps.
    """

    program: Program
    first: int
    losses: tuple[Objective, ...]
    records: tuple[Record, ...]


class Feeding:
    """Makes the programs of a train phase, and the batches that they read.

    Raises:
        DataError: the rows are not those for which the plan was compiled.
    """

    def __init__(self, phase: Train, context: Context) -> None:
        self._phase = phase
        self._context = context
        self._feeds = phase.all_feeds
        self._drawings = [_drawing(feed, phase, context) for feed in self._feeds]

    @cached_property
    def turns(self) -> list[Turn]:
        """One, or one for each feed where they take turns."""
        phase, plan = self._phase, self._context.plan
        readings = [
            Reading(
                split=self._context.split(phase, feed.split, feed.data),
                data=feed.data,
                nodes=frozenset(feed.nodes) if phase.feeds else None,
                roles=feed.sampler.roles or (DEFAULT_ROLE,),
                weights=None
                if drawing.weights is None
                else torch.from_numpy(drawing.weights).to(self._context.state.device),
            )
            for feed, drawing in zip(self._feeds, self._drawings, strict=True)
        ]
        if not phase.alternates:
            return [Turn(self._program(readings, phase.nodes), 0, phase.losses, phase.records)]
        turns = []
        for number, (feed, reading) in enumerate(zip(self._feeds, readings, strict=True)):
            nodes = plan.graph.fed_by(feed.nodes, phase.nodes)
            losses = tuple(loss for loss in phase.losses if loss.node in nodes)
            own = {*nodes, feed.data} - {other.data for other in self._feeds if other is not feed}
            records = tuple(record for record in phase.records if record.node in own)
            turns.append(Turn(self._program([reading], nodes), number, losses, records))
        return turns

    def _program(self, readings: Sequence[Reading], nodes: Sequence[str]) -> Program:
        return Program(
            self._context.plan,
            self._context.state,
            readings,
            nodes,
            apart=self._phase.optimizers,
            learning=self._phase.fits,
        )

    def epoch(self, epoch: int, start: int = 0) -> Iterator[tuple[int, Sequence[Tensor]]]:
        """The steps of an epoch from number `start` on: which turn it is, and its columns."""
        orders = [drawing.epoch(epoch) for drawing in self._drawings]
        if len(self.turns) > 1:
            return self._by_turns(orders, start)
        columns = self._columns(self.turns[0], orders, start)
        # No frame of a generator is entered for a step.
        return zip(repeat(0), islice(columns, self._phase.steps - start), strict=False)

    def _by_turns(
        self, orders: Sequence[Epoch], start: int
    ) -> Iterator[tuple[int, Sequence[Tensor]]]:
        count = len(self.turns)
        streams = [
            # Of the steps before `start`, every count-th was a turn of this one.
            self._columns(turn, orders, (start - number + count - 1) // count)
            for number, turn in enumerate(self.turns)
        ]
        for step in range(start, self._phase.steps):
            yield step % count, next(streams[step % count])

    def _columns(
        self, turn: Turn, orders: Sequence[Epoch], start: int
    ) -> Iterator[Sequence[Tensor]]:
        """The columns of a program, batch by batch from `start` on."""
        lanes = list(dict.fromkeys(turn.program.lanes))
        streams = [self._lane(turn, lane, orders, start) for lane in lanes]
        if len(streams) == 1:
            return streams[0]
        ranks = sorted(
            range(len(turn.program.lanes)), key=lambda i: lanes.index(turn.program.lanes[i])
        )
        places = sorted(range(len(ranks)), key=ranks.__getitem__)
        return (
            [values[place] for place in places]
            for values in map(list, map(chain.from_iterable, zip(*streams, strict=False)))
        )

    def _lane(
        self, turn: Turn, lane: Lane, orders: Sequence[Epoch], start: int
    ) -> Iterator[tuple[Tensor, ...]]:
        """The columns of one lane, which begin again where the schedule says so."""
        number = turn.first + lane.reading
        feed, drawing, epoch = self._feeds[number], self._drawings[number], orders[number]
        positions = epoch.order
        members = epoch.members or drawing.members
        if members is not None and lane.role:
            member = members[feed.sampler.roles.index(lane.role)]
            positions = member if positions is None else member[positions]
        program = turn.program
        columns = [
            column for column, of in zip(program.columns, program.lanes, strict=True) if of == lane
        ]
        once = batches(columns, positions, epoch.sizes, start % feed.steps)
        if not self._phase.schedule.endswith("cycle"):
            return once
        again = (batches(columns, positions, epoch.sizes) for _ in repeat(None))
        return chain(once, chain.from_iterable(again))


def _drawing(feed: Feed, phase: Train, context: Context) -> Drawing | OwnDrawing:
    component, seed = feed.sampler.component, feed.sampler.seed
    split = context.split(phase, feed.split, feed.data)
    columns = split.table.sampled_at(sampled_columns(component), split.positions)
    where = f"phase {phase.path}"
    found: Drawing | OwnDrawing
    try:
        if component.is_own:
            build = context.state.builder.batches
            found = OwnDrawing(build(component, seed, feed.rows, columns, phase.path))
        else:
            found = Drawing(declared_sampler(component), seed, feed.rows, columns)
    except SamplerError as error:
        raise DataError(f"{where}: {error.message}", code="SP502", hint=COMPILE_AGAIN) from error
    if (found.samples, found.steps) != (feed.samples, feed.steps):
        message = (
            f"{where}: the sampler gives {found.samples} samples in {found.steps} steps, "
            f"the plan says {feed.samples} in {feed.steps}"
        )
        raise DataError(message, code="SP502", hint=COMPILE_AGAIN)
    if isinstance(found, OwnDrawing) and found.roles != feed.sampler.roles:
        message = f"{where}: the sampler gives rows of other roles than the plan says"
        raise DataError(message, code="SP502", hint=COMPILE_AGAIN)
    return found
