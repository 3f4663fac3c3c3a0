"""What code of the user's raises in a run, as the program that called it sees it."""

from __future__ import annotations

import pickle
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from torch import nn

import specplan
from specplan import Callback, RunError, SimpleSampler, TrainPhase
from specplan.objects.raised import both, caught_as_raised

if TYPE_CHECKING:
    from pathlib import Path

    from tests.objects.parts import Parts


class Refused(Exception):  # noqa: N818 -- as users name theirs
    def __init__(self, code: int, reason: str) -> None:
        super().__init__(code, reason)
        self.code, self.reason = code, reason

    def __str__(self) -> str:
        return self.reason


class Slotted(LookupError):  # noqa: N818 -- as users name theirs
    __slots__ = ("place",)
    place: int


class Failing(Callback):
    def __init__(self, error: Exception) -> None:
        super().__init__()
        self.error = error

    def on_epoch_end(self) -> None:  # type: ignore[override]
        raise self.error


def train(parts: Parts, *callbacks: Callback, losses: list[Any] | None = None) -> TrainPhase:
    sampler = SimpleSampler(batch_size=30)
    losses = [parts.loss] if losses is None else losses
    return TrainPhase.from_split("train", "train", sampler, losses, callbacks=callbacks)


def decoding() -> UnicodeDecodeError:
    with pytest.raises(UnicodeDecodeError) as caught:
        b"\xff".decode()
    return caught.value


def slotted() -> Slotted:
    error = Slotted("x")
    error.place = 3
    return error


@pytest.mark.parametrize(
    ("cause", "attributes"),
    [
        (ValueError("no room"), ()),
        (KeyError("no room"), ()),
        (FileNotFoundError(2, "no such file", "x.csv"), ("errno", "strerror", "filename")),
        (decoding(), ("encoding", "start", "reason")),
        (AttributeError("no such name", name="x"), ("name",)),
        (Refused(7, "no room"), ("code", "reason")),
        (slotted(), ("place",)),
        (torch.OutOfMemoryError("no room"), ()),
    ],
    ids=lambda value: type(value).__name__,
)
def test_a_call_raises_what_is_both(
    parts: Parts, cause: Exception, attributes: tuple[str, ...]
) -> None:
    with pytest.raises(type(cause)) as caught:
        parts.experiment.run_phase(train(parts, Failing(cause)))
    error = caught.value
    assert isinstance(error, RunError)
    assert error.__cause__ is cause
    assert str(error).startswith(
        "phase `train`: callback `Failing.on_epoch_end` failed: test_raised"
    )
    assert str(error).endswith(f"{type(cause).__name__}: {cause}")
    assert repr(error).startswith("RunError(")
    for name in attributes:
        assert getattr(error, name) == getattr(cause, name)
    (run,) = parts.experiment.history
    assert (run.status, run.error) == ("failed", f"RunError: {error}")


def test_models_losses_and_plans_too(parts: Parts, tmp_path: Path) -> None:
    def loss(outputs: Any, targets: Any) -> Any:  # noqa: ARG001 -- called by name
        raise ZeroDivisionError("nothing to divide by")

    failing = specplan.AppliedLoss(
        specplan.Loss(factory=lambda: loss, backend="torch"), "MLP", ["outputs", "targets"]
    )
    with pytest.raises(ZeroDivisionError, match="phase `train`: .*nothing to divide by"):
        parts.experiment.run_phase(train(parts, losses=[failing]))

    class Far(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.last = nn.Linear(1, 1)

        def forward(self, rows: Any) -> Any:
            if float(rows.abs().max()) > 90:
                raise NotImplementedError("too far")
            return self.last(rows)

    source = {"use": "memory", "name": "set"}
    splits = {"use": "random", "ratios": {"a": 0.5, "b": 0.5}}
    spec = {
        "experiment": {"id": "raising"},
        "data": {"Set": {"source": source, "features": ["x"], "targets": ["y"], "splits": splits}},
        "graph": {
            "nodes": {"Net": {"model": {"use": "live:far"}, "input": "Set.x", "target": "Set.y"}}
        },
        "losses": {"mse": {"use": "mse", "node": "Net"}},
        "plan": [{"phase": "eval", "label": "eval", "split": "a", "losses": ["mse"]}],
    }
    rows = np.arange(91.0, 99.0)[:, None]
    tables = {"set": {"x": rows, "y": rows}}
    plan = specplan.compile(spec, tables=tables, live={"far": Far()})
    with pytest.raises(NotImplementedError, match="phase `eval`: .*too far") as caught:
        plan.run(tmp_path)
    assert isinstance(caught.value, RunError)


def test_what_cannot_be_both_stays_as_it_is() -> None:
    for cause in (
        ExceptionGroup("several", [ValueError()]),
        StopIteration(3),
        specplan.DataError("x"),
    ):
        plain = RunError("no")
        with pytest.raises(RunError) as caught, caught_as_raised():
            raise plain from cause
        assert caught.value is plain
    with pytest.raises(RunError) as caught, caught_as_raised():
        raise RunError("no cause")
    assert type(caught.value) is RunError


def test_it_goes_to_another_process() -> None:
    error = both(RunError("no room"), FileNotFoundError(2, "no such file"))
    again = pickle.loads(pickle.dumps(error))
    assert isinstance(again, RunError)
    assert isinstance(again, FileNotFoundError)
    assert (str(again), again.errno) == ("no room", 2)
