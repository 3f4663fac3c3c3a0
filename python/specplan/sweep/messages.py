"""What the process of a sweep and those that run its plans say to each other: lines of JSON.

No pickle goes between them, so that what user's code writes cannot be taken for an object.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from specplan.plan.model import Compiled, Plan, Train
from specplan.spec.diagnostics import Diagnostic, Origin  # noqa: TC001 -- msgspec reads the annotations
from specplan.store.run_file import Status  # noqa: TC001 -- msgspec reads the annotations

if TYPE_CHECKING:
    from specplan.plan.model import Phase
    from specplan.store.layout import RunFolder


class Watch(msgspec.Struct, frozen=True):
    """The metric that is told after each epoch of a train phase, and answered with a `Verdict`."""

    phase: str
    metric: str


class Order(msgspec.Struct, frozen=True, kw_only=True):
    """A plan to run, and the run folder that holds it."""

    plan: Plan
    spec: dict[str, Any] | None
    folder: str
    origins: dict[str, Origin]
    warnings: tuple[Diagnostic, ...]
    run: str
    trust: bool
    watch: Watch | None

    @property
    def compiled(self) -> Compiled:
        """The plan as the compiler gave it."""
        return Compiled(
            plan=self.plan,
            folder=Path(self.folder),
            warnings=self.warnings,
            origins=self.origins,
            spec=self.spec,
        )


def order_of(compiled: Compiled, folder: RunFolder, *, trust: bool, watch: Watch | None) -> Order:
    """What a worker has to know to run a plan."""
    return Order(
        plan=compiled.plan,
        spec=None if compiled.spec is None else dict(compiled.spec),
        folder=str(compiled.folder.absolute()),
        origins=dict(compiled.origins),
        warnings=compiled.warnings,
        run=str(folder.path.absolute()),
        trust=trust,
        watch=watch,
    )


class Verdict(msgspec.Struct, frozen=True):
    """The answer to a `Measured`: why the run is ended with this epoch; None where it goes on."""

    reason: str | None = None


class Progressed(msgspec.Struct, frozen=True, tag=True):
    """How many steps of the plan are done, and what was measured last, for people."""

    done: int
    text: str


class Measured(msgspec.Struct, frozen=True, tag=True):
    """The metric that is watched, after an epoch; None for what is not a number."""

    epoch: int
    value: float | None


class Ended(msgspec.Struct, frozen=True, tag=True):
    """How the run ended, and why it did not complete."""

    status: Status
    message: str | None = None


Message = Progressed | Measured | Ended

MESSAGES = msgspec.json.Decoder(Message)
ORDERS = msgspec.json.Decoder(Order)
VERDICTS = msgspec.json.Decoder(Verdict)


def line(message: Message | Order | Verdict) -> bytes:
    """A message as it goes through a pipe."""
    return msgspec.json.encode(message) + b"\n"


def steps_of(phase: Phase) -> int:
    """Steps of all epochs of a phase; one for what has none."""
    return max(phase.steps, 1) * (phase.epochs if isinstance(phase, Train) else 1)
