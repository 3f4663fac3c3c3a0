"""Callbacks, estimators, evaluations and code of the user in a run that goes on in another process."""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from sklearn.linear_model import SGDRegressor

from specplan import Callback, MetricResult
from specplan.code.trust import trust
from specplan.errors import CAN_BE_RESUMED, CodeError, RunError
from specplan.plan.compile import compile_mapping
from specplan.run.display import Silent
from specplan.run.hooks import NO_HOOKS, Hooks, PhaseHooks
from specplan.run.resume import resume_run
from specplan.run.run import run_plan
from specplan.store.layout import RunFolder
from tests.run import specs

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from specplan.run.outcome import Outcome

STEPS = 13
EVERY_STEP = {"every_n_steps": 1, "save_on": []}


class Counting(Callback):
    """Returns a metric wherever it is called, and keeps a count over all phases that have it."""

    def __init__(self) -> None:
        super().__init__("counting")
        self.count = 0

    def on_phase_start(self) -> MetricResult:  # type: ignore[override]
        return MetricResult("before", self.count)

    def on_epoch_start(self) -> MetricResult:  # type: ignore[override]
        return MetricResult("begun", self.count)

    def on_batch_end(self) -> MetricResult:  # type: ignore[override]
        self.count += 1
        return MetricResult("counted", self.count)

    def state_dict(self) -> dict[str, Any]:
        return {"count": self.count}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self.count = state["count"]


def spec(*phases: dict[str, Any], **changes: Any) -> dict[str, Any]:
    data = {"source": {"use": "memory", "name": "set"}, "features": ["x"], "targets": ["y"]}
    return {
        "specplan": 1,
        "experiment": {"id": "tests"},
        "run": {"seed": 42, "threads": 1},
        "data": {"Set": {**data, "splits": specs.RANDOM}},
        "graph": {"nodes": {"Net": specs.node(specs.MLP)}, "optimizer": specs.ADAM},
        "losses": {"mse": {"use": "mse", "node": "Net"}},
        "plan": list(phases),
        "checkpoint": EVERY_STEP,
    } | changes


def run(given: dict[str, Any], root: Path, hooks: Hooks = NO_HOOKS, **live: Any) -> Outcome:
    tables = {"set": specs.regression()}
    plan = compile_mapping(given, tables=tables, live={"counting": Counting(), **live})
    return run_plan(plan, root=root, display=Silent(), hooks=hooks)


class Told(Silent):
    """Remembers where runs go on."""

    def __init__(self) -> None:
        self.places: list[str] = []

    def resumed(self, place: str) -> None:
        self.places.append(place)


def resume(
    root: Path, *, allow_changes: bool = False, display: Silent | None = None, **live: Any
) -> Outcome:
    [path] = (root / "tests").iterdir()
    outcome = resume_run(
        RunFolder(path),
        display=display or Silent(),
        allow_changes=allow_changes,
        tables={"set": specs.regression()},
        live={"counting": Counting(), **live},
    )
    assert outcome is not None
    return outcome


def at_step(number: int, act: Callable[[], None]) -> Hooks:
    """Hooks that act in a step of a run, which are counted from 1."""
    left = [number]

    def count(_epoch: int, _batch: int, _registers: Any) -> None:
        left[0] -= 1
        if left[0] == 0:
            act()

    return Hooks(inside=(lambda _phase, _context: PhaseHooks(batch_ended=(count,)),))


def fail() -> None:
    raise ZeroDivisionError("no luck")


def stopped(given: dict[str, Any], root: Path, step: int) -> None:
    with pytest.raises(RunError, match="no luck"):
        run(given, root, at_step(step, fail))


def rows(outcome: Outcome) -> list[tuple[Any, ...]]:
    volatile = ("time", "sequence", "crc32")
    found = specs.metrics(outcome)
    return [tuple(value for key, value in row.items() if key not in volatile) for row in found]


@pytest.mark.parametrize("step", [1, 7, STEPS + 1, 2 * STEPS + 1, 3 * STEPS + 4])
def test_what_callbacks_return_is_recorded_once_and_summed_up_whole(
    tmp_path: Path, step: int
) -> None:
    callbacks = [
        {"use": "live:counting"},
        {"use": "evaluation", "split": "test", "run_on_start": True},
        # The mean over the batches of an epoch, some of which were in the process before.
        {"use": "early_stopping", "monitor": "counted", "reducer": "mean", "patience": 1},
    ]
    phases = [specs.train(label=label, callbacks=callbacks) for label in ("first", "second")]
    given = spec(*phases)
    stopped(given, tmp_path / "stopped", step)
    assert rows(resume(tmp_path / "stopped")) == rows(run(given, tmp_path / "whole"))


def partly_fitted(**changes: Any) -> dict[str, Any]:
    estimator = {"use": "sklearn.linear_model:SGDRegressor", "random_state": 3}
    evaluation = {"use": "evaluation", "split": "test"}
    return spec(
        specs.train(callbacks=[evaluation]),
        graph={"nodes": {"Net": specs.node(estimator)}, "optimizer": None},
        **changes,
    )


def test_an_evaluation_asks_the_estimator_as_it_is_by_then(tmp_path: Path) -> None:
    table = specs.regression()
    x, y = (table[name].astype(np.float32) for name in ("x", "y"))
    order, test = specs.rows_of(500, "train"), specs.rows_of(500, "test")
    by_hand, losses = SGDRegressor(random_state=3), []
    for epoch in range(2):
        shuffled = order[np.random.default_rng([7, epoch]).permutation(len(order))]
        for start in range(0, len(order), 32):
            chosen = shuffled[start : start + 32]
            by_hand.partial_fit(x[chosen], y[chosen])
        losses.append(float(np.mean((by_hand.predict(x[test]) - y[test]) ** 2)))
    found = rows_named(run(partly_fitted(), tmp_path), "val_loss", "test_loss")
    assert found == pytest.approx(losses, rel=1e-5)
    assert losses[0] != pytest.approx(losses[1], rel=1e-3)


def rows_named(outcome: Outcome, *names: str) -> list[float]:
    return [row["value"] for row in specs.metrics(outcome) if row["name"] in names]


@pytest.mark.parametrize("step", [7, STEPS + 1])
def test_it_does_so_in_a_run_that_goes_on(tmp_path: Path, step: int) -> None:
    stopped(partly_fitted(), tmp_path / "stopped", step)
    assert rows(resume(tmp_path / "stopped")) == rows(run(partly_fitted(), tmp_path / "whole"))


def test_a_signal_in_the_last_step_of_a_phase_leaves_a_checkpoint(tmp_path: Path) -> None:
    given = spec(specs.train(), specs.train(label="second"), checkpoint={"save_on": []})
    hooks = at_step(2 * STEPS, terminate)
    with pytest.raises(SystemExit) as ending:
        run(given, tmp_path / "stopped", hooks)
    assert ending.value.code == 128 + signal.SIGTERM != CAN_BE_RESUMED  # the tables are in memory
    outcome = resume(tmp_path / "stopped")
    assert outcome.run_file.sessions[-1].checkpoint == 1
    assert rows(outcome) == rows(run(given, tmp_path / "whole"))


def test_a_signal_in_an_eval_phase_goes_on_with_that_phase(tmp_path: Path) -> None:
    counting = [{"use": "live:counting"}]
    evaluation = specs.evaluation(batch_size=20, callbacks=counting)
    given = spec(specs.train(callbacks=counting), evaluation, checkpoint={"save_on": []})
    hooks = at_step(2 * STEPS + 2, terminate)
    with pytest.raises(SystemExit):
        run(given, tmp_path / "stopped", hooks)
    told = Told()
    outcome = resume(tmp_path / "stopped", display=told)
    assert told.places == ["the beginning of eval"]
    assert rows(outcome) == rows(run(given, tmp_path / "whole"))


CALLS: list[int] = []
"""Of the functions below until one is asked to end the run."""


def terminate() -> None:
    os.kill(os.getpid(), signal.SIGTERM)


def squared(outputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    if not torch.is_grad_enabled():
        count()
    return ((outputs - targets) ** 2).mean()


def error(outputs: Any, targets: Any) -> float:
    count()
    return float(np.abs(outputs - targets).mean())


def count() -> None:
    CALLS[0] -= 1
    if CALLS[0] == 0:
        terminate()


@pytest.mark.parametrize(
    ("at", "place"), [(1, "first, epoch 1, step 0"), (3, "the beginning of second")]
)
def test_a_signal_in_an_evaluation_of_a_train_phase_waits_for_its_end(
    tmp_path: Path, at: int, place: str
) -> None:
    CALLS[:] = [at]
    evaluation = {"use": "evaluation", "split": "test", "losses": ["own"], "batch_size": 60}
    phases = [specs.train(label="first", callbacks=[evaluation]), specs.train(label="second")]
    own = {"mse": {"use": "mse", "node": "Net"}, "own": {"use": "live:own", "node": "Net"}}
    given = spec(*phases, losses=own, checkpoint={"save_on": []})
    with pytest.raises(SystemExit):
        run(given, tmp_path / "stopped", own=squared)
    told = Told()
    outcome = resume(tmp_path / "stopped", display=told, own=squared)
    assert told.places == [place]
    assert rows(outcome) == rows(run(given, tmp_path / "whole", own=squared))


def test_a_signal_in_a_fit_phase_waits_for_its_end(tmp_path: Path) -> None:
    CALLS[:] = [1]
    estimator = {"use": "sklearn.linear_model:Ridge"}
    given = spec(
        specs.fit(losses=[], metrics=["own"]),
        specs.evaluation(losses=["mse"], metrics=["own"]),
        graph={"nodes": {"Net": specs.node(estimator)}, "optimizer": None},
        metrics={"own": {"use": "live:own", "node": "Net"}},
        checkpoint={"save_on": []},
    )
    with pytest.raises(SystemExit):
        run(given, tmp_path / "stopped", own=error)
    told = Told()
    outcome = resume(tmp_path / "stopped", display=told, own=error)
    assert told.places == ["the beginning of eval"]
    assert rows(outcome) == rows(run(given, tmp_path / "whole", own=error))


def test_what_a_killed_process_wrote_beside_run_json_goes(tmp_path: Path) -> None:
    stopped(spec(specs.train()), tmp_path, 7)
    [path] = (tmp_path / "tests").iterdir()
    unfinished = path / ".run.json.1"
    unfinished.write_bytes(b"{")
    resume(tmp_path)
    assert not unfinished.exists()


CODE = """\
def square(outputs, targets):
    return ((outputs - targets) ** 2).mean()


def error(outputs, targets):
    return float(abs(outputs - targets).mean())
"""


def test_other_code_is_told_and_allowed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SPECPLAN_CONFIG", str(tmp_path / "config"))
    monkeypatch.chdir(tmp_path)
    file = tmp_path / "mine.py"
    file.write_text(CODE)
    trust(file)
    given = spec(
        specs.train(losses=["square"]),
        specs.evaluation(losses=["square"], metrics=["error"]),
        losses={"square": {"use": "./mine.py:square", "node": "Net"}},
        metrics={"error": {"use": "./mine.py:error", "node": "Net"}},
    )
    stopped(given, tmp_path / "stopped", 7)
    file.write_text(CODE.replace("** 2", "** 4"))
    message = "SP805: .*\n  code `./mine.py`, of `square`, `error`: other code than when .*\nhint: .*--allow-changes"
    with pytest.raises(RunError, match=message):
        resume(tmp_path / "stopped")
    with pytest.raises(CodeError, match="changed after it was trusted"):
        resume(tmp_path / "stopped", allow_changes=True)
    trust(file)
    outcome = resume(tmp_path / "stopped", allow_changes=True)
    [told] = outcome.run_file.sessions[-1].changes
    assert told.startswith("code `./mine.py`, of ")
    assert rows(outcome) != rows(run(given, tmp_path / "whole"))


def test_what_goes_on_behind_the_last_step_of_a_phase_puts_the_optimizer_back(
    tmp_path: Path,
) -> None:
    cycle = {"use": "learning_rate", "schedule": "one_cycle", "cycle_momentum": True}
    optimizer = {"use": "sgd", "lr": 0.02, "momentum": 0.3}
    graph = {"nodes": {"Net": specs.node(specs.MLP)}, "optimizer": optimizer}
    phases = [specs.train(label="cycled", callbacks=[cycle]), specs.train(label="after")]
    given = spec(*phases, graph=graph, checkpoint={"save_on": ["epoch_end"]})

    def at_end(_values: Mapping[str, float]) -> Mapping[str, float]:
        raise ZeroDivisionError("no luck")

    at_the_end = Hooks(inside=(lambda _phase, _context: PhaseHooks(ended=(at_end,)),))
    with pytest.raises(RunError, match="no luck"):
        run(given, tmp_path / "stopped", at_the_end)
    resumed, whole = resume(tmp_path / "stopped"), run(given, tmp_path / "whole")
    assert rows(resumed) == rows(whole)
    assert resumed.state.optimizer is not None
    [group] = resumed.state.optimizer.param_groups
    assert (group["lr"], group["momentum"]) == (0.02, 0.3)
