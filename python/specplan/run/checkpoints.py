"""When a run makes a checkpoint, and what is in it."""

from __future__ import annotations

import random
from time import monotonic
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np
from blake3 import blake3

from specplan.errors import RunError, StoreError
from specplan.run.callback_states import CallbackStates, Start
from specplan.run.device import generator_state, set_generator_state
from specplan.run.located import UNKNOWN
from specplan.run.state_values import pack, unpack
from specplan.run.surroundings import surroundings
from specplan.spec.diagnostics import Diagnostic
from specplan.store.checkpoints import Checkpoint, CheckpointFolder, write_index
from specplan.store.run_files import timestamp

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from specplan.data.table import Table
    from specplan.plan.model import Checkpoints as Policy
    from specplan.plan.model import Plan
    from specplan.run.course import Course
    from specplan.run.display import Display
    from specplan.run.early_stopping import Stopper
    from specplan.run.hooks import Hooks, PhaseHooks
    from specplan.run.interruption import Interruption
    from specplan.run.position import Position
    from specplan.run.state import State
    from specplan.store.recorder import Recorder
    from specplan.store.run_files import Journal

SHARE = 0.01
"""Of the time of a run that checkpoints take where the plan says nothing about them."""
FIRST_SECONDS = 0.05
"""What the first checkpoint is expected to take, before one was measured."""
STORING_BYTES = 100_000_000
"""A second, for the same purpose."""
VALUES = "values.safetensors"


class Training(msgspec.Struct, frozen=True):
    """The parts of an open train phase that change from step to step, besides the state."""

    position: Position
    stopper: Stopper
    inside: PhaseHooks


class Checkpoints:
    """The checkpoints that one session of a run makes, and the one that it goes on from.

    Attributes:
        course: which phases are run.
    """

    def __init__(  # noqa: PLR0913 -- the parts of a run
        self,
        *,
        plan: Plan,
        tables: Mapping[str, Table],
        state: State,
        recorder: Recorder,
        journal: Journal,
        display: Display,
        interruption: Interruption,
        hooks: Hooks,
        course: Course,
    ) -> None:
        self.course = course
        self._callbacks = CallbackStates(plan, state, hooks)
        self._plan = plan
        self._tables = tables
        self._state = state
        self._recorder = recorder
        self._journal = journal
        self._display = display
        self._interruption = interruption
        self._folder = CheckpointFolder(journal.folder.checkpoints)
        self._phase = 0
        self._training: Training | None = None
        self._resumed: tuple[Checkpoint, Path] | None = None
        self._data: dict[str, str] | None = None
        self._dropped = 0
        self._schedule = _Schedule(plan.checkpoint, state)

    def statistics(self) -> dict[str, int]:
        """How many could not be written, where the run went on without them."""
        return {"dropped_checkpoints": self._dropped} if self._dropped else {}

    def exist(self) -> bool:
        """Whether there is one to go on from."""
        return bool(self._folder.numbers())

    def resume(self, checkpoint: Checkpoint, folder: Path) -> None:
        """Bring back the state of a checkpoint; what is inside an open phase follows in `enter`."""
        from specplan.run.state_file import read_snapshot, read_state

        read_state(self._state, folder / "state")
        values = _unpacked(checkpoint, folder)
        self.course.restore(
            {
                path: read_snapshot(self._state, folder / name)
                for path, name in checkpoint.groups.items()
            },
            values["measured"],
        )
        self._callbacks.give_back(values)
        if checkpoint.is_open:
            self._resumed = checkpoint, folder

    @property
    def goes_on(self) -> bool:
        """Whether the phase that is about to begin goes on in its middle."""
        return self._resumed is not None

    def phase_begins(self, position: int) -> None:
        """The phase with this index in the plan begins; of those after the first, `phase_ended` says it."""
        self._phase = position
        self._training = None
        self._start = self._at(self._recorder.sync())

    def phase_ended(self, position: int) -> None:
        """The phase is over, and with it what follows from it; records and tables are written."""
        if position + 1 == len(self._plan.phases):
            return
        self.phase_begins(position + 1)
        if self._interruption.requested is not None:
            self._stop()
        if self._schedule.at_phase_end():
            self._save()

    def enter(self, position: Position, stopper: Stopper, inside: PhaseHooks) -> Callable[[], None]:
        """A train phase is about to do its first step, or the one at which the run is resumed.

        Returns what is to be called between two steps.
        """
        self._training = training = Training(position, stopper, inside)
        if self._resumed is not None:
            checkpoint, folder = self._resumed
            self._resumed = None
            _continue(training, self._state, _unpacked(checkpoint, folder), folder)
        interruption, schedule, state = self._interruption, self._schedule, self._state

        def between_steps() -> None:
            if interruption.requested is not None:
                self._stop()
            if monotonic() >= schedule.due or state.steps >= schedule.due_steps:
                self._save()

        return between_steps

    def epoch_ended(self) -> None:
        """An epoch of the open train phase is over, and another one follows."""
        if self._schedule.at_epoch_end():
            self._save()

    def leave(self) -> None:
        """The steps of the open train phase are over."""
        self._training = None

    def stop_if_asked(self) -> None:
        """End the run where a signal asked for that; it goes on with the beginning of the phase.

        Outside of the steps of a train phase, and where nothing has changed since then but what is recorded.
        """
        if self._interruption.requested is None:
            return
        if self.goes_on or not self._state.nodes:
            self._interruption.deliver()
        self._stop()

    def _stop(self) -> None:
        """End the run here, with a checkpoint."""
        if not self._schedule.gave_up:
            self._save(at_end=True)
        self._interruption.deliver()

    def _save(self, *, at_end: bool = False) -> None:
        started = monotonic()
        commit = self._recorder.commit()
        start = self._start if self._training is None else self._at(commit)
        number = max(self._folder.numbers(), default=0) + 1
        try:
            with self._folder.writing(number) as folder:
                write_index(folder, self._filled(folder, start))
            self._folder.keep(self._plan.checkpoint.keep if self._plan.checkpoint else 1)
        except RunError as error:
            if self._plan.checkpoint is not None and not at_end:
                raise
            self._schedule.give_up()
            self._display.warned(_cannot_be_stored(error))
            return
        except StoreError as error:
            if self._plan.results.on_error != "drop" and not at_end:
                raise
            self._dropped += 1
            self._display.warned(_not_written(error))
        self._schedule.tried(started, monotonic())

    def _at(self, commit: int) -> Start:
        return Start(commit, self._journal.run_file.phases, self._callbacks.taken())

    def _filled(self, folder: Path, start: Start) -> Checkpoint:
        """Write everything but the index into `folder`."""
        from specplan.run.state_file import write_snapshot, write_state

        if isinstance(start.callbacks, RunError):
            raise start.callbacks
        write_state(self._state, folder / "state")
        groups: dict[str, str] = {}
        for path, snapshot in self.course.kept.items():
            groups[path] = f"group-{len(groups)}"
            write_snapshot(snapshot, folder / groups[path])
        values: dict[str, Any] = {"measured": self.course.values}
        if self._training is not None:
            values |= _values(self._training, self._state)
            if self._training.stopper.snapshot is not None:
                write_snapshot(self._training.stopper.snapshot, folder / "best")
        values |= start.callbacks
        run_file = self._journal.run_file
        return Checkpoint(
            plan_id=run_file.plan_id,
            session=run_file.sessions[-1].session,
            created_at=timestamp(),
            commit=start.commit,
            phase=self._phase,
            is_open=self._training is not None,
            groups=groups,
            values=_packed(values, folder),
            phases=start.phases,
            kept_epochs=run_file.kept_epochs,
            surroundings=surroundings(self._state.device),
            data=self._digests(),
        )

    def _digests(self) -> dict[str, str]:
        if self._data is None:
            self._data = digests_of(self._tables)
        return self._data


class _Schedule:
    """When the next checkpoint is due.

    Attributes:
        due, due_steps: when one is to be made between two steps: by the clock, or by the number of steps.
        gave_up: there can be none, which was told.
    """

    def __init__(self, policy: Policy | None, state: State) -> None:
        self._policy = policy
        self._state = state
        self._started = monotonic()
        self._spent = 0.0
        self.due = 0.0
        self.due_steps: float = 0
        self._last_cost: float | None = None
        self.gave_up = False
        self._plan_next(self._started)

    def at_epoch_end(self) -> bool:
        """Whether one is to be made at the end of an epoch."""
        return self._policy is not None and "epoch_end" in self._policy.save_on

    def at_phase_end(self) -> bool:
        """Whether one is to be made at the end of a phase."""
        if self._policy is None:
            return monotonic() >= self.due
        return "phase_end" in self._policy.save_on

    def tried(self, started: float, ended: float) -> None:
        """A checkpoint was made, or could not be written; the next one comes no sooner."""
        self._last_cost = ended - started
        self._spent += ended - started
        self._plan_next(ended)

    def give_up(self) -> None:
        """There can be none."""
        self.gave_up = True
        self.due = self.due_steps = float("inf")

    def _plan_next(self, now: float) -> None:
        policy = self._policy
        if policy is None:
            self.due = self._started + (self._spent + self._cost()) / SHARE
            self.due_steps = float("inf")
            return
        self.due = float("inf") if policy.every_seconds is None else now + policy.every_seconds
        every = policy.every_n_steps
        self.due_steps = float("inf") if every is None else self._state.steps + every

    def _cost(self) -> float:
        if self._last_cost is not None:
            return self._last_cost
        parameters = (p for module in self._state.modules().values() for p in module.parameters())
        # The weights, and as a rule two numbers more for each that the optimizer keeps.
        size = 3 * sum(parameter.nbytes for parameter in parameters)
        return FIRST_SECONDS + size / STORING_BYTES


def digests_of(tables: Mapping[str, Table]) -> dict[str, str]:
    """BLAKE3 of all that is read of each FeatureSet."""
    found = {}
    for name, table in tables.items():
        digest = blake3()
        for column in sorted(table.columns):
            digest.update(column.encode())
            rows = np.ascontiguousarray(table.columns[column])
            digest.update(rows.reshape(-1).view(np.uint8).data)
        found[name] = f"b3:{digest.hexdigest()}"
    return found


def _values(training: Training, state: State) -> dict[str, Any]:
    import torch

    gradients = {"gradients": state.gradients()} if training.position.in_group else {}
    return {
        **gradients,
        "position": training.position.values(),
        "early_stopping": training.stopper.values(),
        "callbacks": {
            label: state for states in training.inside.states for label, state in states().items()
        },
        "generators": {
            "torch": torch.get_rng_state(),
            "device": generator_state(state.device),
            "numpy": np.random.get_state(),
            "python": random.getstate(),
        },
    }


def _continue(training: Training, state: State, values: dict[str, Any], folder: Path) -> None:
    """Bring an open train phase to where a checkpoint left it."""
    import torch

    from specplan.run.state_file import read_snapshot

    training.position.restore(values["position"])
    best = folder / "best"
    training.stopper.restore(
        values["early_stopping"], read_snapshot(state, best) if best.is_dir() else None
    )
    state.put_gradients(values.get("gradients", {}))
    for resumed in training.inside.resumed:
        resumed(values["callbacks"])
    generators = values["generators"]
    torch.set_rng_state(generators["torch"])
    set_generator_state(state.device, generators.get("device"))
    np.random.set_state(generators["numpy"])
    random.setstate(generators["python"])


def _packed(values: dict[str, Any], folder: Path) -> Any:
    from specplan.store.artifact_tensors import write_tensors

    tensors: dict[str, Any] = {}
    packed = pack(values, tensors, "values")
    if tensors:
        write_tensors(folder / VALUES, tensors)
    return packed


def _unpacked(checkpoint: Checkpoint, folder: Path) -> dict[str, Any]:
    from specplan.run.state_file import read_tensors

    values: dict[str, Any] = unpack(checkpoint.values, read_tensors(folder, VALUES))
    return values


def _not_written(error: StoreError) -> Diagnostic:
    return Diagnostic(
        code="SP808",
        message=str(error),
        origin=UNKNOWN,
        severity="warning",
        hint="the run goes on, and can be resumed from an older checkpoint or from its beginning",
    )


def _cannot_be_stored(error: RunError) -> Diagnostic:
    return Diagnostic(
        code="SP806",
        message=f"there will be no checkpoint: {error}",
        origin=UNKNOWN,
        severity="warning",
        hint="a run that ends early can only be resumed from its beginning, or from an older checkpoint",
    )
