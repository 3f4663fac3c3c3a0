"""Callbacks of a phase while it runs: called, and what they return recorded."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np

from specplan.errors import RunError
from specplan.plan.model import Record, Train
from specplan.run.callback import ArtifactResult, Callback, ExecutionMoment, MetricResult
from specplan.run.dispatch import Override, override, state_of
from specplan.run.hooks import PhaseHooks
from specplan.store.recorder import WHOLE

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from numpy.typing import NDArray

    from specplan.plan.model import Phase
    from specplan.run.context import Context
    from specplan.run.program import Program, Registers

_RETURNED = "metrics returned"
"""What its state is called beside those of callbacks, whose labels have no spaces."""
_OFFERED = ("experiment", "phase", "exec_ctx", "results")
OFFERED: Mapping[str, tuple[str, ...]] = {
    "on_phase_start": _OFFERED,
    "on_phase_end": _OFFERED,
    "on_epoch_start": _OFFERED,
    "on_epoch_end": _OFFERED,
    "on_batch_start": _OFFERED,
    "on_batch_end": _OFFERED,
    "on_exception": (*_OFFERED, "exception"),
}
"""What each hook can ask for."""


def check_hooks(callback: Callback) -> None:
    """Check that every hook of a callback can be called.

    Raises:
        TypeError: a hook wants what it cannot be given.
    """
    for name, offered in OFFERED.items():
        override(Callback, callback, name, callback.label, offered)


REDUCERS: Mapping[str, Callable[[Sequence[float]], float]] = {
    "last": lambda values: values[-1],
    "first": lambda values: values[0],
    "mean": lambda values: sum(values) / len(values),
    "min": min,
    "max": max,
    "sum": sum,
}


class PhaseCallbacks:
    """The callbacks of one phase of a run."""

    def __init__(self, phase: Phase, context: Context) -> None:
        self._phase = phase
        self._context = context
        made = [(each.label, context.state.builder.callback(each)) for each in phase.callbacks]
        self._callbacks = dict(sorted(made, key=lambda pair: pair[1].execution_order))
        self._epochs = isinstance(phase, Train)
        # Then everything that its start returned is recorded already.
        self._goes_on = context.checkpoints.goes_on
        self._here = ExecutionMoment(phase_label=phase.path.rpartition(".")[2])
        self._batches: dict[int, _Batch] = {}
        self._returned = _Returned(phase, context)

    def hooks(self) -> PhaseHooks:
        """What the run calls."""
        found = {name: self._overrides(name) for name in OFFERED}
        at = {name: (each,) if each else () for name, each in found.items()}
        with_batches = found["on_batch_start"] or found["on_batch_end"]
        return PhaseHooks(
            started=tuple(
                partial(self._call, each, "phase_start", recorded=not self._goes_on)
                for each in at["on_phase_start"]
            ),
            compiled=(self._compiled,) if with_batches else (),
            epoch_started=(partial(self._epoch_started, found["on_epoch_start"]),),
            epoch_ended=(partial(self._epoch_ended, found["on_epoch_end"]),),
            batch_started=tuple(
                partial(self._at_batch, each, "batch_start") for each in at["on_batch_start"]
            ),
            batch_ended=tuple(
                partial(self._at_batch, each, "batch_end") for each in at["on_batch_end"]
            ),
            ended=(partial(self._ended, found["on_phase_end"]),),
            failed=tuple(partial(self._failed, each) for each in at["on_exception"]),
            states=(self._states,),
            resumed=(self._resumed,),
        )

    def _overrides(self, name: str) -> dict[str, Override]:
        where = f"phase `{self._phase.path}`: "
        found = {
            label: override(Callback, each, name, label, OFFERED[name], where=where)
            for label, each in self._callbacks.items()
        }
        return {label: each for label, each in found.items() if each is not None}

    def _compiled(self, program: Program) -> None:
        self._batches[id(program)] = _Batch(program, self._context)

    def _epoch_started(self, overrides: Mapping[str, Override], epoch: int) -> None:
        self._move(epoch if self._epochs else None)
        self._call(overrides, "epoch_start")

    def _epoch_ended(
        self, overrides: Mapping[str, Override], epoch: int, values: Mapping[str, float]
    ) -> Mapping[str, float]:
        del values  # a hook finds them in the results
        self._move(epoch)
        self._call(overrides, "epoch_end")
        return self._returned.take()

    def _at_batch(
        self,
        overrides: Mapping[str, Override],
        edge: str,
        epoch: int,
        batch: int,
        registers: Registers,
    ) -> None:
        # Programs of inputs that take turns follow each other step by step.
        programs = list(self._batches.values())
        fields = programs[batch % len(programs)]
        self._here = fields.moment(
            self._here.phase_label,
            epoch if self._epochs else None,
            batch,
            registers,
            computed=edge == "batch_end",
        )
        self._call(overrides, edge)

    def _ended(
        self, overrides: Mapping[str, Override], values: Mapping[str, float]
    ) -> Mapping[str, float]:
        del values
        self._move(None)
        self._call(overrides, "phase_end")
        return self._returned.take()

    def _failed(self, overrides: Mapping[str, Override], exception: BaseException) -> None:
        for label, each in overrides.items():
            try:
                self._call({label: each}, "exception", exception)
            except RunError as second:
                exception.add_note(str(second))

    def _move(self, epoch: int | None) -> None:
        self._here = ExecutionMoment(phase_label=self._here.phase_label, epoch_idx=epoch)

    def _call(
        self,
        overrides: Mapping[str, Override],
        edge: str,
        exception: BaseException | None = None,
        *,
        recorded: bool = True,
    ) -> None:
        path, subjects = self._phase.path, self._context.subjects
        results_of = subjects.results_of
        offered: dict[str, Callable[[], object]] = {
            "experiment": lambda: subjects.experiment,
            "phase": lambda: subjects.entries.get(path, self._phase),
            "exec_ctx": lambda: self._here,
            "results": lambda: None if results_of is None else results_of(path, self._context),
            "exception": lambda: exception,
        }
        for label, each in overrides.items():
            with self._context.state.lent():
                returned = each(offered)
            if returned is not None and recorded:
                self._returned.keep(label, edge, self._here, returned)

    def _states(self) -> dict[str, dict[str, Any] | None]:
        states = {label: state_of(each) for label, each in self._callbacks.items()}
        return {**states, _RETURNED: self._returned.values}

    def _resumed(self, states: Mapping[str, dict[str, Any] | None]) -> None:
        self._returned.values = dict(states.get(_RETURNED) or {})
        for label, state in states.items():
            if state is not None and label in self._callbacks:
                self._callbacks[label].load_state_dict(state)


class _Returned:
    """Records what hooks return, and remembers the metrics among it.

    Attributes:
        values: those of each metric since they were last taken.
    """

    def __init__(self, phase: Phase, context: Context) -> None:
        self._phase = phase
        self._context = context
        self._logs: dict[str, Callable[..., int]] = {}
        self.values: dict[str, list[float]] = {}

    def take(self) -> dict[str, float]:
        """One value of each metric since the last call: what early stopping asks for, else the last."""
        values, self.values = self.values, {}
        rule = self._phase.early_stopping if isinstance(self._phase, Train) else None
        return {
            name: REDUCERS[rule.reducer if rule and rule.monitor == name else "last"](several)
            for name, several in values.items()
        }

    def keep(self, label: str, edge: str, here: ExecutionMoment, returned: object) -> None:
        """Record what the hook at an edge returned.

        Raises:
            RunError: it cannot be recorded.
        """
        epoch, batch = here.epoch_idx, here.batch_idx
        row: dict[str, Any] = {"label": label, "epoch": epoch, "batch": batch, "edge": edge}
        try:
            match returned:
                case MetricResult():
                    self._log(returned, epoch, batch)
                    row |= {"kind": "metric", "name": returned.metric_name}
                    row["value"] = float(returned.metric_value)
                case ArtifactResult():
                    row |= {"kind": "artifact", "name": returned.artifact_name}
                    row["value"] = self._store(returned.artifact_name, returned.artifact, here)
                case _:
                    row |= {"kind": "payload", "value": self._payload(label, returned, here)}
        except (TypeError, ValueError) as error:
            raise RunError(
                f"phase `{self._phase.path}`: callback `{label}.on_{edge}` returned "
                f"what cannot be kept: {error}"
            ) from error
        self._context.recorder.returned(self._phase.path, row)

    def _log(self, metric: MetricResult, epoch: int | None, batch: int | None) -> None:
        name, value = metric.metric_name, float(metric.metric_value)
        if name not in self._logs:
            if name in self._phase.measured:
                raise ValueError(f"`{name}` is a metric that the phase records itself")
            series = [(None, self._phase.split, name)]
            self._logs[name] = self._context.recorder.series(self._phase.path, series)
        at = [WHOLE if index is None else index for index in (epoch, batch)]
        self._logs[name](np.array([value]), *at, self._context.state.steps)
        self.values.setdefault(name, []).append(value)

    def _store(self, name: str, value: object, here: ExecutionMoment) -> str:
        """Keep an artifact below the path of the phase; returns its name."""
        full = f"{self._phase.path}/{name}"
        self._context.recorder.artifact(
            full,
            value,
            phase=self._phase.path,
            epoch=here.epoch_idx,
            batch=here.batch_idx,
            step=self._context.state.steps,
        )
        return full

    def _payload(self, label: str, returned: object, here: ExecutionMoment) -> object:
        """A plain value as it is; of anything else the artifact that it is kept as."""
        try:
            plain: object = msgspec.json.decode(msgspec.json.encode(returned))
        except (TypeError, msgspec.MsgspecError):
            return {"artifact": self._store(f"callbacks/{label}", returned, here)}
        return plain


class _Batch:
    """What a batch has in the registers of one program; where rows have roles, in the first of them."""

    def __init__(self, program: Program, context: Context) -> None:
        nodes = context.plan.graph.nodes
        self._inputs: dict[str, list[int]] = {}
        self._targets: dict[str, int] = {}
        self._outputs: dict[str, int] = {}
        for label, (role, *_) in program.roles.items():
            node, target = nodes[label], nodes[label].target
            if any(read.columns for read in node.inputs):
                self._inputs[label] = program.inputs(label)
            if target is not None:
                record = Record(
                    node=label,
                    role=role,
                    field="targets",
                    dtype=target.dtype,
                    shape=target.shape,
                )
                self._targets[label] = program.record(record)
            record = Record(
                node=label, role=role, field="outputs", dtype=node.dtype, shape=node.shape
            )
            self._outputs[label] = program.record(record)

    def moment(
        self,
        phase_label: str,
        epoch: int | None,
        batch: int,
        registers: Registers,
        *,
        computed: bool,
    ) -> ExecutionMoment:
        """What a hook is told of the batch in the registers."""
        return ExecutionMoment(
            phase_label=phase_label,
            epoch_idx=epoch,
            batch_idx=batch,
            inputs={label: _array(registers[read[0]]) for label, read in self._inputs.items()},
            outputs={
                label: _array(registers[at]) for label, at in self._outputs.items() if computed
            },
            targets={label: _array(registers[at]) for label, at in self._targets.items()},
        )


def _array(values: Any) -> NDArray[Any]:
    """A read-only view of a tensor."""
    array: NDArray[Any] = values.detach().cpu().numpy()
    array.flags.writeable = False
    return array
