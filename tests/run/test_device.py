"""Where torch nodes compute."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np
import pytest
import torch

from specplan.errors import PlanError, RunError, SpecError
from specplan.models.torch.device import devices
from specplan.plan.compile import compile_mapping
from specplan.plan.explain import explain
from specplan.plan.verify import verify
from specplan.results.open import open_run
from specplan.run.device import device_of, generator_state
from specplan.run.display import Silent
from specplan.run.hooks import Hooks, PhaseHooks
from specplan.run.numerics import seeded
from specplan.run.resume import resume_run
from specplan.run.run import check_plan, run_plan
from specplan.run.state_file import read_snapshot, write_snapshot
from specplan.store.layout import RunFolder
from tests.run import specs

if TYPE_CHECKING:
    from pathlib import Path

    from specplan.plan.model import Compiled

NO_CUDA = pytest.mark.skipif(torch.cuda.is_available(), reason="the machine has such a device")
SCALER = {"model": {"use": "sklearn.preprocessing:StandardScaler"}, "input": "Set.x"}
NODES = {
    "Scaled": SCALER,
    "Net": specs.node(specs.MLP | {"dropout": 0.2}, "Scaled"),
}
OFTEN = {"every_n_steps": 2, "save_on": ["phase_end"]}


def compiled(device: str | None, *phases: dict[str, Any]) -> Compiled:
    plan = specs.compiled(
        *(
            phases
            or (specs.fit(active=["Scaled"]), specs.train(active=["Net"]), specs.evaluation())
        ),
        nodes=NODES,
    )
    spec = dict(plan.spec or {})
    if device is not None:
        spec["run"] = {**spec["run"], "device": device}
    return compile_mapping({**spec, "checkpoint": OFTEN}, tables=plan.tables)


def test_it_is_part_of_the_numbers() -> None:
    plain, cpu, cuda, auto = (compiled(device).plan for device in (None, "cpu", "cuda:1", "auto"))
    assert plain.id == cpu.id
    assert len({cpu.id, cuda.id, auto.id}) == 3
    assert "cuda:1, float32" in explain(cuda)


def test_another_word_is_refused() -> None:
    with pytest.raises(SpecError, match="SP2"):
        compiled("gpu0")
    plan = compiled("cpu").plan
    numerics = msgspec.structs.replace(plan.numerics, device="gpu0")
    with pytest.raises(PlanError, match="has no such device"):
        verify(msgspec.structs.replace(plan, numerics=numerics))


@NO_CUDA
def test_a_device_that_is_not_there_makes_no_run(tmp_path: Path) -> None:
    message = r"^SP668: this machine has no device `cuda`, which the plan says; it has: .*cpu\nhint: `run: {device: auto}`"
    plan = compiled("cuda")
    with pytest.raises(RunError, match=message):
        run_plan(plan, root=tmp_path, display=Silent())
    with pytest.raises(RunError, match=message):
        check_plan(plan, root=tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_auto_takes_what_is_there(tmp_path: Path) -> None:
    plan = compiled("auto")
    outcome = specs.run(plan, tmp_path)
    [weight, *_] = outcome.state.nodes["Net"].parameters()
    assert str(weight.device) == device_of(plan.plan)
    if not torch.cuda.is_available() and not torch.backends.mps.is_available():
        cpu = specs.run(compiled("cpu"), tmp_path)
        assert specs.same_weights(outcome.state.nodes["Net"], cpu.state.nodes["Net"])


def accelerator() -> str:
    """The one that the machine has, `cuda` or `mps`: tests that are asked for with `-m gpu` need either."""
    return devices()[0].partition(":")[0]


@pytest.mark.gpu
def test_an_accelerator_is_the_loop_by_hand(tmp_path: Path) -> None:
    device = accelerator()
    plan = specs.compiled(specs.train(), specs.evaluation())
    spec = dict(plan.spec or {})
    spec["run"] = {**spec["run"], "device": device}
    outcome = specs.run(compile_mapping(spec, tables=plan.tables), tmp_path)
    if device == "cuda":
        assert os.environ["CUBLAS_WORKSPACE_CONFIG"]
    state = specs.run(specs.compiled(specs.evaluation()), tmp_path).state
    module = state.nodes["Net"].to(device)
    optimizer = torch.optim.Adam(module.parameters(), lr=1e-3)
    columns, rows = specs.regression(), specs.rows_of(500, "train")
    x = torch.tensor(columns["x"][rows], dtype=torch.float32).to(device)
    y = torch.tensor(columns["y"][rows], dtype=torch.float32).reshape(-1, 1).to(device)
    module.train()
    for epoch in range(2):
        for batch in specs.epoch_order(len(rows), epoch).to(device).split(32):
            optimizer.zero_grad()
            torch.nn.functional.mse_loss(module(x[batch]), y[batch]).backward()
            optimizer.step()
    assert specs.same_weights(outcome.state.nodes["Net"], module)
    found = open_run(outcome.folder.path).tensors("Net", "outputs", phase="eval")
    module.eval()
    test = specs.rows_of(500, "test")
    with torch.no_grad():
        expected = module(torch.tensor(columns["x"][test], dtype=torch.float32).to(device)).cpu()
    np.testing.assert_allclose(found.stacked(), expected.numpy(), rtol=1e-5, atol=1e-6)


@pytest.mark.gpu
@pytest.mark.parametrize("at", [5, 14, 20])
def test_a_run_on_an_accelerator_is_resumed(tmp_path: Path, at: int) -> None:
    plan = compiled(accelerator())
    whole = specs.run(plan, tmp_path / "whole")
    left = [at]

    def fail(_epoch: int, _batch: int, _registers: Any) -> None:
        left[0] -= 1
        if left[0] == 0:
            raise ZeroDivisionError("no luck")

    hooks = Hooks(inside=(lambda _phase, _context: PhaseHooks(batch_ended=(fail,)),))
    with pytest.raises(RunError, match="no luck"):
        run_plan(plan, root=tmp_path / "stopped", display=Silent(), hooks=hooks)
    [path] = (tmp_path / "stopped/tests").iterdir()
    resumed = resume_run(RunFolder(path), display=Silent(), tables=plan.tables)
    assert resumed is not None
    assert specs.same_weights(whole.state.nodes["Net"], resumed.state.nodes["Net"])
    series = [specs.values(each, "train", "mse", whole=False) for each in (whole, resumed)]
    assert series[0] == series[1]


@pytest.mark.gpu
def test_what_was_put_aside_has_the_generator_of_the_device(tmp_path: Path) -> None:
    device = accelerator()
    state = specs.run(compiled(device), tmp_path).state
    snapshot = state.capture()
    drawn = torch.rand(3, device=device)
    state.restore(snapshot)
    assert torch.equal(torch.rand(3, device=device), drawn)
    write_snapshot(snapshot, tmp_path / "state")
    state.restore(read_snapshot(state, tmp_path / "state"))
    assert torch.equal(torch.rand(3, device=device), drawn)
    before = generator_state(state.device)
    with seeded(1):
        torch.rand(3, device=device)
    after = generator_state(state.device)
    assert before is not None
    assert after is not None
    assert torch.equal(before, after)


def test_the_generator_of_a_device_is_kept_in_files(tmp_path: Path) -> None:
    state = specs.run(compiled("cpu"), tmp_path).state
    generator = torch.arange(16, dtype=torch.uint8)
    snapshot = msgspec.structs.replace(state.capture(), device_generator=("cuda:0", generator))
    write_snapshot(snapshot, tmp_path / "state")
    found = read_snapshot(state, tmp_path / "state")
    assert found.device_generator is not None
    device, again = found.device_generator
    assert device == "cuda:0"
    assert torch.equal(again, generator)
    state.restore(found)  # the processor has no use for it
    assert state.capture().device_generator is None


@pytest.mark.gpu
def test_a_state_goes_from_one_device_to_the_other(tmp_path: Path) -> None:
    first = specs.run(compiled("cpu"), tmp_path)
    again = specs.run(compiled(accelerator()), tmp_path, first.state)
    [weight, *_] = again.state.nodes["Net"].parameters()
    assert weight.device.type == accelerator()
    assert again.state.optimizer is not None
    kept = again.state.optimizer.state[weight]
    assert all(value.device.type == accelerator() for name, value in kept.items() if name != "step")
