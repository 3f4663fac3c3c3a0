"""Programs of objects that are killed and started again, as docs/python.md says it."""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from sklearn.preprocessing import StandardScaler

import specplan as sp
from tests.torture.endings import digests, run_of, state_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

MOMENTS = ("batch", "evaluation", "callback", "boundary", "call")
"""Where a program can be killed: after a step, in a loss of an evaluation, in a callback of a phase, in one of the
experiment, and between two calls."""
PROGRAMS: dict[str, Callable[[Path], dict[str, str]]] = {}
"""Each starts from nothing but what is in its folder, and gives what it leaves behind."""
_LEFT: dict[str, int] = {}


def kill_at(kind: str, number: int) -> None:
    """Kill this process at the moment of this number."""
    _LEFT[kind] = number


def passed(kind: str) -> None:
    """A moment is there."""
    if kind in _LEFT:
        _LEFT[kind] -= 1
        if _LEFT[kind] == 0:
            os.kill(os.getpid(), signal.SIGKILL)


class Seen(sp.Callback):
    """Gives what only one that has seen every batch can give."""

    def __init__(self) -> None:
        super().__init__("seen")
        self.count = 0

    def on_phase_start(self) -> None:  # type: ignore[override]
        passed("callback")

    def on_batch_end(self, exec_ctx: Any) -> None:  # type: ignore[override]
        self.count += exec_ctx.batch_idx + 1
        passed("batch")

    def on_epoch_end(self, experiment: sp.Experiment) -> Any:  # type: ignore[override]
        passed("callback")
        return sp.MetricResult("seen", self.count + len(experiment.history))

    def state_dict(self) -> dict[str, Any]:
        return {"count": self.count}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self.count = state["count"]


class Told(sp.ExperimentCallback):
    """Remembers the boundaries."""

    def __init__(self) -> None:
        super().__init__("told")
        self.told: list[str] = []

    def on_group_start(self, group: Any) -> None:  # type: ignore[override]
        self._tell(f"{group.label} begins")

    def on_phase_end(self, phase: Any, results: Any) -> None:  # type: ignore[override]
        self._tell(f"{phase.label}: {len(results.metrics())}")

    def _tell(self, line: str) -> None:
        passed("boundary")
        self.told.append(line)

    def state_dict(self) -> dict[str, Any]:
        return {"told": list(self.told)}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self.told = list(state["told"])


def error(outputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    if not torch.is_grad_enabled():
        passed("evaluation")
    return ((outputs - targets) ** 2).mean()


def _program(run: Callable[[Path], dict[str, str]]) -> Callable[[Path], dict[str, str]]:
    PROGRAMS[run.__name__.removeprefix("_").replace("_", " ")] = run
    return run


@_program
def _the_plan(folder: Path) -> dict[str, str]:
    """`resume` in place of `run`: in the middle of an epoch, from a checkpoint at each step."""
    _checkpoints_at_every_step()
    experiment, _ = _made(folder)
    experiment.resume()
    return _left_by(experiment)


@_program
def _the_plan_without_checkpoints(folder: Path) -> dict[str, str]:
    """A run of a second has no checkpoint: it begins again, in its folder."""
    experiment, _ = _made(folder)
    experiment.resume()
    return _left_by(experiment)


@_program
def _several_calls(folder: Path) -> dict[str, str]:
    """The experiment is saved after each call, and loaded with its history."""
    file = folder / "program.exp.mml"
    if file.exists():
        experiment = sp.Experiment.load(file, results_dir=folder / "runs")
    else:
        experiment, _ = _made(folder, loss="mse")
    fit, group, test = experiment.execution_plan.all
    for entry in [fit, group, test, group][len(experiment.history) :]:
        experiment.resume(entry)
        passed("call")
        experiment.save(file, overwrite=True)
        passed("call")
    return _left_by(experiment)


@_program
def _boundaries(folder: Path) -> dict[str, str]:
    """Checkpoints at the ends of phases: the program goes on with the phase that it was in."""
    experiment, parts = _made(folder)
    experiment.set_checkpointing(
        sp.Checkpointing(mode="disk", save_on="phase_end", directory=folder / "checkpoints")
    )
    phases = [parts["fit"], *parts["group"].flatten(), parts["test"]]
    done = [each for each in phases if each.label in experiment.available_checkpoints]
    if done:
        experiment.restore_checkpoint(done[-1].label)
    for phase in phases[len(done) :]:
        experiment.run_phase(phase)
        passed("call")
    return _left_by(experiment, runs=False)


def _made(folder: Path, loss: str | None = None) -> tuple[sp.Experiment, dict[str, Any]]:
    """The objects of all programs."""
    torch.set_num_threads(1)
    experiment = sp.Experiment(
        "killed", callbacks=[Told()], results_config=sp.ResultsConfig(folder / "runs"), seed=7
    )
    rng = np.random.default_rng(0)
    x = rng.standard_normal((120, 4))
    cells = sp.FeatureSet.from_dict("Cells", {"x": x, "y": np.sin(x[:, :1])}, "x", "y")
    cells.split_random({"train": 0.75, "test": 0.25}, seed=3)
    scaled = sp.ModelNode("Scaled", StandardScaler(), cells.reference())
    network = sp.SequentialMLP(n_layers=2, hidden_dim=8, dropout=0.2)
    net = sp.ModelNode("Net", network, scaled)
    sp.ModelGraph(
        nodes=[scaled, net],
        optimizer=sp.Optimizer("adam", opt_kwargs={"lr": 0.01}, backend="torch"),
    )
    judged = sp.Loss(error) if loss is None else sp.Loss(loss, backend="torch")
    applied = sp.AppliedLoss(judged, net, ["outputs", "targets"], label="error")
    sampler = sp.SimpleSampler(16, shuffle=True, seed=5)
    stopping = sp.EarlyStopping("val_loss", patience=1, restore_best=True)
    seen = Seen()
    first = sp.TrainPhase.from_split(
        "first",
        "train",
        sampler,
        [applied],
        3,
        callbacks=[seen, sp.Evaluation.from_split("val", "test", [applied]), stopping],
    )
    second = sp.TrainPhase.from_split("second", "train", sampler, [applied], 2, callbacks=[seen])
    parts: dict[str, Any] = {
        "fit": sp.FitPhase.from_split("fit", "train"),
        "group": sp.PhaseGroup("both", [first, second]),
        "test": sp.EvalPhase.from_split("test", "test", [applied], batch_size=10),
    }
    plan = experiment.execution_plan
    plan.add_phase(parts["fit"]).add_group(parts["group"]).add_phase(parts["test"])
    return experiment, parts


def _checkpoints_at_every_step() -> None:
    """A run makes them when they take a hundredth of its time; here whatever they take."""
    from specplan.run import checkpoints

    checkpoints.SHARE = float("inf")


def _left_by(experiment: sp.Experiment, *, runs: bool = True) -> dict[str, str]:
    parts = state_of(experiment._calls.live.state)  # type: ignore[union-attr]
    [told] = experiment.exp_callbacks
    parts["callbacks"] = repr(experiment._calls.callback_states())
    if runs:
        parts["told"] = repr(told.state_dict())
        history = [(entry.label, entry.status, entry.error) for entry in experiment.history]
        parts["history"] = repr(history)
    # Of a history that begins anew with each process, all have the last entry.
    for number, entry in enumerate(experiment.history if runs else experiment.history[-1:]):
        assert entry.run is not None
        parts |= {f"run {number}: {n}": part for n, part in run_of(entry.run.folder).items()}
    return digests(parts)
